"""What is told of a certificate that was issued, and its files under a name that stays."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_ca.adapters.inbound.cli.opening import Opened
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.errors import StorageError
from tiny_ca.domain.names import file_name_of

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["check_live", "told_of"]

_FILES = ("fullchain", "privkey", "cert", "chain")


def check_live(ca: Opened, common_name: str) -> None:
    """Check that live/ has room for a name.  Raises `StorageError`."""
    link = ca.settings.base_folder / "live" / file_name_of(common_name)
    if link.exists() and not link.is_symlink():
        raise StorageError(f"{link} is no link of tiny-ca's: move it away.")


def told_of(ca: Opened, certificate: "x509.Certificate") -> dict[str, Any]:
    """Have live/ lead to a certificate's files, and give what is told of it."""
    manager = ca.manager
    details = manager.inspect_certificate(certificate)
    record = manager.find_certificate(certificate.serial_number)
    root = manager.find_certificate(manager.get_cert_chain(certificate)[-1].serial_number)
    files = {} if record is None else ca.files_of(record)
    return {
        "serial": hex_of(certificate.serial_number),
        "common_name": details.common_name,
        "names": [*details.san_dns, *details.san_ip, *details.san_email, *details.san_uri],
        "profile": None if record is None else record.profile,
        "not_after": details.not_valid_after,
        "files": files,
        "live": _live(ca, certificate.serial_number) if "key" in files else {},
        "root": None if root is None else ca.files_of(root).get("pem"),
    }


def _live(ca: Opened, serial_number: int) -> dict[str, Path]:
    # Its keys are in the clear: not where somebody wants them encrypted.
    if ca.settings.passphrase is not None:
        return {}
    try:
        folder = ca.manager.write_live(serial_number, ca.settings.base_folder)
    except StorageError as error:
        raise StorageError(
            f"The certificate {hex_of(serial_number)} is issued and on record, see `tiny-ca "
            f"show`; but: {error}"
        ) from error
    return {each: folder / f"{each}.pem" for each in _FILES}
