"""What of a planned certificate its profile, or those above it, do not allow."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address

from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.name_constraints import (
    ConstrainedName,
    DistinguishedName,
    NameForm,
    canonical_attribute,
)
from tiny_ca.domain.names import (
    SUBJECT_ATTRIBUTES,
    GeneralName,
    GeneralNameKind,
    SubjectName,
    general_name_of_host,
)
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.domain.requests import Authority, IssuanceRequest
from tiny_ca.domain.serial import CertType

__all__ = ["problems_of"]


def problems_of(
    request: IssuanceRequest, plan: CertificatePlan, authority: Authority
) -> Iterator[str]:
    """Say everything that the request's profile, or its issuer, does not allow."""
    yield from _profile_problems(request, plan)
    yield from _name_problems(request, plan)
    if plan.is_ca or authority.name_constraints:
        subject = request.written_subject or _distinguished_name(plan.subject)
        yield from _authority_problems(plan, subject, authority)


def _profile_problems(request: IssuanceRequest, plan: CertificatePlan) -> Iterator[str]:
    profile = request.profile
    if (problem := profile.allows_key(request.key)) is not None:
        yield problem
    yield from _lifetime_problems(request)
    for attribute in sorted(profile.required_subject):
        if getattr(plan.subject, attribute) is None:
            yield f"the subject needs {attribute}"
    if profile.name and (plan.cert_type is CertType.CA) != profile.is_ca:
        yield f"certificates of type {plan.cert_type.value}"


def _name_problems(request: IssuanceRequest, plan: CertificatePlan) -> Iterator[str]:
    profile, names = request.profile, plan.subject_alternative_names
    if profile.is_san_required and not names:
        kinds = " or ".join(sorted(kind.value for kind in profile.san_kinds))
        yield f"at least one subject alternative name ({kinds}) is needed"
    for name in names:
        if name.kind not in profile.san_kinds:
            yield f"a subject alternative name of kind {name.kind.value} ({name.value!r})"
        yield from profile.names.problems(name)
    host = request.host(plan.subject.common_name)
    if host is not None and host not in names and not _is_word(host):
        # Some software takes a common name for a host's.
        yield from profile.names.problems(host)


def _is_word(host: GeneralName) -> bool:
    """Whether it may as well be a person's or a device's name."""
    return host.kind is GeneralNameKind.DNS and "." not in host.value


def _lifetime_problems(request: IssuanceRequest) -> Iterator[str]:
    longest, asked = request.profile.max_validity, request.lifetime
    if longest is not None and asked is not None:
        lifetime = timedelta(days=asked) if isinstance(asked, int) else asked
        if lifetime > longest:
            yield f"a validity of {lifetime}, more than {longest}"


def _authority_problems(
    plan: CertificatePlan, subject: DistinguishedName, authority: Authority
) -> Iterator[str]:
    left = authority.path_length
    if plan.is_ca and left is not None and subject != authority.name:
        # RFC 5280 §4.2.1.9: how many CAs may follow; those of its own name don't count.
        if left == 0:
            yield "its issuer may issue to end entities only (path length 0)"
        elif plan.path_length is not None and plan.path_length >= left:
            yield f"path_length is at most {left - 1} below its issuer"
    names = list(_constrained_names(plan, subject))
    for constraints in authority.name_constraints:
        try:
            constraints.check(names)
        except ValidationCertError as error:
            yield str(error).rstrip(".")


def _constrained_names(
    plan: CertificatePlan, subject: DistinguishedName
) -> Iterator[ConstrainedName]:
    yield ConstrainedName(NameForm.DIRECTORY, subject)
    forms = {
        GeneralNameKind.DNS: NameForm.DNS,
        GeneralNameKind.EMAIL: NameForm.EMAIL,
        GeneralNameKind.URI: NameForm.URI,
    }
    names = plan.subject_alternative_names
    for name in names:
        if name.kind is GeneralNameKind.IP:
            yield ConstrainedName(NameForm.IP, ip_address(name.value))
        else:
            yield ConstrainedName(forms[name.kind], name.value)
    common_name = plan.subject.common_name
    if not plan.is_ca and "." in common_name:
        # OpenSSL holds a common name that looks like a host's to the constraints, too.
        host = general_name_of_host(common_name)
        if host is not None and host.kind is GeneralNameKind.DNS and host not in names:
            yield ConstrainedName(NameForm.DNS, host.value)


def _distinguished_name(subject: SubjectName) -> DistinguishedName:
    return tuple(
        frozenset({(oid, canonical_attribute(value))})
        for attribute, oid in SUBJECT_ATTRIBUTES
        if (value := getattr(subject, attribute)) is not None
    )
