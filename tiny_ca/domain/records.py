"""What the registry keeps of a certificate, from before it is signed."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import folder_path, path_segment
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.serial import CertType

__all__ = [
    "CRLEntry",
    "CRLStamp",
    "CertificateRecord",
    "CertificateStatus",
    "Location",
    "PublishingLease",
    "Reservation",
    "RetryKey",
]


class CertificateStatus(StrEnum):
    """Where a certificate is in its life."""

    PENDING = "pending"
    """Reserved: its serial number is taken, and it may be being signed."""
    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ABANDONED = "abandoned"
    """Reserved, never handed out; its serial number stays taken."""
    UNKNOWN = "unknown"
    """The registry has no such serial number."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a certificate's files lie: `[folder/]<uuid>/<file_name>.*` under the base folder.

    Raises `UnsafePath` for anything that would leave it.
    """

    uuid: str
    file_name: str
    folder: str | None = None

    def __post_init__(self) -> None:
        path_segment(self.uuid)
        path_segment(self.file_name)
        if self.folder is not None:
            object.__setattr__(self, "folder", folder_path(self.folder))


@dataclass(frozen=True, slots=True)
class RetryKey:
    """The caller's key for a request that may be repeated, and what the request was."""

    key: str
    request_hash: str
    """SHA-256 of everything that the result depends on, in hex."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A row to be written before anything is signed."""

    serial_number: int
    issuer_id: str
    common_name: str
    cert_type: CertType
    validity: Validity
    location: Location
    created_at: datetime
    predecessor: int | None = None
    """The serial number, of the same registry, that this certificate follows."""
    predecessor_issuer_id: str | None = None
    """Of the predecessor; `None`: whichever issuer has used its serial number."""
    supersedes: bool = True
    """Whether the predecessor is revoked then, or only gives up its claim on the name."""
    retry_key: RetryKey | None = None
    is_renewal: bool = False
    """It keeps its predecessor's key."""
    profile: str | None = None
    claims_name: bool = True
    """Whether it is to be the only one of its common name."""
    authorities: tuple[tuple[str, int], ...] = ()
    """The CAs' certificates that it stands under: their issuers' ids and serial numbers."""


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A row of the registry."""

    serial_number: int
    issuer_id: str
    common_name: str
    cert_type: CertType
    status: CertificateStatus
    not_before: datetime
    not_after: datetime
    uuid: str | None
    cert_path: str | None
    file_name: str | None
    created_at: datetime
    certificate_pem: str | None
    revocation_date: datetime | None
    revocation_reason: CRLReason | None
    request_hash: str | None = None
    profile: str | None = None
    claims_name: bool = True
    position: int | None = field(default=None, compare=False, repr=False)
    """Its place in the registry, 1 or more: what was recorded later has a greater one."""

    @property
    def revocation(self) -> Revocation | None:
        """The revocation, if there is one."""
        if self.revocation_date is None:
            return None
        return Revocation(self.revocation_date, self.revocation_reason or CRLReason.UNSPECIFIED)

    @property
    def location(self) -> Location | None:
        """Where its files lie, if it has any and their name is known."""
        if self.uuid is None or self.file_name is None:
            return None
        return Location(self.uuid, self.file_name, self.cert_path)

    def status_at(self, moment: datetime) -> CertificateStatus:
        """The status at an aware *moment*: a valid certificate expires by itself."""
        is_over = Validity(self.not_before, self.not_after).is_over(moment)
        if self.status is CertificateStatus.VALID and is_over:
            return CertificateStatus.EXPIRED
        return self.status

    @property
    def not_valid_before(self) -> datetime:
        """`not_before`, as tiny_ca 0.1 calls it."""
        return self.not_before

    @property
    def not_valid_after(self) -> datetime:
        """`not_after`, as tiny_ca 0.1 calls it."""
        return self.not_after

    @property
    def key_type(self) -> str:
        """`cert_type`'s value, as tiny_ca 0.1 calls it."""
        return self.cert_type.value


@dataclass(frozen=True, slots=True)
class CRLEntry:
    """One line of a CRL (RFC 5280 §5.1.2.6)."""

    serial_number: int
    revocation_date: datetime
    revocation_reason: CRLReason
    invalidity_date: datetime | None = None
    """From when on the key is not to be trusted, where that is known (§5.3.2)."""


@dataclass(frozen=True, slots=True)
class PublishingLease:
    """That one process, and no other, publishes something of an issuer up to a moment."""

    issuer_id: str
    what: str
    """A `CRLScope`'s name, or another one, of up to 32 characters."""
    holder: str
    """Nobody else's name, up to 32 characters."""
    until: datetime


@dataclass(frozen=True, slots=True)
class CRLStamp:
    """Which CRL of an issuer this is (RFC 5280 §5.2.3), and from when to when it counts."""

    number: int
    this_update: datetime
    next_update: datetime
