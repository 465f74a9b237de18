"""Compare the CRLs that are out with what the registry has of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cryptography import x509

from tiny_ca.application.crl_files import crl_file_name
from tiny_ca.application.open_issuer import open_issuer
from tiny_ca.application.publications import is_crl_of
from tiny_ca.application.publish_crl import publish_crl
from tiny_ca.application.publish_due import Schedule, scopes_of
from tiny_ca.application.services import Services
from tiny_ca.domain.crl import CRLScope
from tiny_ca.domain.crl_reader import ISSUING_DISTRIBUTION_POINT, CRLReader, parse_crl
from tiny_ca.domain.errors import MalformedDER, TinyCAError
from tiny_ca.domain.examination import Finding, Problem
from tiny_ca.domain.records import CertificateStatus, CRLStamp
from tiny_ca.ports.examination import ExaminableStorage
from tiny_ca.ports.issuer import Issuer, own_issuer_id

__all__ = ["crl_findings"]

_FIXED_BY_THE_NEXT = {
    Problem.CRL_MISSING,
    Problem.CRL_FOREIGN,
    Problem.CRL_OF_OTHER_SCOPE,
    Problem.CRL_OLDER,
    Problem.CRL_EXPIRED,
}
_PUBLISHING_TAKES = 0.2
"""Seconds between a CRL's swap and its record, at the most usual."""
_ADVICE = {
    Problem.CRL_MISSING: "is missing: publish it",
    Problem.CRL_DAMAGED: "is damaged: remove it and publish anew, if its copy can't be read either",
    Problem.CRL_FOREIGN: "is another CA's: publish this one's",
    Problem.CRL_OF_OTHER_SCOPE: "is a delta CRL, or of some certificates alone, or the whole in "
    "the place of such a part, and no replacement for it: publish it",
    Problem.CRL_OLDER: "is older than the last one that was published: publish anew",
    Problem.CRL_NEWER: "is newer than the last one on record: the registry is an older copy, "
    "restore it",
    Problem.CRL_EXPIRED: "is over: publish the next one, and do so from cron",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """A CRL that should be out: whose, which, and the last one of it on record."""

    ca: x509.Certificate
    scope: CRLScope
    name: str
    last: CRLStamp | None


def crl_findings(
    services: Services, issuer: Issuer | None, *, fix: bool
) -> Iterator[list[Finding]]:
    """Give what is wrong with each CRL that is out, or should be, of every valid CA."""
    for ca in _authorities(services, issuer):
        issuer_id = own_issuer_id(ca)
        is_own = issuer is not None and issuer.issuer_id == issuer_id
        for scope in scopes_of(services.policy.urls):
            last = services.registry.last_crl(issuer_id, scope)
            name = crl_file_name(services, issuer_id, scope)
            place = _Place(ca, scope, name, last)
            is_promised = last is not None or (is_own and services.policy.urls.crl)
            if not is_promised and not _is_there(services, place):
                continue
            yield _examined(services, place, issuer if is_own else None, fix=fix)


def _is_there(services: Services, place: _Place) -> bool:
    """Whether there is a CRL of this CA that the registry has no record of."""
    data = services.storage.read_crl(place.name)
    return _problem_of(services, place, data) is Problem.CRL_NEWER


def _authorities(services: Services, issuer: Issuer | None) -> Iterator[x509.Certificate]:
    now, seen = services.clock.now(), set()
    for record in services.registry.authorities():
        if record.certificate_pem is None or record.status_at(now) is not CertificateStatus.VALID:
            continue
        ca = x509.load_pem_x509_certificate(record.certificate_pem.encode())
        # One that was renewed or cross-signed has several certificates, and the same CRLs.
        if own_issuer_id(ca) not in seen:
            seen.add(own_issuer_id(ca))
            yield ca
    if issuer is not None and issuer.issuer_id not in seen:
        yield issuer.certificate


def _examined(
    services: Services, place: _Place, issuer: Issuer | None, *, fix: bool
) -> list[Finding]:
    copies, problems = _look(services, place)
    if any(problems.values()):
        # It may be that another process publishes at the moment.
        services.clock.sleep(_PUBLISHING_TAKES)
        last = services.registry.last_crl(own_issuer_id(place.ca), place.scope)
        place = replace(place, last=last)
        copies, problems = _look(services, place)
    findings = [
        Finding(problem, f"{place.name}{extension}", f"{place.name}{extension} {_ADVICE[problem]}.")
        for extension, problem in problems.items()
        if problem is not None
    ]
    # What a damaged one listed is known if its copy is whole.
    whole = [copies[extension] for extension, problem in problems.items() if problem is None]
    found = {one.problem for one in findings}
    is_for_people = Problem.CRL_NEWER in found or (not whole and found - _FIXED_BY_THE_NEXT)
    if not findings or not fix or is_for_people:
        return findings
    try:
        _publish(services, place, issuer, whole[0] if whole else None)
    except TinyCAError as error:
        return [replace(one, text=f"{one.text} Not repaired: {error}") for one in findings]
    return [replace(one, is_repaired=True) for one in findings]


def _look(
    services: Services, place: _Place
) -> tuple[dict[str, bytes | memoryview | None], dict[str, Problem | None]]:
    """Give both copies of a CRL, and what is wrong with each, by extension."""
    storage = services.storage
    copies: dict[str, bytes | memoryview | None] = {".der": storage.read_crl(place.name)}
    if isinstance(storage, ExaminableStorage):
        copies[".pem"] = storage.read_crl_copy(place.name)
    problems = {extension: _problem_of(services, place, data) for extension, data in copies.items()}
    return copies, problems


def _publish(
    services: Services, place: _Place, issuer: Issuer | None, former: bytes | memoryview | None
) -> None:
    if issuer is None:
        issuer = open_issuer(services, place.ca.serial_number)
    last = place.last
    valid_for = Schedule().of(place.scope) if last is None else last.next_update - last.this_update
    urls = services.policy.urls.of_issuer(issuer.issuer_id)
    publish_crl(services, issuer, valid_for, scope=place.scope, urls=urls, former=former)


def _problem_of(
    services: Services, place: _Place, data: bytes | memoryview | None
) -> Problem | None:
    if data is None:
        return Problem.CRL_MISSING
    try:
        crl = parse_crl(data)
    except MalformedDER:
        return Problem.CRL_DAMAGED
    if not is_crl_of(crl, place.ca):
        return Problem.CRL_FOREIGN
    if not _is_signed_by(bytes(data), place.ca):
        return Problem.CRL_DAMAGED
    if not _is_of(crl, place.scope):
        return Problem.CRL_OF_OTHER_SCOPE
    return _problem_of_age(services, crl.stamp, place.last)


def _problem_of_age(services: Services, stamp: CRLStamp, last: CRLStamp | None) -> Problem | None:
    if last is None or stamp.number > last.number:
        return Problem.CRL_NEWER
    if stamp.number < last.number:
        return Problem.CRL_OLDER
    return Problem.CRL_EXPIRED if services.clock.now() > stamp.next_update else None


def _is_signed_by(data: bytes, ca: x509.Certificate) -> bool:
    try:
        return x509.load_der_x509_crl(data).is_signature_valid(ca.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        # A key of another kind than the signature's.
        return False


def _is_of(crl: CRLReader, scope: CRLScope) -> bool:
    is_partial = ISSUING_DISTRIBUTION_POINT in crl.extensions
    return (crl.base_number is not None, is_partial) == (scope.is_delta, scope.shard is not None)
