"""Give the certificate of a name that there is, or issue it: whoever asks, there is one."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import NamedTuple

from cryptography import x509

from tiny_ca.application.authority import authority_of
from tiny_ca.application.export import stored_with_key
from tiny_ca.application.find import check_is_issuer
from tiny_ca.application.issuance import Outcome, run_issuance
from tiny_ca.application.issue import order_leaf, plan_quietly, profile_of
from tiny_ca.application.once import once
from tiny_ca.application.query import find_all
from tiny_ca.application.reissue import alternative_names
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.services import Services
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.catalogue import CertificateFilter, exactly
from tiny_ca.domain.errors import InvalidName, InvalidRequest, NotUniqueCertOwner
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, RetryKey
from tiny_ca.domain.renewal import is_due
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import Issuer

__all__ = ["Ensured", "ensure"]

_POLL_SECONDS = 0.05
_PATIENCE = timedelta(seconds=10)
"""How long another request for the name may be under way: as long as `once` lets one of its own."""
_UNFINISHED = (CertificateStatus.PENDING, CertificateStatus.ABANDONED)


class Ensured(NamedTuple):
    """A certificate, and whether this call has issued it."""

    outcome: Outcome
    is_new: bool


def ensure(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    within: timedelta | None,
    folder: str | PurePath | None,
) -> Ensured:
    """Give the active certificate of a name while it will do, or issue the next one.

    It will do if *issuer* has issued it for the same names, profile, purposes and kind of key,
    and it is not due.  One that won't do any longer stays valid, since others may be serving
    it, and gives up its claim on the name.  Of several processes that ask at once, one issues.
    Raises `StorageError` if its key is not here, `AnotherIssuer`, and as `issue`.
    """
    began = services.clock.now()
    while True:
        plan = _planned(services, issuer, config)
        active = active_by_name(services, plan.subject.common_name)
        if active is not None:
            _check_replaceable(active, issuer)
            if _will_do(services, active, plan, within, services.clock.now()):
                artefacts, _ = stored_with_key(services, active)
                return Ensured(Outcome(artefacts, artefacts.paths), is_new=False)
        try:
            return _issue(services, issuer, active, config, folder)
        except NotUniqueCertOwner:
            # Another request, for the same name, is ahead: once it has ended, that one counts.
            if services.clock.now() - began >= _PATIENCE:
                raise
            services.clock.sleep(_POLL_SECONDS)


def _planned(services: Services, issuer: Issuer, config: ClientConfig) -> CertificatePlan:
    """Say what is asked for.  Raises `InvalidRequest` for a profile of which a name has many."""
    request = config.to_request(profile_of(services, config))
    plan = plan_quietly(services, issuer, request, authority_of(services, issuer))
    if not plan.claims_name:
        raise InvalidRequest(
            f"By the profile {plan.profile!r} a name has many certificates, none of which is "
            "the current one: issue one, or choose another profile."
        )
    return plan


def _check_replaceable(active: CertificateRecord, issuer: Issuer) -> None:
    check_is_issuer(active, issuer.certificate)
    if active.cert_type is CertType.CA:
        raise InvalidRequest(f"{active.common_name!r} is the name of a CA: choose another name.")


def _will_do(
    services: Services,
    active: CertificateRecord,
    plan: CertificatePlan,
    within: timedelta | None,
    now: datetime,
) -> bool:
    is_over = is_due(Validity(active.not_before, active.not_after), now, within)
    if is_over or active.certificate_pem is None or active.profile != plan.profile:
        return False
    certificate = x509.load_pem_x509_certificate(active.certificate_pem.encode())
    try:
        names = alternative_names(certificate)
    except InvalidName:
        return False
    return (
        set(names) == set(plan.subject_alternative_names)
        and _purposes(certificate) == set(plan.extended_key_usage)
        and services.crypto.key_spec(certificate.public_key()) == plan.key
    )


def _purposes(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return set()
    return {oid.dotted_string for oid in found.value}


def _issue(
    services: Services,
    issuer: Issuer,
    active: CertificateRecord | None,
    config: ClientConfig,
    folder: str | PurePath | None,
) -> Ensured:
    wanted = order_leaf(services, issuer, config, folder)
    newest = _newest(services, wanted.plan.subject.common_name)
    request = ("ensure", wanted.issuer_id, config.fingerprint(), str(folder), newest)
    digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode())
    is_new = False

    def carry_out(retry_key: RetryKey | None) -> Outcome:
        nonlocal is_new
        is_new = True
        follows = replace(
            wanted,
            predecessor=None if active is None else active.serial_number,
            predecessor_issuer_id=None if active is None else active.issuer_id,
            supersedes=False,
            retry_key=retry_key,
        )
        [outcome] = run_issuance(services, [follows])
        return outcome

    outcome = once(services, f"ensure-{digest.hexdigest()}", request, carry_out)
    return Ensured(outcome, is_new)


def _newest(services: Services, common_name: str) -> int:
    """Give the last certificate of a name, 0 for none: who sees the same one asks the same."""
    records = find_all(services, CertificateFilter(common_name=exactly(common_name)))
    return next((each.serial_number for each in records if each.status not in _UNFINISHED), 0)
