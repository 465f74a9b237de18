"""Issue a certificate for a key that somebody else holds, from a CSR (RFC 2986)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import PurePath
from typing import TypeVar

from cryptography import x509

from tiny_ca.application.authority import authority_of
from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.issuance import Order, Outcome, new_location
from tiny_ca.application.issue import carry_out, carry_out_all, order
from tiny_ca.application.requests import host_or_text
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidCSR, ProfileViolation, TinyCAError
from tiny_ca.domain.names import CertificateInfo, GeneralNameKind, SubjectName, file_name_of
from tiny_ca.domain.profiles import Profile, UnplannedRequests
from tiny_ca.domain.records import RetryKey
from tiny_ca.domain.requests import Authority, IssuanceRequest
from tiny_ca.ports.crypto import ReceivedRequest
from tiny_ca.ports.issuer import Issuer

T = TypeVar("T")
R = TypeVar("R")

__all__ = ["CSR", "WantedByCSR", "request_of_csr", "requests_of_csrs", "sign_csr", "sign_many_csrs"]

CSR = x509.CertificateSigningRequest | bytes | str
"""An object, PEM or DER."""

WantedByCSR = tuple[IssuanceRequest, ReceivedRequest]


def sign_csr(
    services: Services,
    issuer: Issuer,
    request: IssuanceRequest,
    received: ReceivedRequest,
    folder: str | PurePath | None = None,
    uuid: str | None = None,
    *,
    is_overwrite: bool = False,
    overlap: bool = False,
    retry_key: RetryKey | None = None,
) -> Outcome:
    """Issue what `request_of_csr` made of a CSR; its certificate and the CSR are stored.

    With *is_overwrite* the valid certificate of the same common name is superseded, with
    *overlap* it stays valid until it ends.
    """
    wanted = _order(services, issuer, (request, received), folder, uuid)
    return carry_out(
        services, wanted, is_overwrite=is_overwrite, overlap=overlap, retry_key=retry_key
    )


def sign_many_csrs(
    services: Services,
    issuer: Issuer,
    wanted: Sequence[WantedByCSR],
    folder: str | PurePath | None = None,
    *,
    retry_keys: Sequence[RetryKey | None],
) -> list[Outcome]:
    """Issue what `requests_of_csrs` made of CSRs, all or none, in two transactions."""
    authority = authority_of(services, issuer)
    plan = partial(_order, services, issuer, folder=folder, authority=authority)
    return carry_out_all(services, list(_each(plan, wanted)), retry_keys)


def _each(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Apply *function* to each item; an error says which one it was."""
    for place, item in enumerate(items):
        try:
            yield function(item)
        except TinyCAError as error:
            error.add_note(f"It was number {place} of the requests, counted from 0.")
            raise


def _order(
    services: Services,
    issuer: Issuer,
    wanted: WantedByCSR,
    folder: str | PurePath | None,
    uuid: str | None = None,
    authority: Authority | None = None,
) -> Order:
    request, received = wanted
    file_name = CA_FILE_NAME if request.profile.is_ca else file_name_of(request.common_name)
    location = new_location(services, file_name, folder, uuid)
    planned = order(services, issuer, request, location, authority)
    return replace(planned, public_key=received.public_key, csr=received.csr)


def request_of_csr(
    services: Services,
    csr: CSR,
    profile: Profile,
    *,
    common_name: str | None = None,
    lifetime: timedelta | int | None = None,
    valid_from: datetime | None = None,
) -> WantedByCSR:
    """Take from a CSR what *profile* lets it say: the key, names, parts of the subject.

    *common_name* stands in place of the CSR's.  Whatever else it asks for is ignored, or
    refused when the profile says so.  Raises `InvalidCSR`, `WeakKey`, `InvalidName`,
    `ProfileViolation`.
    """
    received = services.crypto.read_request(csr, for_ca=profile.is_ca)
    taken = profile.subject_from_csr
    if GeneralNameKind.EMAIL not in profile.san_kinds:
        # In the subject it would be in the SAN as well.
        taken -= {"email"}
    subject = {name: value for name, value in received.subject.items() if name in taken}
    _refuse_unplanned(profile, received, subject)
    chosen = common_name or subject.get("common_name") or _first_host(received)
    return IssuanceRequest(
        common_name=SubjectName(chosen).common_name,
        profile=profile,
        key=received.key,
        lifetime=lifetime,
        valid_from=valid_from,
        subject=CertificateInfo(
            **{name: value for name, value in subject.items() if name in _INFO}
        ),
        email=subject.get("email"),
        names=received.names,
        host_name=host_or_text(chosen),
    ), received


def requests_of_csrs(
    services: Services,
    csrs: Iterable[CSR],
    profile: Profile,
    *,
    lifetime: timedelta | int | None = None,
    valid_from: datetime | None = None,
) -> list[WantedByCSR]:
    """Take from each CSR what `request_of_csr` takes; an error's note says from which not."""
    take = partial(
        request_of_csr, services, profile=profile, lifetime=lifetime, valid_from=valid_from
    )
    return list(_each(take, csrs))


_INFO = frozenset({"organization", "organizational_unit", "country", "state", "locality"})


def _first_host(received: ReceivedRequest) -> str:
    """Give the name for a subject that a CSR, as is usual today, leaves empty."""
    for name in received.names:
        if name.kind in (GeneralNameKind.DNS, GeneralNameKind.IP) and len(name.value) <= 64:
            return name.value
    raise InvalidCSR("The request has no common name, nor a host to name it by: pass common_name.")


def _refuse_unplanned(
    profile: Profile, received: ReceivedRequest, taken: Mapping[str, str]
) -> None:
    if profile.unplanned_requests is not UnplannedRequests.REFUSE:
        return
    granted = {f"extended key usage {oid}" for oid in profile.extended_key_usage}
    granted |= {f"key usage {usage.value}" for usage in profile.usage_of(received.key)}
    unplanned = [other for other in received.others if other not in granted]
    unplanned += [f"subject attribute {name}" for name in received.subject if name not in taken]
    if unplanned:
        raise ProfileViolation(profile.name, [f"the CSR asks for {each}" for each in unplanned])
