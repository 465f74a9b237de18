"""What of a CA ends when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tiny_ca.domain.records import CertificateRecord, CRLStamp

__all__ = ["ExpiryReport"]


@dataclass(frozen=True, slots=True)
class ExpiryReport:
    """What of one CA ends when, as of one look at the registry."""

    issuer_id: str
    common_name: str
    """The CA's."""
    not_after: datetime
    """The end of the CA's certificate."""
    crls: Mapping[str, CRLStamp | None]
    """Every CRL that it should publish, by name; `None`: it was never published."""
    certificates: tuple[CertificateRecord, ...] = ()
    """Valid certificates that it issued and that end soon, soonest first."""
