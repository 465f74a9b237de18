"""`tiny-ca doctor`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.errors import ExitCode
from tiny_ca.adapters.inbound.cli.opening import opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.errors import CertNotFound, StorageError
from tiny_ca.domain.examination import Examination, Finding

if TYPE_CHECKING:
    from tiny_ca.lifecycle import CertLifecycleManager

__all__ = ["doctor"]


def doctor(
    *,
    fix: Annotated[bool, Parameter(help="Repair what can be repaired without loss.")] = False,
    common: Change = CHANGE,
) -> int:
    """Compare registry, files and CRLs.

    Says what is wrong. Without --fix, or with --dry-run, nothing is changed. The exit code is 5
    if something is wrong still.

    For example:

        tiny-ca doctor
        tiny-ca doctor --fix
    """
    out = Output(common)
    with opened(common) as ca, _told_once():
        _stand(ca.manager, common.ca or ca.settings.common_name)
        with working("Examining") as progress:
            examination = ca.manager.examine(fix=fix and not common.dry_run, progress=progress)
    if not out.document(_told(examination)):
        _tell(examination, out)
    return ExitCode.DONE if examination.is_sound else ExitCode.NOT_VALID


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep findings out of the log on stderr: they are printed."""
    logger = logging.getLogger("tiny_ca")

    def is_else(record: logging.LogRecord) -> bool:
        return getattr(record, "event", None) not in {"wrong", "repaired"}

    logger.addFilter(is_else)
    try:
        yield
    finally:
        logger.removeFilter(is_else)


def _stand(manager: "CertLifecycleManager", which: str | None) -> None:
    """Open the CA that is meant; of several, none has to be: each is looked at."""
    try:
        manager.open_ca(which)
    except (CertNotFound, StorageError) as error:
        # Files that are gone or damaged are what the examination is for; a passphrase that is
        # missing is not.
        if which is not None or "assword" in str(error):
            raise


def _told(examination: Examination) -> dict[str, Any]:
    return {
        "sound": examination.is_sound,
        "certificates": examination.certificates,
        "files": examination.files,
        "crls": examination.crls,
        "unexamined": examination.unexamined,
        "findings": [_told_of(finding) for finding in examination.findings],
    }


def _told_of(finding: Finding) -> dict[str, Any]:
    serial_number = finding.serial_number
    return {
        "problem": finding.problem,
        "where": finding.where,
        "serial": None if serial_number is None else hex_of(serial_number),
        "text": finding.text,
        "repaired": finding.is_repaired,
    }


def _tell(examination: Examination, out: Output) -> None:
    for finding in examination.findings:
        state, style = ("repaired", "green") if finding.is_repaired else ("wrong", "red")
        out.line(f"{state:10}{finding.text}", style)
    if examination.unexamined:
        out.line(f"not seen  {examination.unexamined}", "yellow")
    out.line(
        f"{'Sound' if examination.is_sound else 'Not sound'}: {examination.certificates} valid "
        f"certificates, {examination.files} files, {examination.crls} CRLs."
    )
