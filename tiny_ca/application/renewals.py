"""Find what is to be renewed."""

from collections.abc import Iterator
from datetime import timedelta

from tiny_ca.application.query import find_all
from tiny_ca.application.services import Services
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.renewal import is_due
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import Issuer

__all__ = ["due"]


def due(
    services: Services, issuer: Issuer, name: str, within: timedelta | None
) -> Iterator[CertificateRecord]:
    """Give the active certificates of *issuer* with this common name that are due.

    `*` in *name* stands for any characters.  CAs, which are rolled over, are left out, and what
    was followed by a later certificate already: it does not have the claim on its name.
    """
    now = services.clock.now()
    wanted = CertificateFilter(
        status=CertificateStatus.VALID,
        cert_types=frozenset(CertType) - {CertType.CA},
        issuer_id=issuer.issuer_id,
        common_name=name,
    )
    for record in find_all(services, wanted):
        validity = Validity(record.not_before, record.not_after)
        if is_due(validity, now, within) and _is_active(services, record):
            yield record


def _is_active(services: Services, record: CertificateRecord) -> bool:
    active = services.registry.get_by_name(record.common_name)
    return active is not None and active.position == record.position
