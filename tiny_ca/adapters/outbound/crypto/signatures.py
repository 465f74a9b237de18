"""Signatures over what we write ourselves, and what their algorithm is called in it."""

from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.adapters.outbound.crypto import der
from tiny_ca.adapters.outbound.crypto.keys import signature_hash
from tiny_ca.domain.errors import SigningError

__all__ = ["sign_octets", "signature_algorithm", "verify_octets"]

_RSA_SHA256 = "1.2.840.113549.1.1.11"
_ECDSA = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_OWN: dict[type, str] = {
    ed25519.Ed25519PrivateKey: "1.3.101.112",
    ed448.Ed448PrivateKey: "1.3.101.113",
    mldsa.MLDSA44PrivateKey: "2.16.840.1.101.3.4.3.17",
    mldsa.MLDSA65PrivateKey: "2.16.840.1.101.3.4.3.18",
    mldsa.MLDSA87PrivateKey: "2.16.840.1.101.3.4.3.19",
}


def signature_algorithm(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    """Give the AlgorithmIdentifier of *key*'s signatures (RFC 4055, 5758, 8410, 9881).

    Raises `SigningError` for a kind of key that is not used here.
    """
    chosen = signature_hash(key)
    if isinstance(key, rsa.RSAPrivateKey):
        # RFC 4055 §5: the parameters are NULL.
        return der.sequence(der.object_identifier(_RSA_SHA256), der.null())
    if isinstance(key, ec.EllipticCurvePrivateKey) and chosen is not None:
        return der.sequence(der.object_identifier(_ECDSA[chosen.name]))
    for kind, oid in _OWN.items():
        if isinstance(key, kind):
            return der.sequence(der.object_identifier(oid))
    raise SigningError(f"A {type(key).__name__} signs nothing here.")


def sign_octets(key: Any, octets: bytes) -> bytes:
    """Sign *octets* as `signature_algorithm` says.  Raises `SigningError`."""
    try:
        signature: bytes = key.sign(octets, *_parameters(key))
        if isinstance(key, rsa.RSAPrivateKey):
            # A faulty RSA-CRT signature would give the key away; checking one costs little.
            verify_octets(key.public_key(), signature, octets)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"The key did not sign: {error}") from error
    return signature


def verify_octets(public_key: Any, signature: bytes, octets: bytes) -> None:
    """Check a signature that `sign_octets` made.  Raises `SigningError`."""
    try:
        public_key.verify(signature, octets, *_parameters(public_key))
    except (InvalidSignature, TypeError, ValueError) as error:
        raise SigningError("The new signature does not verify; it was discarded.") from error


_BY_CURVE = {
    one.name: (ec.ECDSA(one),) for one in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}


def _parameters(key: Any) -> tuple[Any, ...]:
    """Give what signing and verifying are told beside the octets."""
    chosen = signature_hash(key)
    if chosen is None:
        return ()
    is_rsa = isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey))
    return (padding.PKCS1v15(), chosen) if is_rsa else _BY_CURVE[chosen.name]
