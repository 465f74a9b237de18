"""Reading what a certificate says, whoever made it."""

from datetime import datetime
from typing import Protocol, runtime_checkable

from cryptography import x509
from pydantic import BaseModel, ConfigDict, computed_field

from tiny_ca.domain.serial import CertType, parse_serial_number

__all__ = ["CertificateDetails", "Inspector"]


class CertificateDetails(BaseModel):
    """What a certificate says, in plain values: `model_dump_json()` writes all of it.

    Nothing here is checked: neither signature nor validity, and names are as they were written.
    What could not be read is listed in `unreadable`, and its field is as if it were absent,
    except `is_ca`, which is `None` then.
    """

    # What a later version adds, this one reads past; the computed fields are such too.
    model_config = ConfigDict(frozen=True, extra="ignore")

    serial_number: int
    subject: str | None = None
    """RFC 4514 string; "" for an empty name, `None` if it can't be read; *issuer* likewise."""
    issuer: str | None = None
    common_name: str | None = None
    organization: str | None = None
    country: str | None = None
    issuer_cn: str | None = None
    not_valid_before: datetime
    """Aware UTC, whole seconds; *not_valid_after* too, which is inclusive."""
    not_valid_after: datetime
    public_key_algorithm: str | None = None
    """A `KeyAlgorithm` where it is one, else a curve's name or the OID."""
    public_key_size: int | None = None
    """Bits of the modulus or curve; `None` where the algorithm says it."""
    signature_algorithm: str | None = None
    """Such as `ecdsa-with-sha256`, or the OID of one that has no name here."""
    fingerprint_sha256: str
    """Of the DER: upper-case hex with colons."""
    is_ca: bool | None
    """cA of BasicConstraints (RFC 5280 §4.2.1.9); `None` if that can't be read."""
    path_length: int | None = None
    key_usage: list[str] = []
    """Names of the bits of RFC 5280 §4.2.1.3, as `digital_signature`."""
    extended_key_usage: list[str] = []
    """OIDs."""
    san_dns: list[str] = []
    san_ip: list[str] = []
    san_email: list[str] = []
    san_uri: list[str] = []
    san_other: list[str] = []
    """Names of other kinds, as `dirName:CN=a`, `RID:1.2.3` and `otherName:1.2.3`."""
    subject_key_identifier: str | None = None
    """Hex; *authority_key_identifier* too."""
    authority_key_identifier: str | None = None
    crl_urls: list[str] = []
    ocsp_urls: list[str] = []
    issuer_urls: list[str] = []
    policies: list[str] = []
    """OIDs of the certificate policies."""
    permitted_subtrees: list[str] = []
    """Name constraints (RFC 5280 §4.2.1.10), as `DNS:example.com` and `IP:10.0.0.0/8`."""
    excluded_subtrees: list[str] = []
    unknown_critical_extensions: list[str] = []
    """OIDs of critical extensions that no field above tells of."""
    unreadable: list[str] = []
    """What is malformed or not understood, and why."""

    @computed_field
    def serial_hex(self) -> str:
        """The serial number in hex, which JSON readers don't round."""
        return f"{self.serial_number:x}"

    @computed_field
    def cert_type(self) -> CertType | None:
        """The type that a serial number of tiny_ca begins with."""
        return parse_serial_number(self.serial_number)[0]


@runtime_checkable
class Inspector(Protocol):
    """Reads certificates."""

    def inspect(self, certificate: x509.Certificate | bytes | str) -> CertificateDetails:
        """Give what a certificate says: an object, PEM (the first one in it), or DER.

        Takes hostile input, 64 KiB at most.  Raises `ErrorLoadCert` for what is no
        certificate, and for one without a readable serial number or validity; anything else
        that can't be read is listed.
        """
        ...
