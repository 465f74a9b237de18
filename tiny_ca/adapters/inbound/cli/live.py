"""What is told of a certificate that was issued, and its files under a name that stays."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_ca.adapters.inbound.cli.errors import InTheWay
from tiny_ca.adapters.inbound.cli.opening import Opened
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.errors import StorageError
from tiny_ca.domain.names import file_name_of

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["check_live", "told_of"]

_FILES = ("fullchain", "privkey", "cert", "chain")


def check_live(ca: Opened, common_name: str) -> None:
    """Check that live/ has room for a name.  Raises `InTheWay`."""
    from tiny_ca.adapters.outbound.storage import shown_in_live
    from tiny_ca.application.export import name_of

    if ca.settings.passphrase is not None:
        return
    base, name = ca.settings.base_folder, file_name_of(common_name)
    link = base / "live" / name
    if link.exists() and not link.is_symlink():
        raise InTheWay(f"{link} is no link of tiny-ca's: move it away.")
    shown = shown_in_live(base, name)
    other = common_name if shown is None else name_of(shown)
    if other != common_name and ca.manager.find_certificate(other):
        raise InTheWay(
            f"{link} is in use by {other!r}, whose files have the same name as those of "
            f"{common_name!r}: choose another first name, or revoke {other!r}."
        )


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
        "live": _live(ca, certificate) if "key" in files else {},
        "root": None if root is None else ca.files_of(root).get("pem"),
    }


def _live(ca: Opened, certificate: "x509.Certificate") -> dict[str, Path]:
    # Its keys are in the clear: not where somebody wants them encrypted.
    if ca.settings.passphrase is not None:
        return {}
    from tiny_ca.application.export import name_of

    serial_number, name = certificate.serial_number, file_name_of(name_of(certificate))
    if ca.is_dry_run:
        folder = ca.settings.base_folder / "live" / name
        return {
            each: folder / f"{each}.pem" for each in _FILES if (folder / f"{each}.pem").exists()
        }
    try:
        # By its name, which `check_live` found free, or left by a certificate that is over.
        folder = ca.manager.write_live(serial_number, ca.settings.base_folder, name)
    except StorageError as error:
        raise StorageError(
            f"The certificate {hex_of(serial_number)} is issued and on record, see `tiny-ca "
            f"show`; but: {error}"
        ) from error
    return {each: folder / f"{each}.pem" for each in _FILES}
