"""Writing, signing and checking CRLs of any size (RFC 5280 §5)."""

from collections.abc import Iterable, Iterator
from hashlib import new as new_hash
from itertools import chain, count
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtensionOID

from tiny_ca.adapters.outbound.crypto.extensions import (
    authority_key_identifier,
    distribution_point,
    uris,
)
from tiny_ca.adapters.outbound.crypto.keys import signature_hash
from tiny_ca.domain import der
from tiny_ca.domain.crl import CRLPlan
from tiny_ca.domain.crl_reader import AUTHORITY_KEY_IDENTIFIER, CRLReader, parse_crl
from tiny_ca.domain.errors import MalformedDER, SigningError, ValidationCertError

__all__ = ["sign_crl", "verify_crl"]

_BLOCK = 1 << 18
"""How much is read at once: each call gives other threads a turn."""
_ROOM = 3 * len(der.header(der.SEQUENCE, 1 << 62))
"""The most that the headers of all that holds the entries take."""

_RSA_OIDS = {"sha256": "1.2.840.113549.1.1.11"}
_ECDSA_OIDS = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_KNOWN = {
    ExtensionOID.DELTA_CRL_INDICATOR.dotted_string,
    ExtensionOID.ISSUING_DISTRIBUTION_POINT.dotted_string,
}
_OWN_OIDS: dict[type, str] = {
    ed25519.Ed25519PublicKey: "1.3.101.112",
    ed448.Ed448PublicKey: "1.3.101.113",
    mldsa.MLDSA44PublicKey: "2.16.840.1.101.3.4.3.17",
    mldsa.MLDSA65PublicKey: "2.16.840.1.101.3.4.3.18",
    mldsa.MLDSA87PublicKey: "2.16.840.1.101.3.4.3.19",
}


def _algorithm(public_key: Any) -> bytes:
    """Give the AlgorithmIdentifier of this key's signatures (RFC 4055, 5758, 8410, 9881)."""
    chosen = signature_hash(public_key)
    if isinstance(public_key, rsa.RSAPublicKey) and chosen is not None:
        # RFC 4055 §5: the parameters are NULL.
        return der.sequence(der.object_identifier(_RSA_OIDS[chosen.name]), der.null())
    if isinstance(public_key, ec.EllipticCurvePublicKey) and chosen is not None:
        return der.sequence(der.object_identifier(_ECDSA_OIDS[chosen.name]))
    for kind, oid in _OWN_OIDS.items():
        if isinstance(public_key, kind):
            return der.sequence(der.object_identifier(oid))
    raise SigningError(f"CRLs are not signed by a {type(public_key).__name__}.")


def sign_crl(
    ca: x509.Certificate,
    key: CertificateIssuerPrivateKeyTypes,
    plan: CRLPlan,
    entries: Iterable[bytes],
    file: BinaryIO,
) -> None:
    """Write a signed CRL into an empty *file*, in constant memory where the key allows.

    Raises `SigningError` when the key can't sign.
    """
    algorithm = _algorithm(ca.public_key())
    head, tail = _around_the_entries(ca, plan, algorithm)
    # Lengths come before what they are of: the entries are written past the room that all of
    # it may take, and moved up when it is known.
    room = _ROOM + len(head)
    file.seek(room)
    size = 0
    for part in entries:
        file.write(part)
        size += len(part)
    if size:
        head += der.header(der.SEQUENCE, size)
    head = der.header(der.SEQUENCE, len(head) + size + len(tail)) + head
    signature = _sign(key, chain((head,), _blocks(file, room, size), (tail,)))
    foot = tail + algorithm + der.bit_string(signature)
    head = der.header(der.SEQUENCE, len(head) + size + len(foot)) + head
    file.seek(0)
    file.write(head)
    for at, block in zip(count(len(head), _BLOCK), _blocks(file, room, size), strict=False):
        file.seek(at)
        file.write(block)
    file.seek(len(head) + size)
    file.write(foot)
    file.truncate()
    file.flush()


