"""Writing and signing OCSP responses (RFC 6960 §4.2.1)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tiny_ca.adapters.outbound.crypto import der
from tiny_ca.adapters.outbound.crypto.keys import can_sign
from tiny_ca.adapters.outbound.crypto.ocsp_request import DIGESTS, NONCE, read_request
from tiny_ca.adapters.outbound.crypto.signatures import sign_octets, signature_algorithm
from tiny_ca.domain.errors import MalformedDER, SigningError
from tiny_ca.domain.ocsp import (
    CertID,
    CertStatus,
    IssuerKeyHash,
    OCSPRequest,
    ResponseStatus,
    SingleAnswer,
)
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["KeySigner", "OCSPBackend"]

_BASIC = der.object_identifier("1.3.6.1.5.5.7.48.1.1")
_SUCCESSFUL = der.enumerated(ResponseStatus.SUCCESSFUL)
_NONCE = der.object_identifier(NONCE)
_GOOD = der.implicit(0, der.null())
_UNKNOWN = der.implicit(2, der.null())
# RFC 5280 §5.3.1; unspecified is left out, as in CRLs.
_REASONS = {
    CRLReason.KEY_COMPROMISE: 1,
    CRLReason.CA_COMPROMISE: 2,
    CRLReason.AFFILIATION_CHANGED: 3,
    CRLReason.SUPERSEDED: 4,
    CRLReason.CESSATION_OF_OPERATION: 5,
    CRLReason.CERTIFICATE_HOLD: 6,
    CRLReason.PRIVILEGE_WITHDRAWN: 9,
    CRLReason.AA_COMPROMISE: 10,
}
_ALGORITHMS = {
    name: der.sequence(der.object_identifier(oid), der.null()) for oid, name in DIGESTS.items()
}

# All answers of one second have the same moments in them.
_moment = lru_cache(maxsize=256)(der.generalized_time)
_until = lru_cache(maxsize=256)(lambda moment: der.explicit(0, der.generalized_time(moment)))


class KeySigner:
    """Signs with a private key in memory.  Implements `ports.ocsp.OCSPSigner`.

    Raises `SigningError` for a key that can't sign responses.
    """

    def __init__(
        self,
        certificate: x509.Certificate,
        key: CertificateIssuerPrivateKeyTypes,
        *,
        is_included: bool,
    ) -> None:
        self.certificate = certificate
        self.not_after = certificate.not_valid_after_utc
        self._key = key
        self._algorithm = signature_algorithm(key)
        # By key: a name is longer, and the same for many.
        key_hash = hashlib.sha1(_key_bits(certificate), usedforsecurity=False).digest()
        self._responder_id = der.explicit(2, der.octet_string(key_hash))
        self._certificates = b""
        if is_included:
            encoded = certificate.public_bytes(Encoding.DER)
            self._certificates = der.explicit(0, der.sequence(encoded))

    def sign(
        self, answers: Sequence[SingleAnswer], produced_at: datetime, nonce: bytes | None = None
    ) -> bytes:
        """Give a whole OCSPResponse.  Raises `SigningError`."""
        extensions = b""
        if nonce is not None:
            extension = der.sequence(_NONCE, der.octet_string(der.octet_string(nonce)))
            extensions = der.explicit(1, der.sequence(extension))
        data = der.sequence(
            self._responder_id,
            _moment(produced_at),
            der.sequence(*map(_single_response, answers)),
            extensions,
        )
        signature = der.bit_string(sign_octets(self._key, data))
        basic = der.sequence(data, self._algorithm, signature, self._certificates)
        body = der.sequence(_BASIC, der.octet_string(basic))
        return der.sequence(_SUCCESSFUL, der.explicit(0, body))


def _single_response(answer: SingleAnswer) -> bytes:
    cert_id, status, revocation, this_update, next_update = answer
    said = _GOOD if status is CertStatus.GOOD else _UNKNOWN
    if revocation is not None:
        said = _revoked(revocation)
    return der.sequence(cert_id.der, said, _moment(this_update), _until(next_update))


def _revoked(revocation: Revocation) -> bytes:
    reason = _REASONS.get(revocation.reason)
    info = der.generalized_time(revocation.revocation_date)
    if reason is not None:
        info += der.explicit(0, der.enumerated(reason))
    return der.tlv(der.context(1), info)


class OCSPBackend:
    """`ports.ocsp.OCSPCodec`, with keys in memory."""

    def __init__(self) -> None:
        # Without a nonce, everybody asks for a certificate in the same octets.
        self._read_again = lru_cache(maxsize=4096)(read_request)

    def read_request(self, request_der: bytes) -> OCSPRequest:
        """Read a request.  Raises `MalformedDER`."""
        return (self._read_again if len(request_der) <= 128 else read_request)(request_der)

    def error(self, status: ResponseStatus) -> bytes:
        """Give an unsigned response that says why there is no answer."""
        return der.sequence(der.enumerated(status))

    def delegate(self, certificate: x509.Certificate, key: PrivateKey) -> KeySigner:
        """Give a delegated signer.  Raises `SigningError`."""
        if not can_sign(key) or key.public_key() != certificate.public_key():
            raise SigningError("The key is not the OCSP responder's.")
        return KeySigner(certificate, key, is_included=True)

    def cert_id(self, digest: str, issuer: IssuerKeyHash, serial_number: int) -> CertID:
        """Give a certID, as pre-signed responses have it."""
        hashes = map(der.octet_string, issuer)
        encoded = der.sequence(_ALGORITHMS[digest], *hashes, der.integer(serial_number))
        return CertID(digest, issuer, serial_number, encoded, is_canonical=True)

    def issuer_hashes(self, issuer: x509.Certificate) -> dict[str, IssuerKeyHash]:
        """Give what certIDs call an issuer, for each digest."""
        return {digest: _hashes(issuer, digest) for digest in _ALGORITHMS}


def _hashes(issuer: x509.Certificate, digest: str) -> IssuerKeyHash:
    """Hash the name, and the key without tag, length and unused bits (§4.1.1)."""
    parts = issuer.subject.public_bytes(), _key_bits(issuer)
    name, key = (hashlib.new(digest, part, usedforsecurity=False).digest() for part in parts)
    return name, key


def _key_bits(certificate: x509.Certificate) -> bytes:
    public_key: Any = certificate.public_key()
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        info = der.Reader(encoded).sequence()
        info.sequence()
        return info.bit_string()[0]
    except MalformedDER as error:
        raise SigningError(f"The public key can't be read: {error}") from error
