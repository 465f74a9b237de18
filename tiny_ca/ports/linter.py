"""A second opinion on what is about to be signed."""

from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.lint import LintFinding

__all__ = ["Linter"]


@runtime_checkable
class Linter(Protocol):
    """Looks for mistakes in certificates.  Thread-safe."""

    def lint(self, draft: x509.Certificate) -> tuple[LintFinding, ...]:
        """Give what stands in the way of signing *draft*; nothing is good news.

        *draft* says what the certificate will, under a signature of a key that is thrown
        away.  A linter that could not look at it says so in a finding, or raises a
        `TinyCAError`; it never gives nothing then.
        """
        ...