def _blocks(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    for at in range(start, start + size, _BLOCK):
        file.seek(at)
        yield file.read(min(_BLOCK, start + size - at))


def _around_the_entries(
    ca: x509.Certificate, plan: CRLPlan, algorithm: bytes
) -> tuple[bytes, bytes]:
    """Give the fields of a TBSCertList before revokedCertificates, and after (§5.1.2)."""
    before = (
        der.integer(1),
        algorithm,
        ca.subject.public_bytes(),
        der.time(plan.stamp.this_update),
        der.time(plan.stamp.next_update),
    )
    extensions = der.sequence(*(_extension(*each) for each in _extensions(ca, plan)))
    return b"".join(before), der.explicit(0, extensions)


def _extension(value: x509.ExtensionType, critical: bool) -> bytes:
    return der.sequence(
        der.object_identifier(value.oid.dotted_string),
        der.boolean(True) if critical else b"",
        der.octet_string(value.public_bytes()),
    )


def _extensions(ca: x509.Certificate, plan: CRLPlan) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield authority_key_identifier(ca), False
    yield x509.CRLNumber(plan.stamp.number), False
    if plan.base_number is not None:
        yield x509.DeltaCRLIndicator(plan.base_number), True
    if plan.distribution_point:
        yield (
            x509.IssuingDistributionPoint(
                full_name=uris(plan.distribution_point),
                relative_name=None,
                only_contains_user_certs=False,
                only_contains_ca_certs=False,
                only_some_reasons=None,
                indirect_crl=False,
                only_contains_attribute_certs=False,
            ),
            True,
        )
    if plan.freshest:
        yield x509.FreshestCRL([distribution_point(plan.freshest)]), False


def _prehashed(public_key: Any, parts: Iterable[bytes]) -> tuple[bytes, tuple[Any, ...]]:
    """Give what is signed, and the arguments after it: a digest if the key signs digests."""
    chosen = signature_hash(public_key)
    if chosen is None:
        return b"".join(parts), ()
    digest = new_hash(chosen.name)
    for part in parts:
        digest.update(part)
    prehashed: Any = Prehashed(chosen)
    if isinstance(public_key, rsa.RSAPublicKey):
        return digest.digest(), (padding.PKCS1v15(), prehashed)
    return digest.digest(), (ec.ECDSA(prehashed),)


def _sign(key: Any, parts: Iterable[bytes]) -> bytes:
    to_be_signed, arguments = _prehashed(key.public_key(), parts)
    try:
        signature: bytes = key.sign(to_be_signed, *arguments)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"The CA's key did not sign the CRL: {error}") from error
    return signature


def verify_crl(ca: x509.Certificate, data: bytes | memoryview) -> CRLReader:
    """Check that *ca* signed a CRL and may do so, and give what it says.

    Raises `ValidationCertError`, for a critical extension that is not known too (§5.2).
    """
    public_key: Any = ca.public_key()
    try:
        crl = parse_crl(data)
        algorithm = _algorithm(public_key)
    except (MalformedDER, SigningError) as error:
        raise ValidationCertError(f"The CRL can't be read: {error}") from error
    _check_fields(ca, crl, algorithm)
    to_be_signed, arguments = _prehashed(public_key, crl.octets(crl.to_be_signed))
    try:
        public_key.verify(crl.signature, to_be_signed, *arguments)
    except (InvalidSignature, TypeError, ValueError) as error:
        raise ValidationCertError(f"This CA's key did not sign the CRL: {error}") from error
    return crl


def _check_fields(ca: x509.Certificate, crl: CRLReader, algorithm: bytes) -> None:
    if not _may_sign_crls(ca):
        raise ValidationCertError("The CA's key usage does not allow it to sign CRLs (cRLSign).")
    own = authority_key_identifier(ca).public_bytes()
    _, identifier = crl.extensions.get(AUTHORITY_KEY_IDENTIFIER, (False, own))
    if crl.issuer != ca.subject.public_bytes() or identifier != own:
        raise ValidationCertError("The CRL's issuer is not this CA.")
    if crl.algorithm != algorithm:
        raise ValidationCertError("The CRL is not signed as this CA signs.")
    critical = {oid for oid, (is_critical, _) in crl.extensions.items() if is_critical}
    if unknown := critical - _KNOWN:
        names = ", ".join(sorted(unknown))
        raise ValidationCertError(f"The CRL has critical extensions that are not known: {names}.")


def _may_sign_crls(ca: x509.Certificate) -> bool:
    """Whether the CA's key usage has cRLSign (§4.2.1.3); without it every usage is allowed."""
    try:
        return ca.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True
