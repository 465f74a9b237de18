"""A CA's files, under whichever name tiny_ca gave them."""

from dataclasses import replace

from tiny_ca.application.services import Services
from tiny_ca.domain.catalogue import AT_ONCE, CertificateFilter
from tiny_ca.domain.errors import StorageError
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.storage import Artefacts

__all__ = ["are_replaced", "load_files"]

_NAME_IN_0_2 = "intermediate_ca"
"""What tiny_ca 0.2 called a subordinate CA's files; it recorded no file names."""


def load_files(services: Services, record: CertificateRecord, location: Location) -> Artefacts:
    """Load what lies at *location*, that of *record*.  Raises `StorageError`."""
    try:
        return services.storage.load(location)
    except StorageError as error:
        if record.file_name is not None or record.cert_type is not CertType.CA:
            raise
        try:
            return services.storage.load(replace(location, file_name=_NAME_IN_0_2))
        except StorageError as second:
            raise StorageError(f"{error} Nor as {_NAME_IN_0_2}: {second}") from error


def are_replaced(services: Services, record: CertificateRecord, location: Location) -> bool:
    """Whether the files of *record*, at *location*, gave way to a later certificate's.

    `is_overwrite` puts any certificate into a folder that it is given.
    """
    there = services.registry.page(
        CertificateFilter(uuid=location.uuid), services.clock.now(), AT_ONCE
    )
    return any(
        later.location is not None
        and later.location.folder == location.folder
        and (later.position or 0) > (record.position or 0)
        and later.status not in (CertificateStatus.PENDING, CertificateStatus.ABANDONED)
        for later in there
    )
