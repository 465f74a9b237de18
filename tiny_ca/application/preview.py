"""What would be issued, and why not, without issuing it."""

from dataclasses import dataclass

from tiny_ca.application import lint
from tiny_ca.application.authority import authority_of
from tiny_ca.application.issue import plan_under, profile_of
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.services import Services
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.errors import (
    InvalidRangeTimeCertificate,
    InvalidRequest,
    NotUniqueCertOwner,
    ProfileViolation,
    ValidationCertError,
)
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.ports.issuer import Issuer

__all__ = ["Preview", "preview"]


@dataclass(frozen=True, slots=True)
class Preview:
    """A certificate that was not issued."""

    plan: CertificatePlan | None
    """What it would say, but for a serial number drawn anew; `None`: nothing can be planned."""
    problems: tuple[str, ...] = ()
    """Everything that is in its way."""

    @property
    def is_allowed(self) -> bool:
        """Whether it would be issued now."""
        return not self.problems


def preview(services: Services, issuer: Issuer, config: ClientConfig) -> Preview:
    """Plan as `issue` does; nothing is written, and no key is made."""
    try:
        profile = profile_of(services, config)
    except InvalidRequest as error:
        return Preview(None, (str(error),))
    name = profile.fixed_subject.get("common_name", config.common_name)
    is_taken = profile.claims_name and active_by_name(services, name) is not None
    taken = (str(NotUniqueCertOwner(name)),) if is_taken else ()
    try:
        request = config.to_request(profile)
        plan = plan_under(services, issuer, request, authority_of(services, issuer))
    except ProfileViolation as error:
        return Preview(None, (*error.problems, *taken))
    except (InvalidRequest, InvalidRangeTimeCertificate, ValidationCertError) as error:
        return Preview(None, (str(error), *taken))
    findings = lint.findings_of(services, plan, issuer.certificate)
    return Preview(plan, (*taken, *(str(finding) for finding in findings)))
