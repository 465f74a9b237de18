"""`ports.inspector.Inspector` by pyca/cryptography."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    NameOID,
    ObjectIdentifier,
    PublicKeyAlgorithmOID,
    SignatureAlgorithmOID,
)

from tiny_ca.adapters.outbound.crypto.salvage import (
    UNREADABLE,
    Extensions,
    read_extensions,
    read_name,
)
from tiny_ca.domain.errors import ErrorLoadCert
from tiny_ca.domain.keys import KeyAlgorithm
from tiny_ca.ports.inspector import CertificateDetails

__all__ = ["CryptographyInspector", "load_certificate"]

T = TypeVar("T")

_SOURCE = "the certificate"
_LONGEST = 64 * 1024
"""Octets: the longest signatures there are (49,856, RFC 9909) fit into it."""
_LONGEST_SERIAL_BITS = 1024


def _names_of(identifiers: type) -> dict[ObjectIdentifier, str]:
    return {
        oid: name.lower().replace("_", "-")
        for name, oid in vars(identifiers).items()
        if isinstance(oid, ObjectIdentifier) and not name.startswith("_")
    }


_SIGNATURES = _names_of(SignatureAlgorithmOID)
_PUBLIC_KEYS = _names_of(PublicKeyAlgorithmOID) | {
    PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5: KeyAlgorithm.RSA.value
}
_CURVES = {
    "secp256r1": KeyAlgorithm.P256.value,
    "secp384r1": KeyAlgorithm.P384.value,
    "secp521r1": KeyAlgorithm.P521.value,
}
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_USAGES_IN_AGREEMENT = ("encipher_only", "decipher_only")


class CryptographyInspector:
    """Reads certificates, of others and malformed ones too."""

    def inspect(self, certificate: x509.Certificate | bytes | str) -> CertificateDetails:
        """Give what a certificate says.  Raises `ErrorLoadCert`, and `TypeError` for no input."""
        if not isinstance(certificate, x509.Certificate):
            certificate = load_certificate(certificate)
        return _Reading(certificate).details()


def load_certificate(data: bytes | str) -> x509.Certificate:
    """Read PEM (the first certificate in it) or DER.  Raises `ErrorLoadCert`."""
    if not isinstance(data, bytes | str):
        raise TypeError(f"A certificate is an object, bytes or str, got {type(data).__name__}.")
    if len(data) > _LONGEST:
        raise ErrorLoadCert(_SOURCE, f"it is longer than {_LONGEST} octets.")
    try:
        octets = data.encode() if isinstance(data, str) else data
        # A SEQUENCE of 128 octets or more: no text begins with these two.
        if octets[:1] == b"0" and octets[1:2] > b"\x80":
            return x509.load_der_x509_certificate(octets)
        return x509.load_pem_x509_certificate(octets)
    except UNREADABLE as error:
        raise ErrorLoadCert(_SOURCE, f"it is neither PEM nor DER of one: {error}") from error


class _Reading:
    """One certificate, and what of it turned out to be unreadable."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate
        self._unreadable: list[str] = []

    def details(self) -> CertificateDetails:
        certificate = self._certificate
        subject = self._part("subject", lambda: read_name(certificate, of_issuer=False))
        issuer = self._part("issuer", lambda: read_name(certificate, of_issuer=True))
        algorithm, bits = self._public_key()
        signature = certificate.signature_algorithm_oid
        return CertificateDetails(
            **self._identity(),
            **self._extensions(),
            subject=self._written("subject", subject),
            issuer=self._written("issuer", issuer),
            common_name=_first(subject, NameOID.COMMON_NAME),
            organization=_first(subject, NameOID.ORGANIZATION_NAME),
            country=_first(subject, NameOID.COUNTRY_NAME),
            issuer_cn=_first(issuer, NameOID.COMMON_NAME),
            public_key_algorithm=algorithm,
            public_key_size=bits,
            signature_algorithm=_SIGNATURES.get(signature, signature.dotted_string),
            fingerprint_sha256=certificate.fingerprint(SHA256()).hex(":").upper(),
            unreadable=self._unreadable,
        )

    def _part(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except UNREADABLE as error:
            self._unreadable.append(f"{what}: {error}")
            return None

    def _written(self, what: str, name: x509.Name | None) -> str | None:
        return None if name is None else self._part(what, name.rfc4514_string)

    def _identity(self) -> dict[str, Any]:
        """Read that without which it is no certificate."""
        certificate = self._certificate
        try:
            serial_number = certificate.serial_number
            identity = {
                "serial_number": serial_number,
                "not_valid_before": certificate.not_valid_before_utc,
                "not_valid_after": certificate.not_valid_after_utc,
            }
        except UNREADABLE as error:
            raise ErrorLoadCert(_SOURCE, str(error)) from error
        if serial_number.bit_length() > _LONGEST_SERIAL_BITS:
            raise ErrorLoadCert(_SOURCE, "its serial number is longer than 1024 bits.")
        return identity

    def _public_key(self) -> tuple[str, int | None]:
        oid = self._certificate.public_key_algorithm_oid
        algorithm = _PUBLIC_KEYS.get(oid, oid.dotted_string)
        key: Any = self._part("public key", self._certificate.public_key)
        curve = getattr(key, "curve", None)
        if curve is not None:
            algorithm = _CURVES.get(curve.name, curve.name)
        return algorithm, getattr(key, "key_size", None)

    def _extensions(self) -> dict[str, Any]:
        found = read_extensions(self._certificate)
        self._unreadable += [
            f"extension {oid}: {reason}" if oid else f"extensions: {reason}"
            for oid, reason in found.unreadable.items()
        ]
        fields: dict[str, Any] = {"is_ca": _is_ca_without_constraints(found)}
        unknown = []
        for extension in found.readable:
            reader = _READERS.get(type(extension.value))
            if reader is not None:
                fields |= reader(extension.value)
            elif extension.critical:
                unknown.append(extension.oid.dotted_string)
        return {**fields, "unknown_critical_extensions": unknown}


def _is_ca_without_constraints(found: Extensions) -> bool | None:
    is_hidden = {"", x509.BasicConstraints.oid.dotted_string} & found.unreadable.keys()
    return None if is_hidden else False


def _first(name: x509.Name | None, oid: ObjectIdentifier) -> str | None:
    values = [one.value for one in name.get_attributes_for_oid(oid)] if name else []
    return values[0] if values and isinstance(values[0], str) else None


# The kinds as OpenSSL calls them, and how their values are written.
_KINDS: dict[type[x509.GeneralName], tuple[str, Callable[[Any], str]]] = {
    x509.DNSName: ("DNS", lambda name: name.value),
    x509.IPAddress: ("IP", lambda name: str(name.value)),
    x509.RFC822Name: ("email", lambda name: name.value),
    x509.UniformResourceIdentifier: ("URI", lambda name: name.value),
    x509.DirectoryName: ("dirName", lambda name: name.value.rfc4514_string()),
    x509.RegisteredID: ("RID", lambda name: name.value.dotted_string),
    x509.OtherName: ("otherName", lambda name: name.type_id.dotted_string),
}


def _general_name(name: x509.GeneralName) -> tuple[str, str]:
    kind, write = _KINDS[type(name)]
    return kind, write(name)


def _alternative_names(names: x509.SubjectAlternativeName) -> dict[str, Any]:
    fields: dict[str, list[str]] = {}
    places = {"DNS": "san_dns", "IP": "san_ip", "email": "san_email", "URI": "san_uri"}
    for kind, value in map(_general_name, names):
        place = places.get(kind)
        text = value if place else f"{kind}:{value}"
        fields.setdefault(place or "san_other", []).append(text)
    return fields


def _key_usage(usage: x509.KeyUsage) -> dict[str, Any]:
    # The last two have a meaning beside keyAgreement alone, and raise without it.
    bits = _USAGES + _USAGES_IN_AGREEMENT if usage.key_agreement else _USAGES
    return {"key_usage": [bit for bit in bits if getattr(usage, bit)]}


def _uris(names: Iterable[x509.GeneralName]) -> list[str]:
    return [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]


def _access(descriptions: x509.AuthorityInformationAccess) -> dict[str, Any]:
    def at(method: ObjectIdentifier) -> list[str]:
        return _uris(one.access_location for one in descriptions if one.access_method == method)

    return {
        "ocsp_urls": at(AuthorityInformationAccessOID.OCSP),
        "issuer_urls": at(AuthorityInformationAccessOID.CA_ISSUERS),
    }


def _subtrees(names: Iterable[x509.GeneralName] | None) -> list[str]:
    return [":".join(_general_name(name)) for name in names or ()]


_READERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    x509.BasicConstraints: lambda value: {"is_ca": value.ca, "path_length": value.path_length},
    x509.KeyUsage: _key_usage,
    x509.ExtendedKeyUsage: lambda value: {
        "extended_key_usage": [oid.dotted_string for oid in value]
    },
    x509.SubjectAlternativeName: _alternative_names,
    x509.SubjectKeyIdentifier: lambda value: {"subject_key_identifier": value.digest.hex()},
    x509.AuthorityKeyIdentifier: lambda value: {
        "authority_key_identifier": value.key_identifier and value.key_identifier.hex()
    },
    x509.CRLDistributionPoints: lambda value: {
        "crl_urls": [url for point in value for url in _uris(point.full_name or ())]
    },
    x509.AuthorityInformationAccess: _access,
    x509.CertificatePolicies: lambda value: {
        "policies": [policy.policy_identifier.dotted_string for policy in value]
    },
    x509.NameConstraints: lambda value: {
        "permitted_subtrees": _subtrees(value.permitted_subtrees),
        "excluded_subtrees": _subtrees(value.excluded_subtrees),
    },
}
