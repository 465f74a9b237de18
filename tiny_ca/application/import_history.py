"""Take over what another program has issued and revoked."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePath

from cryptography import x509

from tiny_ca.application.import_ca import import_ca
from tiny_ca.application.issuance import new_location
from tiny_ca.application.progress import Steps, counted
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import (
    DamagedHistory,
    ErrorLoadCert,
    ForeignCertificate,
    SerialNumberConflict,
)
from tiny_ca.domain.lifetime import Validity, utc_seconds
from tiny_ca.domain.names import file_name_of
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.serial import CertType, parse_serial_number
from tiny_ca.ports.history import HistoryEntry, HistorySource, PastAuthority, PastCertificate
from tiny_ca.ports.issuer import MALFORMED, Issuer, is_ca, own_issuer_id
from tiny_ca.ports.progress import Progress

__all__ = ["HistoryImport", "ImportedAuthority", "import_history"]

_AT_ONCE = 500
_LARGEST_SERIAL_NUMBER = 2**160 - 1
_LARGEST_CRL_NUMBER = 2**31 - 1
"""What every registry counts to."""


@dataclass(frozen=True, slots=True)
class ImportedAuthority:
    """A CA whose history was taken over."""

    common_name: str
    issuer_id: str
    has_key: bool
    """Whether its key came along, so that `under` can stand under it."""
    crl_number: int
    """The greatest that it had used; its CRLs go on above it."""


@dataclass(frozen=True, slots=True)
class HistoryImport:
    """What was taken over, or would be."""

    authorities: tuple[ImportedAuthority, ...]
    recorded: tuple[int, ...]
    """The serial numbers of certificates that were not on record before, but for the CAs'."""
    statuses: Mapping[CertificateStatus, int]
    """How many of them are valid, revoked and expired."""
    without_certificate: int
    """Of how many only the record is left: CRLs and OCSP tell of them, but they don't verify."""
    known: int
    """How many were on record already."""
    remarks: tuple[str, ...]
    """What was left where it is, and why, a sentence each."""
    is_dry_run: bool


