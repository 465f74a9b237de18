"""From a request, a profile and an issuer to a plan, or to all that is wrong with it."""

from dataclasses import replace
from datetime import datetime, timedelta

from tiny_ca.domain.errors import InvalidRangeTimeCertificate, ProfileViolation
from tiny_ca.domain.lifetime import Validity, plan_validity, utc_seconds
from tiny_ca.domain.names import GeneralName, SubjectName, unique
from tiny_ca.domain.permission import problems_of
from tiny_ca.domain.plan import CertificatePlan, ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.requests import Authority, IssuanceRequest, RootRequest
from tiny_ca.domain.serial import CertType, encode_serial_number

__all__ = ["plan_issuance", "plan_root"]

_ONE_SECOND = timedelta(seconds=1)


def plan_root(request: RootRequest, now: datetime, random_bits: int) -> CertificatePlan:
    """Plan a self-signed CA certificate.  Raises as `plan_validity` does."""
    return CertificatePlan(
        subject=request.subject,
        serial_number=encode_serial_number(
            request.subject.common_name.lower(), CertType.CA, random_bits
        ),
        cert_type=CertType.CA,
        key=request.key,
        validity=plan_validity(request.valid_from, request.lifetime, now),
        key_usage=frozenset({KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}),
        is_ca=True,
        path_length=request.path_length,
        name_constraints=request.name_constraints,
    )


def plan_issuance(
    request: IssuanceRequest,
    *,
    authority: Authority,
    now: datetime,
    random_bits: int,
    urls: PublicationURLs = PublicationURLs(),
) -> CertificatePlan:
    """Plan a certificate under an issuer; *urls* are its, by its profile.

    Raises `InvalidName`; `ProfileViolation` with everything that the profile or the issuer
    does not allow; `InvalidRangeTimeCertificate` for a period that `plan_validity` refuses,
    that starts after its issuer's end, or that *is_strict* keeps from being cut.
    """
    profile = request.profile
    asked = _asked_validity(request, now)
    validity = _within(asked, authority.validity, request, now)
    cert_type = request.cert_type or profile.cert_type
    subject = _subject(request, authority)
    plan = CertificatePlan(
        subject=subject,
        serial_number=encode_serial_number(subject.common_name.lower(), cert_type, random_bits),
        cert_type=cert_type,
        key=request.key,
        validity=validity,
        key_usage=profile.usage_of(request.key),
        extended_key_usage=profile.extended_key_usage,
        is_extended_key_usage_critical=profile.is_extended_key_usage_critical,
        subject_alternative_names=_alternative_names(request, subject),
        policies=profile.policies,
        is_ca=profile.is_ca,
        path_length=profile.path_length,
        name_constraints=request.name_constraints,
        # RFC 9608 §3: what can't be revoked points at nothing that would tell.
        urls=PublicationURLs(issuer=urls.issuer) if profile.no_rev_avail else urls,
        no_rev_avail=profile.no_rev_avail,
        ocsp_no_check=profile.ocsp_no_check,
        profile=profile.name or None,
        claims_name=profile.claims_name,
        is_shortened=validity.not_after != asked.not_after,
    )
    if problems := list(problems_of(request, plan, authority)):
        raise ProfileViolation(profile.name, problems)
    return plan


def _asked_validity(request: IssuanceRequest, now: datetime) -> Validity:
    """Plan the period; a profile's maximum counts both ends and what lies before now."""
    profile, longest = request.profile, request.profile.max_validity
    lifetime = profile.default_validity if request.lifetime is None else request.lifetime
    asked = plan_validity(request.valid_from, lifetime, now, profile.backdate)
    if longest is None:
        return asked
    latest = asked.not_before + longest - _ONE_SECOND
    return Validity(asked.not_before, min(asked.not_after, latest))


def _within(asked: Validity, issuer: Validity, request: IssuanceRequest, now: datetime) -> Validity:
    """Cut a period to its issuer's: nothing outlives who vouches for it (RFC 5280 §6.1)."""
    validity = asked.within(issuer)
    is_cut = validity != asked
    if validity.not_after <= max(validity.not_before, now) or (is_cut and request.is_strict):
        raise InvalidRangeTimeCertificate(asked.not_before, validity.not_after, now)
    if request.profile.backdate and request.valid_from is None:
        # Nor does a backdated one begin before it, unless the issuer itself begins later.
        begin = min(max(validity.not_before, issuer.not_before), utc_seconds(now))
        validity = replace(validity, not_before=begin)
    return validity


def _subject(request: IssuanceRequest, authority: Authority) -> SubjectName:
    asked, inherited = request.subject, authority.info
    values = {
        "common_name": request.common_name,
        "organization": asked.organization or inherited.organization,
        "organizational_unit": asked.organizational_unit,
        "country": asked.country or inherited.country,
        "state": asked.state,
        "locality": asked.locality,
        "email": request.email,
    }
    known = {name: value for name, value in values.items() if value is not None}
    return SubjectName(**{**known, **request.profile.fixed_subject})


def _alternative_names(request: IssuanceRequest, subject: SubjectName) -> tuple[GeneralName, ...]:
    names = list(request.names)
    host = request.host(subject.common_name)
    if ExtendedKeyUsage.SERVER_AUTH in request.profile.extended_key_usage and host is not None:
        # RFC 9525 §6.3: clients read the subject alternative names, never the common name.
        names[:0] = [host]
    if subject.email is not None:
        # RFC 5280 §4.1.2.6: an address in the subject belongs into the SAN as well.
        names.append(GeneralName.email(subject.email))
    return unique(names)
