"""Making keys, and what follows from a key's algorithm."""

from collections.abc import Callable
from typing import TypeGuard, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.domain.errors import SigningError
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec

__all__ = ["can_sign", "generate_private_key", "signature_hash"]

_GENERATORS: dict[KeyAlgorithm, Callable[[], CertificateIssuerPrivateKeyTypes]] = {
    KeyAlgorithm.P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyAlgorithm.P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyAlgorithm.P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ED448: ed448.Ed448PrivateKey.generate,
    KeyAlgorithm.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyAlgorithm.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyAlgorithm.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}


def can_sign(key: object) -> TypeGuard[CertificateIssuerPrivateKeyTypes]:
    """Whether *key* is a private key that can sign certificates."""
    return isinstance(key, get_args(CertificateIssuerPrivateKeyTypes))


def generate_private_key(spec: KeySpec) -> CertificateIssuerPrivateKeyTypes:
    """Make a key.  Raises `SigningError` when the backend lacks the algorithm."""
    if spec.algorithm is KeyAlgorithm.RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=spec.rsa_bits)
    try:
        return _GENERATORS[spec.algorithm]()
    except UnsupportedAlgorithm as error:
        raise SigningError(
            f"This build of cryptography has no {spec.algorithm}: {error}"
        ) from error


def signature_hash(
    key: object,
) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Give the hash that signatures by *key* (private or public) use; `None`: its own.

    As strong as the curve (RFC 5758 §3.2); Ed25519, Ed448 and ML-DSA hash for themselves
    (RFC 8410 §3, RFC 9881 §3).
    """
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        if key.curve.key_size <= 256:
            return hashes.SHA256()
        return hashes.SHA384() if key.curve.key_size <= 384 else hashes.SHA512()
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return hashes.SHA256()
    return None
