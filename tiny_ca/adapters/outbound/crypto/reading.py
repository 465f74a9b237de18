"""Reading what others made: of requests (RFC 2986), only a signed key is believed."""

from collections.abc import Callable, Iterator
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.adapters.outbound.crypto.keys import key_spec_of
from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain.errors import ErrorLoadCert, InvalidCSR, WeakKey
from tiny_ca.domain.names import SUBJECT_ATTRIBUTES, GeneralName
from tiny_ca.ports.crypto import ReceivedRequest

__all__ = ["check_readable", "read_request"]

_LARGEST = 64 * 1024
_MOST_NAMES = 100
_ATTRIBUTES = {oid: attribute for attribute, oid in SUBJECT_ATTRIBUTES}
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_NAMES: dict[type[x509.GeneralName], Callable[[str], GeneralName]] = {
    x509.DNSName: GeneralName.dns,
    x509.IPAddress: GeneralName.ip,
    x509.RFC822Name: GeneralName.email,
    x509.UniformResourceIdentifier: GeneralName.uri,
}


def read_request(
    csr: x509.CertificateSigningRequest | bytes | str, *, for_ca: bool = False
) -> ReceivedRequest:
    """Read a request.  Raises `InvalidCSR`, `WeakKey` or `InvalidName`."""
    request = _checked(csr) if isinstance(csr, x509.CertificateSigningRequest) else _parse(csr)
    try:
        public_key = request.public_key()
        is_proved = request.is_signature_valid
    except (UnsupportedAlgorithm, TypeError) as error:
        raise WeakKey(f"The request's key or signature is of an unknown kind: {error}") from error
    except UNREADABLE as error:
        raise InvalidCSR(f"The request is malformed: {error}") from error
    try:
        extensions = list(request.extensions)
        attributes = [attribute.oid.dotted_string for attribute in request.attributes]
        subject = list(request.subject)
    except UNREADABLE as error:
        raise InvalidCSR(f"The request is malformed: {error}") from error
    if not is_proved:
        raise InvalidCSR("The request is not signed by its own key: its sender may not have it.")
    key = key_spec_of(public_key)
    names, others = _names(extensions)
    others += [name for extension in extensions for name in _uses(extension, for_ca=for_ca)]
    # RFC 2985 §5.4.2: extensionRequest, which was read above.
    others += [oid for oid in attributes if oid != "1.2.840.113549.1.9.14"]
    return ReceivedRequest(
        csr=request,
        public_key=public_key,
        key=key,
        subject=_subject(subject, others),
        names=names,
        others=tuple(others),
    )


def check_readable(certificate: x509.Certificate) -> None:
    """Check that key and extensions of a certificate can be read.  Raises `ErrorLoadCert`."""
    try:
        certificate.public_key()
        _ = certificate.extensions, certificate.subject, certificate.issuer
    except UNREADABLE as error:
        raise ErrorLoadCert("the certificate", f"it can't be read: {error}") from error


def _check_length(length: int) -> None:
    if length > _LARGEST:
        raise InvalidCSR(f"The request is {length} bytes long, more than {_LARGEST}.")


def _checked(csr: x509.CertificateSigningRequest) -> x509.CertificateSigningRequest:
    # What is in it has not been parsed yet.
    _check_length(len(csr.public_bytes(Encoding.DER)))
    return csr


def _parse(csr: bytes | str) -> x509.CertificateSigningRequest:
    # Before it is parsed, and before a string is even encoded: a parser's work grows with it.
    _check_length(len(csr))
    try:
        data = csr.encode("ascii") if isinstance(csr, str) else csr
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except UNREADABLE as error:
        raise InvalidCSR(f"The request can't be read as PEM or DER: {error}") from error


def _subject(subject: list[x509.NameAttribute[Any]], others: list[str]) -> dict[str, str]:
    taken: dict[str, str] = {}
    for each in subject:
        attribute = _ATTRIBUTES.get(each.oid.dotted_string)
        if attribute is None or attribute in taken or not isinstance(each.value, str):
            others.append(f"subject attribute {each.oid.dotted_string}")
        else:
            taken[attribute] = each.value
    return taken


def _names(
    extensions: list[x509.Extension[x509.ExtensionType]],
) -> tuple[tuple[GeneralName, ...], list[str]]:
    names: list[GeneralName] = []
    others: list[str] = []
    for extension in extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            continue
        asked = list(extension.value)
        if len(asked) > _MOST_NAMES:
            raise InvalidCSR(f"The request has {len(asked)} names, more than {_MOST_NAMES}.")
        for name in asked:
            make = _NAMES.get(type(name))
            if make is None:
                others.append(f"a name of kind {type(name).__name__}")
            else:
                names.append(make(str(name.value)))
    return tuple(names), others


def _uses(extension: x509.Extension[x509.ExtensionType], *, for_ca: bool) -> Iterator[str]:
    """Name what an extension asks for; names were read elsewhere."""
    value = extension.value
    if isinstance(value, x509.BasicConstraints):
        if value.ca and not for_ca:
            raise InvalidCSR("The request is for a CA (CA:TRUE): sign it with a CA's profile.")
        return
    if isinstance(value, x509.ExtendedKeyUsage):
        yield from (f"extended key usage {oid.dotted_string}" for oid in value)
    elif isinstance(value, x509.KeyUsage):
        yield from (f"key usage {bit}" for bit in _KEY_USAGES if getattr(value, bit))
    elif not isinstance(value, (x509.SubjectAlternativeName, x509.SubjectKeyIdentifier)):
        yield f"extension {extension.oid.dotted_string}"
