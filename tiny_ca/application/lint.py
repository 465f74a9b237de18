"""Have what is about to be signed looked at, if there is a linter."""

from typing import Any

from cryptography import x509

from tiny_ca.application.services import Services
from tiny_ca.domain.errors import LintFailed
from tiny_ca.domain.lint import LintFinding
from tiny_ca.domain.plan import CertificatePlan

__all__ = ["check", "findings_of"]


def check(
    services: Services,
    plan: CertificatePlan,
    issuer: x509.Certificate | None,
    public_key: Any = None,
    subject: x509.Name | None = None,
) -> None:
    """Raise `LintFailed` if the linter objects; the arguments are those of `Crypto.draft`."""
    if findings := findings_of(services, plan, issuer, public_key, subject):
        raise LintFailed(plan.subject.common_name, findings)


def findings_of(
    services: Services,
    plan: CertificatePlan,
    issuer: x509.Certificate | None,
    public_key: Any = None,
    subject: x509.Name | None = None,
) -> tuple[LintFinding, ...]:
    """Give what the linter objects to in a draft of *plan*."""
    if services.linter is None:
        return ()
    return services.linter.lint(services.crypto.draft(plan, issuer, public_key, subject))
