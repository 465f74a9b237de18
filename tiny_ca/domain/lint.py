"""What a linter finds in a certificate before it is signed."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LintFinding", "LintSeverity"]


class LintSeverity(StrEnum):
    """How bad a finding is, mildest first."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    """Against good practice, a SHOULD."""
    ERROR = "error"
    """Against a standard, a MUST."""
    FATAL = "fatal"
    """So bad that the rest could not be looked at."""

    def is_at_least(self, other: "LintSeverity") -> bool:
        """Whether it is as bad as *other*, or worse."""
        order = list(LintSeverity)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One finding: how bad, the linter's code for it, and what it says."""

    severity: LintSeverity
    code: str
    message: str = ""
    """Where, and what is wrong."""

    def __str__(self) -> str:
        return f"{self.severity} {self.code}{f' ({self.message})' if self.message else ''}"
