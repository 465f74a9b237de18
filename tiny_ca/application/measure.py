"""See what of a CA ends when."""

from tiny_ca.application.authority import display_name
from tiny_ca.application.publish_due import published_stamps
from tiny_ca.application.query import find_expiring
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.expiry import ExpiryReport
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.ports.issuer import Issuer

__all__ = ["measure_expiry"]

_PAGE = 500


def measure_expiry(
    services: Services, issuer: Issuer, within_days: int, limit: int
) -> ExpiryReport:
    """Read it from the registry, and tell the observer, if there is one.

    At most *limit* certificates of *issuer* that end within so many days.
    """
    if within_days < 0 or limit < 0:
        raise InvalidRequest(f"within_days and limit are 0 or more, got {within_days}, {limit}.")
    report = ExpiryReport(
        issuer_id=issuer.issuer_id,
        common_name=display_name(issuer.certificate.subject),
        not_after=issuer.certificate.not_valid_after_utc,
        crls=published_stamps(services, issuer),
        certificates=tuple(_expiring(services, issuer.issuer_id, within_days, limit)),
    )
    if services.observing is not None:
        services.observing.measured(report)
    return report


def _expiring(
    services: Services, issuer_id: str, within_days: int, limit: int
) -> list[CertificateRecord]:
    found: list[CertificateRecord] = []
    last: CertificateRecord | None = None
    while len(found) < limit:
        page = find_expiring(services, within_days, _PAGE, last)
        found += (record for record in page if record.issuer_id == issuer_id)
        if len(page) < _PAGE:
            break
        last = page[-1]
    return found[:limit]
