"""Whether registry, files and CRLs agree."""

from tiny_ca.application import examine
from tiny_ca.domain.examination import Examination
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields
from tiny_ca.ports.progress import Progress

__all__ = ["Examining"]


class Examining(Face):
    """The operation that looks at everything."""

    def examine(self, *, fix: bool = False, progress: Progress | None = None) -> Examination:
        """Compare every valid certificate, every file and every CRL with the registry.

        With *fix*, what can be repaired without loss is: a certificate that is missing is
        written from the registry (its private key is nowhere else), a key that others may read
        becomes its owner's, a CRL that is missing, older than the last one, or over is followed
        by a new one.  Everything else is for you to decide, as each finding says.  Other
        processes can go on meanwhile.  *progress* is told how far through the registry it is,
        and then how many files it has seen.  Raises `DBNotInitedError`, `RegistryError`,
        `StorageError` when the medium fails.
        """
        examination = examine.examine(
            self._with_registry(), self._factory, fix=fix, progress=progress
        )
        for finding in examination.findings:
            event = "repaired" if finding.is_repaired else "wrong"
            extra: dict[str, str | int] = {"problem": finding.problem.value, "where": finding.where}
            if finding.serial_number is not None:
                extra["serial_number"] = finding.serial_number
            self._logger.warning(
                "%s: %s", event.capitalize(), finding.text, extra=fields(event, **extra)
            )
        return examination
