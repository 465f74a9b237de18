"""Delete what nobody needs any more."""

from tiny_ca.application.issuance import location_of
from tiny_ca.application.services import Services
from tiny_ca.application.stored import are_replaced
from tiny_ca.domain.names import file_name_of
from tiny_ca.domain.records import CertificateRecord, Location

__all__ = ["delete", "remove_folders"]


def delete(services: Services, serial_number: int, folder: str | None = None) -> bool:
    """Delete a certificate's row, then its folder.  False: the registry does not know it.

    The row goes first, and leaves a note of the folder in the same transaction: a row without
    files would be a certificate that can't be loaded, while a folder without a row is what the
    note, and `recover`, are for.  *folder* is where a certificate's folder lies if its row does
    not say.  Raises `StillNeeded`.
    """
    record = services.registry.get_by_serial(serial_number)
    if record is None:
        return False
    location = _location(services, record, folder)
    if location is not None and are_replaced(services, record, location):
        location = None
    if not services.registry.delete(serial_number, services.clock.now(), location):
        return False
    remove_folders(services)
    return True


def _location(services: Services, record: CertificateRecord, folder: str | None) -> Location | None:
    name = file_name_of(record.common_name)
    if folder is not None and record.location is None and record.uuid is not None:
        return Location(record.uuid, name, folder)
    return location_of(services, record, name)


def remove_folders(services: Services) -> int:
    """Remove the folders of deleted rows; count them.  Twice changes nothing."""
    count = 0
    for location in services.registry.deleted():
        services.storage.delete(location)
        services.registry.forget(location)
        count += 1
    return count
