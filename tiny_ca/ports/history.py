"""What another program has issued and revoked, to be taken over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.records import CertificateStatus, Location
from tiny_ca.domain.revocation import Revocation
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.storage import Artefacts

__all__ = ["HistoryEntry", "HistorySource", "PastAuthority", "PastCertificate"]


@dataclass(frozen=True, slots=True)
class PastAuthority:
    """A CA of the history."""

    where: str
    """What to call it in an error: its file, or its row."""
    certificate: x509.Certificate
    private_key: PrivateKey | None = None
    """`None`: it is elsewhere, or was not asked for."""
    chain: tuple[x509.Certificate, ...] = ()
    """CAs above it."""
    crl_number: int = 0
    """The greatest that it has used, 0 if it numbered none (RFC 5280 §5.2.3)."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A certificate of the history, and what became of it."""

    where: str
    serial_number: int
    common_name: str
    """What the record says; a certificate's own name counts more.  May be empty."""
    not_after: datetime
    is_expired: bool = False
    """Whether the record says so."""
    revocation: Revocation | None = None
    invalidity_date: datetime | None = None
    certificate: x509.Certificate | None = None
    """`None`: only the record is left."""
    cert_type: CertType | None = None
    """`None`: nobody said."""
    file_name: str | None = None
    """What its files are called, without extension."""
    load_files: Callable[[], Artefacts] | None = None
    """Loads the certificate with its private key.  `None`: there is no key.  Raises as
    `HistorySource.entries`."""


@runtime_checkable
class HistorySource(Protocol):
    """The history of one CA, or of several that have one record.

    It is read twice, first to check and then to record, and is never written to.  Every method
    raises `DamagedHistory` for a file or row that can't be read, or contradicts another.
    """

    def authorities(self) -> Sequence[PastAuthority]:
        """Give the CAs, each above those that it has signed."""
        ...

    def entries(self) -> Iterator[HistoryEntry]:
        """Give every certificate on record, in the order in which they were issued."""
        ...

    def remarks(self) -> Iterator[str]:
        """Give, a sentence each, what it holds and neither of the others yields, and why."""
        ...


@dataclass(frozen=True, slots=True)
class PastCertificate:
    """What a registry is to record of a certificate that was signed elsewhere."""

    serial_number: int
    """0..2^160-1."""
    issuer_id: str
    common_name: str
    """At most 255 characters; empty: it has none, and claims none."""
    cert_type: CertType
    validity: Validity
    certificate: x509.Certificate | None = None
    """`None`: it is not known."""
    is_expired: bool = False
    """Whether it is over, whatever its validity says."""
    revocation: Revocation | None = None
    invalidity_date: datetime | None = None
    location: Location | None = None
    claims_name: bool = True

    def status_at(self, moment: datetime) -> CertificateStatus:
        """Give its status at an aware *moment*."""
        if self.revocation is not None:
            return CertificateStatus.REVOKED
        if self.is_expired or self.validity.is_over(moment):
            return CertificateStatus.EXPIRED
        return CertificateStatus.VALID
