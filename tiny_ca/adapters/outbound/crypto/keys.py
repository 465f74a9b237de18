"""Making keys, and what follows from a key's algorithm."""

from collections.abc import Callable
from typing import TypeGuard, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.domain.errors import InvalidRequest, SigningError, WeakKey
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec

__all__ = ["can_sign", "generate_private_key", "key_spec_of", "signature_hash"]

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


_CURVES = {
    "secp256r1": KeyAlgorithm.P256,
    "secp384r1": KeyAlgorithm.P384,
    "secp521r1": KeyAlgorithm.P521,
}
_PUBLIC_KEYS: dict[type[object], KeyAlgorithm] = {
    ed25519.Ed25519PublicKey: KeyAlgorithm.ED25519,
    ed448.Ed448PublicKey: KeyAlgorithm.ED448,
    mldsa.MLDSA44PublicKey: KeyAlgorithm.ML_DSA_44,
    mldsa.MLDSA65PublicKey: KeyAlgorithm.ML_DSA_65,
    mldsa.MLDSA87PublicKey: KeyAlgorithm.ML_DSA_87,
}


# Not "blocklist": that one ends the process when its list was not downloaded.
_WEAKNESSES = ("fermat", "roca", "rsainvalid", "rsapoly", "sharedprimes", "smalld", "smallfactors")


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


def key_spec_of(public_key: object) -> KeySpec:
    """Say what kind of public key it is.  Raises `WeakKey` for one that is not certified here.

    RSA has 2048 bits at least and an odd exponent over 65536 (NIST SP 800-56B §6.2, BR §6.1.6),
    and with `[keycheck]` installed none of the weaknesses that badkeys finds without its lists.
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        algorithm = _CURVES.get(public_key.curve.name)
        if algorithm is not None:
            return KeySpec(algorithm)
    if isinstance(public_key, rsa.RSAPublicKey):
        exponent = public_key.public_numbers().e
        if exponent < 65537 or exponent % 2 == 0:
            raise WeakKey(f"The RSA key's exponent is {exponent}: make a key with 65537.")
        try:
            spec = KeySpec(KeyAlgorithm.RSA, public_key.key_size)
        except InvalidRequest as error:
            raise WeakKey(str(error)) from error
        _check_modulus(public_key)
        return spec
    for kind, algorithm in _PUBLIC_KEYS.items():
        if isinstance(public_key, kind):
            return KeySpec(algorithm)
    raise WeakKey(
        f"A {type(public_key).__name__} is not certified: use one of {', '.join(KeyAlgorithm)}."
    )


def _check_modulus(public_key: rsa.RSAPublicKey) -> None:
    try:
        # Imported when it is needed: 0.3 s.
        import badkeys  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "badkeys":
            raise
        return
    numbers = public_key.public_numbers()
    found = badkeys.checkrsa(numbers.n, e=numbers.e, checks=_WEAKNESSES)
    if found:
        raise WeakKey(f"The RSA key can be broken ({', '.join(found)}): make another one.")


_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()


def signature_hash(
    key: object,
) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Give the hash that signatures by *key* (private or public) use; `None`: its own.

    As strong as the curve (RFC 5758 §3.2); Ed25519, Ed448 and ML-DSA hash for themselves
    (RFC 8410 §3, RFC 9881 §3).
    """
    # Not by its class: abstract ones take long to say whether one is theirs.
    curve: ec.EllipticCurve | None = getattr(key, "curve", None)
    if curve is not None:
        size = curve.key_size
        return _SHA256 if size <= 256 else _SHA384 if size <= 384 else _SHA512
    return _SHA256 if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)) else None
