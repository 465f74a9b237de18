"""An OCSP client over cryptography, for tests."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tiny_ca.adapters.outbound.crypto import der

HASHES: dict[str, Any] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}


def ask(
    cert: x509.Certificate,
    issuer: x509.Certificate,
    digest: str = "sha1",
    nonce: bytes | None = None,
) -> bytes:
    """Give a request for one certificate."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(cert, issuer, HASHES[digest])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def cert_id(request_der: bytes) -> bytes:
    """Give the first certID of a request."""
    request = der.Reader(request_der).sequence().sequence().sequence().sequence()
    return request.encoded()


def request_of(*cert_ids: bytes, extensions: bytes = b"", single: bytes = b"") -> bytes:
    """Give a request for several certIDs, with encoded extensions."""
    requests = der.sequence(*(der.sequence(one, single) for one in cert_ids))
    return der.sequence(der.sequence(requests, extensions))


def read(response_der: bytes) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(response_der)


def verify(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate:
    """Check who signed a response as RFC 6960 §4.2.2.2 has it; give the signer's certificate."""
    signer = issuer
    if response.certificates:
        [signer] = response.certificates
        signer.verify_directly_issued_by(issuer)
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
        assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
    key: Any = signer.public_key()
    assert response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(key).digest
    chosen = response.signature_hash_algorithm
    if chosen is None:
        key.verify(response.signature, response.tbs_response_bytes)
    elif hasattr(key, "curve"):
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(chosen))
    else:
        key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), chosen)
    return signer
