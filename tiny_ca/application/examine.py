"""Compare registry, files and CRLs, and repair what can be repaired without loss."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.examine_crls import crl_findings
from tiny_ca.application.find import find_same, is_of
from tiny_ca.application.issuance import location_of
from tiny_ca.application.progress import Steps, counted
from tiny_ca.application.query import find_all
from tiny_ca.application.services import Services
from tiny_ca.application.stored import load_files
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import StorageError, TinyCAError
from tiny_ca.domain.examination import Examination, Finding, Problem
from tiny_ca.domain.names import file_name_of
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.examination import ExaminableStorage
from tiny_ca.ports.issuer import Issuer, issuer_id_of
from tiny_ca.ports.progress import Progress
from tiny_ca.ports.storage import Artefacts

__all__ = ["examine"]

_PAGE = 500
_VALID = CertificateFilter(status=CertificateStatus.VALID)


@dataclass(slots=True)
class _Tally:
    certificates: int = 0
    files: int = 0
    crls: int = 0


def examine(
    services: Services,
    issuer: Issuer | None,
    *,
    fix: bool = False,
    progress: Progress | None = None,
) -> Examination:
    """Look at every valid certificate, every file and every CRL.

    With *fix*: a certificate that is missing is written from the registry, a key that others
    may read becomes its owner's, and a CRL that is missing, older, over, or whose copy alone is
    damaged is published anew, by the same way as always.  All else is for people to decide.
    """
    tally, storage = _Tally(), services.storage
    is_examinable = isinstance(storage, ExaminableStorage)
    findings = list(_row_findings(services, tally, progress, fix=fix))
    if isinstance(storage, ExaminableStorage):
        findings += _file_findings(services, storage, tally, progress)
        findings += _mode_findings(storage, fix=fix)
    for checked in crl_findings(services, issuer, fix=fix):
        tally.crls += 1
        findings += checked
    return Examination(
        tuple(findings),
        tally.certificates,
        tally.files,
        tally.crls,
        None if is_examinable else f"The files: a {type(storage).__name__} can't be gone through.",
    )


def _row_findings(
    services: Services, tally: _Tally, progress: Progress | None, *, fix: bool
) -> Iterator[Finding]:
    for record in _in_view(find_all(services, _VALID), progress):
        tally.certificates += 1
        finding = _of_row(services, record)
        if finding is None or not _is_still_so(services, record):
            continue
        if fix and finding.problem is Problem.FILES_MISSING:
            finding = _repaired(finding, partial(_add, services, record))
        yield finding


def _in_view(
    records: Iterator[CertificateRecord], progress: Progress | None
) -> Iterator[CertificateRecord]:
    """Give records, newest first, and tell by their places how many rows are behind them."""
    newest, steps = None, Steps(None)
    for record in records:
        place = record.position or 0
        if newest is None:
            newest, steps = place, Steps(progress, place)
        yield record
        steps.reach(newest - place + 1)


def _is_still_so(services: Services, record: CertificateRecord) -> bool:
    """Whether it is not only that another process replaces or publishes it at the moment."""
    now = services.registry.get_by_serial(record.serial_number, record.issuer_id)
    is_staged = any(one.uuid == record.uuid for one in services.storage.leftovers())
    return now is not None and now.status is CertificateStatus.VALID and not is_staged


def _of_row(services: Services, record: CertificateRecord) -> Finding | None:
    if record.certificate_pem is None and record.uuid is None:
        # Imported, and only its row was left: somebody may well have it.
        return None
    if record.certificate_pem is None:
        text = "is valid on record, without a certificate: revoke it, nobody can have it."
        return _finding(Problem.ROW_WITHOUT_CERTIFICATE, record, text)
    location, storage = _location(services, record), services.storage
    if location is None or not isinstance(storage, ExaminableStorage):
        return None
    try:
        artefacts = load_files(services, record, location)
    except StorageError as error:
        if storage.certificate_path(location) is None:
            return _finding(Problem.FILES_MISSING, record, f"has no file: {error}")
        return _finding(Problem.FILES_UNREADABLE, record, f"has files that fail: {error}")
    return _of_files(record, artefacts, record.certificate_pem)


def _of_files(record: CertificateRecord, artefacts: Artefacts, pem: str) -> Finding | None:
    where = artefacts.paths.get(".pem", record.uuid)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    if artefacts.certificate != certificate:
        text = f"is not what is in {where}: look whose it is, and move it away."
        return _finding(Problem.OTHER_CERTIFICATE, record, text)
    key = artefacts.private_key
    if key is not None and key.public_key() != certificate.public_key():
        text = f"has another one's key beside it, in {where}: restore the right one, or rotate it."
        return _finding(Problem.WRONG_KEY, record, text)
    return None


def _location(services: Services, record: CertificateRecord) -> Location | None:
    is_ca = record.cert_type is CertType.CA
    file_name = CA_FILE_NAME if is_ca else file_name_of(record.common_name)
    return location_of(services, record, file_name)


def _finding(problem: Problem, record: CertificateRecord, text: str) -> Finding:
    name = record.common_name
    return Finding(problem, name, f"{name!r} {text}", record.serial_number)


def _add(services: Services, record: CertificateRecord) -> None:
    location, storage = _location(services, record), services.storage
    if isinstance(storage, ExaminableStorage) and location is not None and record.certificate_pem:
        certificate = x509.load_pem_x509_certificate(record.certificate_pem.encode())
        storage.add_certificate(location, certificate)


def _file_findings(
    services: Services, storage: ExaminableStorage, tally: _Tally, progress: Progress | None
) -> Iterator[Finding]:
    now, files = services.clock.now(), counted(storage.stored_certificates(), progress)
    while page := list(islice(files, _PAGE)):
        tally.files += len(page)
        # Nobody needs to revoke what is over; its row may have been deleted.
        current = [each for each in page if each[1].not_valid_after_utc >= now]
        for path, certificate in _unknown(services, current):
            name = certificate.subject.rfc4514_string()
            yield Finding(
                Problem.UNKNOWN_CERTIFICATE,
                str(path),
                f"{path} holds a certificate of {name!r} that the registry does not know, and "
                "can't revoke: restore the registry, or move the file away.",
                certificate.serial_number,
            )


def _unknown(
    services: Services, files: Sequence[tuple[Path, x509.Certificate]]
) -> Iterator[tuple[Path, x509.Certificate]]:
    """Give those of the files whose certificates are not on record."""
    serials: dict[str, set[int]] = {}
    for _, certificate in files:
        serials.setdefault(issuer_id_of(certificate), set()).add(certificate.serial_number)
    known = {
        (record.issuer_id, record.serial_number): record
        for issuer_id, numbers in serials.items()
        for record in services.registry.get_many(issuer_id, sorted(numbers))
    }
    for path, certificate in files:
        record = known.get((issuer_id_of(certificate), certificate.serial_number))
        is_known = record is not None and is_of(record, certificate)
        # One by one what a page does not tell: whose key has signed it need not be said.
        if not is_known and find_same(services, certificate) is None:
            yield path, certificate


def _mode_findings(storage: ExaminableStorage, *, fix: bool) -> Iterator[Finding]:
    for path in storage.exposed_keys():
        text = f"Others than its owner may read or write {path}: make it 0600."
        finding = Finding(Problem.EXPOSED_KEY, str(path), text)
        yield _repaired(finding, partial(storage.make_private, path)) if fix else finding


def _repaired(finding: Finding, repair: Callable[[], object]) -> Finding:
    """Try to repair; what fails is told with the finding."""
    try:
        repair()
    except TinyCAError as error:
        return replace(finding, text=f"{finding.text} Not repaired: {error}")
    return replace(finding, is_repaired=True)