def import_history(
    services: Services,
    source: HistorySource,
    folder: str | PurePath | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> tuple[HistoryImport, Issuer | None]:
    """Record all of a history; give what was done, and the first CA whose key came along.

    Everything is read and checked first.  Then the certificates are recorded in batches, each
    one transaction, and the CAs last, so that nobody signs under one whose history is not
    there.  What is interrupted is finished by another call; one more changes nothing.  Files
    that have a private key are stored, under *folder*.  Raises `DamagedHistory`,
    `ForeignCertificate`, `SerialNumberConflict` and `ErrorLoadCert`; nothing is written then.
    """
    checked = _check(services, source, progress)
    issuer = None if dry_run else _record(services, source, checked, folder, progress)
    report = HistoryImport(
        authorities=tuple(
            ImportedAuthority(
                _common_name(one.certificate),
                issuer_id,
                one.private_key is not None,
                one.crl_number,
            )
            for issuer_id, one in checked.authorities.items()
        ),
        recorded=tuple(checked.recorded),
        statuses=dict(checked.statuses),
        without_certificate=checked.without_certificate,
        known=checked.known,
        remarks=tuple(source.remarks()),
        is_dry_run=dry_run,
    )
    return report, issuer


@dataclass(slots=True)
class _Checked:
    """What the first reading found."""

    at: datetime
    authorities: dict[str, PastAuthority]
    """By issuer id."""
    recorded: list[int] = field(default_factory=list)
    statuses: Counter[CertificateStatus] = field(default_factory=Counter)
    without_certificate: int = 0
    known: int = 0
    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    """Where each serial number of an issuer stands."""
    issuers: dict[bytes, str] = field(default_factory=dict)
    """Who has signed a certificate, by its hash."""
    owners: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Which certificate claims a name: the last valid one of it."""


def _check(services: Services, source: HistorySource, progress: Progress | None) -> _Checked:
    authorities: dict[str, PastAuthority] = {}
    for authority in source.authorities():
        _check_authority(services, authority)
        authorities.setdefault(own_issuer_id(authority.certificate), authority)
    if not authorities:
        raise DamagedHistory("The history", "there is no CA in it")
    checked = _Checked(utc_seconds(services.clock.now()), authorities)
    for batch in _batches(counted(_certificates(services, source, checked), progress)):
        _check_batch(services, checked, batch)
    return checked


def _check_authority(services: Services, authority: PastAuthority) -> None:
    for certificate in (authority.certificate, *authority.chain):
        services.crypto.check_readable(certificate)
        if not is_ca(certificate):
            raise ErrorLoadCert(authority.where, "it is not a CA's certificate.")
    if not _common_name(authority.certificate):
        raise ErrorLoadCert(authority.where, "a CA without a common name can't be imported.")
    if authority.private_key is not None:
        services.crypto.issuer(authority.certificate, authority.private_key)
    if authority.crl_number >= _LARGEST_CRL_NUMBER:
        raise DamagedHistory(
            authority.where,
            f"its CRLs have reached the number {authority.crl_number}, and the registry counts "
            f"to {_LARGEST_CRL_NUMBER}: roll the CA over before",
        )


Batch = Sequence[tuple[HistoryEntry, PastCertificate]]


def _certificates(
    services: Services, source: HistorySource, checked: _Checked
) -> Iterator[tuple[HistoryEntry, PastCertificate]]:
    """Give what is to be recorded: all but the CAs themselves, which `import_ca` records."""
    authorities = {one.certificate for one in checked.authorities.values()}
    for entry in source.entries():
        if entry.certificate in authorities and entry.revocation is None:
            continue
        issuer_id = _issuer_of(services, checked, entry)
        yield entry, _past(checked, entry, issuer_id)


def _batches(
    items: Iterable[tuple[HistoryEntry, PastCertificate]],
) -> Iterator[Batch]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _issuer_of(services: Services, checked: _Checked, entry: HistoryEntry) -> str:
    if entry.certificate is None:
        if len(checked.authorities) > 1:
            raise DamagedHistory(entry.where, "without its certificate, nobody knows its issuer")
        return next(iter(checked.authorities))
    # What was verified at the first reading is not verified once more, unless it was changed.
    digest = hashlib.sha256(entry.certificate.tbs_certificate_bytes)
    digest.update(entry.certificate.signature)
    if (known := checked.issuers.get(digest.digest())) is not None:
        return known
    for issuer_id, authority in checked.authorities.items():
        if services.crypto.is_issued_by(entry.certificate, authority.certificate):
            checked.issuers[digest.digest()] = issuer_id
            return issuer_id
    raise ForeignCertificate(
        entry.where,
        f"no CA of this history has signed it, but {entry.certificate.issuer.rfc4514_string()!r}",
    )


def _past(checked: _Checked, entry: HistoryEntry, issuer_id: str) -> PastCertificate:
    if not 0 <= entry.serial_number <= _LARGEST_SERIAL_NUMBER:
        raise DamagedHistory(
            entry.where, "its serial number is negative, or has more than 20 octets"
        )
    certificate = entry.certificate
    # Of a row alone nobody knows the beginning; it is not before that of its CA.
    origin = checked.authorities[issuer_id].certificate if certificate is None else certificate
    validity = Validity(min(origin.not_valid_before_utc, entry.not_after), entry.not_after)
    name = (certificate and _common_name(certificate)) or entry.common_name
    return PastCertificate(
        serial_number=entry.serial_number,
        issuer_id=issuer_id,
        # What every database takes.
        common_name=name.replace("\0", "")[:255],
        cert_type=_type_of(entry),
        validity=validity,
        is_expired=entry.is_expired,
        certificate=certificate,
        revocation=entry.revocation,
        invalidity_date=entry.invalidity_date,
    )


def _type_of(entry: HistoryEntry) -> CertType:
    certificate = entry.certificate
    if certificate is not None and is_ca(certificate):
        return CertType.CA
    parsed, _ = parse_serial_number(entry.serial_number)
    if entry.cert_type is not None or parsed is not None:
        return entry.cert_type or parsed or CertType.DEVICE
    return CertType.SERVICE if _is_server(certificate) else CertType.DEVICE


def _is_server(certificate: x509.Certificate | None) -> bool:
    if certificate is None:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return False
    return x509.ObjectIdentifier(ExtendedKeyUsage.SERVER_AUTH.value) in usage


def _common_name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except ValueError:
        return ""
    return str(names[0].value) if names else ""


def _check_batch(services: Services, checked: _Checked, batch: Batch) -> None:
    known = _known(services, batch)
    for entry, past in batch:
        place = past.issuer_id, past.serial_number
        if (first := checked.seen.setdefault(place, entry.where)) is not entry.where:
            raise SerialNumberConflict(
                entry.where, f"its serial number {past.serial_number:X} is that of {first}, too"
            )
        if place in known:
            checked.known += 1
            _check_same(entry, known[place])
            continue
        if entry.load_files is not None:
            entry.load_files()
        checked.recorded.append(past.serial_number)
        checked.without_certificate += past.certificate is None
        status = past.status_at(checked.at)
        checked.statuses[status] += 1
        if status is CertificateStatus.VALID and past.common_name:
            checked.owners[past.common_name] = place


def _known(services: Services, batch: Batch) -> dict[tuple[str, int], str | None]:
    """Give the certificates, PEM, that are on record under the serial numbers of a batch."""
    serials: dict[str, list[int]] = {}
    for _, past in batch:
        serials.setdefault(past.issuer_id, []).append(past.serial_number)
    return {
        (record.issuer_id, record.serial_number): record.certificate_pem
        for issuer_id, numbers in serials.items()
        for record in services.registry.get_many(issuer_id, numbers)
    }


def _check_same(entry: HistoryEntry, pem: str | None) -> None:
    if entry.certificate is None or pem is None:
        return
    if x509.load_pem_x509_certificate(pem.encode()) != entry.certificate:
        raise SerialNumberConflict(
            entry.where,
            f"the registry has another certificate of the serial number {entry.serial_number:X}",
        )


def _record(
    services: Services,
    source: HistorySource,
    checked: _Checked,
    folder: str | PurePath | None,
    progress: Progress | None,
) -> Issuer | None:
    """Give the first CA whose key came along."""
    numbers = {issuer_id: one.crl_number for issuer_id, one in checked.authorities.items()}
    services.registry.record_past([], checked.at, numbers)
    steps = Steps(progress, len(checked.recorded) + checked.known)
    for batch in _batches(_certificates(services, source, checked)):
        _record_batch(services, checked, batch, folder)
        steps.add(len(batch))
    issuers = [
        import_ca(services, one.certificate, one.private_key, chain=one.chain, folder=folder)
        for one in checked.authorities.values()
    ]
    return next((one for one in issuers if one is not None), None)


def _record_batch(
    services: Services, checked: _Checked, batch: Batch, folder: str | PurePath | None
) -> None:
    """Stage, record, publish: in that order, so that `recover` knows what is staged."""
    known = _known(services, batch)
    certificates, staged = [], []
    for entry, past in batch:
        place, location = (past.issuer_id, past.serial_number), None
        if entry.load_files is not None and place not in known:
            name = file_name_of(entry.file_name or past.common_name)
            location = new_location(services, name, folder, None)
            services.storage.stage(location, entry.load_files())
            staged.append(location)
        is_valid = past.status_at(checked.at) is CertificateStatus.VALID
        claims_name = not is_valid or checked.owners.get(past.common_name) == place
        certificates.append(replace(past, location=location, claims_name=claims_name))
    services.registry.record_past(certificates, checked.at)
    for location in staged:
        services.storage.publish(location)
