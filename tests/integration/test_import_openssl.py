"""The history of an `openssl ca`, taken over and gone on with."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.histories import OpenSSLCA, call
from tests.integration.legacy import filled_once, query
from tests.support import run
from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    ClientConfig,
    LocalStorage,
    MemoryRegistry,
    MemoryStorage,
    OpenSSLFolder,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    DamagedHistory,
    ForeignCertificate,
    HistoryError,
    SerialNumberConflict,
    ValidationCertError,
)

COMPROMISED_AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
VALID, REVOKED, EXPIRED = (
    CertificateStatus.VALID,
    CertificateStatus.REVOKED,
    CertificateStatus.EXPIRED,
)
STATUSES = {
    1: VALID,
    2: REVOKED,
    3: REVOKED,
    4: REVOKED,
    5: EXPIRED,
    6: VALID,
    7: REVOKED,
    8: VALID,
    9: VALID,
    10: VALID,
}
LOST = (7, 8)
"""Whose files are gone from `newcerts`."""


def fill(folder: Path) -> None:
    ca = OpenSSLCA(folder / "demoCA")
    ca.issue("a.test", extensions="server")
    ca.revoke(ca.issue("b.test"), "-crl_reason", "superseded")
    ca.revoke(ca.issue("c.test"), "-crl_compromise", "20240501120000Z")
    ca.revoke(ca.issue("d.test"), "-crl_hold", "holdInstructionNone")
    ca.issue("e.test", "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
    ca.issue("Олена", "-enddate", "20991231235959Z")
    ca.revoke(ca.issue("lost.test"))
    ca.issue("also-lost.test")
    ca.issue("a.test")
    ca.issue("Sub CA", extensions="sub")
    for serial in LOST:
        (ca.folder / "newcerts" / f"{serial:02X}.pem").unlink()
    ca.publish()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled_once(tmp_path_factory, "openssl-ca", fill)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that the test may break."""
    shutil.copytree(made, tmp_path / "old")
    return tmp_path / "old" / "demoCA"


@pytest.fixture
def manager(db_url: str, tmp_path: Path) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url)
    ) as opened:
        yield opened


def in_memory() -> CertLifecycleManager:
    return CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())


def leaf(name: str) -> ClientConfig:
    return ClientConfig(common_name=name, key_algorithm="p-256", days_valid=30)


def openssl_accepts(ca: Path, crl: Path, certificate: x509.Certificate, tmp_path: Path) -> bool:
    path = tmp_path / "verified.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    done = run("openssl", "verify", "-crl_check", "-CAfile", ca, "-CRLfile", crl, path)
    assert done.returncode == 0 or "certificate revoked" in done.stderr, done
    return done.returncode == 0


def test_every_status_is_that_of_the_index(manager: CertLifecycleManager, folder: Path) -> None:
    report = manager.import_history(OpenSSLFolder(folder))
    assert {n: manager.get_certificate_status(n) for n in STATUSES} == STATUSES
    assert report.recorded == tuple(STATUSES)
    assert report.statuses == {VALID: 5, REVOKED: 4, EXPIRED: 1}
    assert (report.known, report.without_certificate, report.remarks) == (0, 2, ())
    [authority] = report.authorities
    assert (authority.common_name, authority.has_key, authority.crl_number) == ("Demo CA", True, 31)
    records = {one.serial_number: one for one in manager.iter_certificates()}
    assert records[1].cert_type is CertType.SERVICE
    assert records[3].cert_type is CertType.DEVICE
    assert records[10].cert_type is CertType.CA
    assert records[6].common_name == "Олена"
    assert records[8].common_name == "also-lost.test"


def test_crls_go_on(manager: CertLifecycleManager, folder: Path) -> None:
    former = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    manager.import_history(OpenSSLFolder(folder))
    crl = manager.generate_crl()
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == 32
    said = {one.serial_number: one for one in crl}
    assert {n: one.revocation_date_utc for n, one in said.items()} == {
        one.serial_number: one.revocation_date_utc for one in former
    }
    reasons = {
        n: one.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for n, one in said.items()
        if n != 7
    }
    flags = x509.ReasonFlags
    assert reasons == {2: flags.superseded, 3: flags.key_compromise, 4: flags.certificate_hold}
    since = said[3].extensions.get_extension_for_class(x509.InvalidityDate).value
    assert since.invalidity_date_utc == COMPROMISED_AT
    assert len(said[7].extensions) == 0


def test_openssl_agrees_on_old_and_new(
    manager: CertLifecycleManager, folder: Path, tmp_path: Path
) -> None:
    manager.import_history(OpenSSLFolder(folder))
    valid, revoked = (
        manager.issue_certificate(leaf(name))[0] for name in ("new.test", "gone.test")
    )
    assert manager.revoke_certificate(revoked.serial_number)
    old = x509.load_pem_x509_certificate((folder / "newcerts" / "06.pem").read_bytes())
    assert manager.revoke_certificate(old.serial_number, x509.ReasonFlags.key_compromise)
    assert manager.release_certificate(4)
    manager.generate_crl()
    ca, crl = folder / "cacert.pem", tmp_path / "pki" / "crl.pem"
    expected = {1: True, 2: False, 3: False, 4: True, 6: False, 9: True}
    for serial, is_accepted in expected.items():
        path = folder / "newcerts" / f"{serial:02X}.pem"
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        assert openssl_accepts(ca, crl, certificate, tmp_path) is is_accepted, serial
        if is_accepted:
            assert manager.verify_certificate(certificate)
        else:
            with pytest.raises(ValidationCertError, match="revoked"):
                manager.verify_certificate(certificate)
    assert openssl_accepts(ca, crl, valid, tmp_path)
    assert not openssl_accepts(ca, crl, revoked, tmp_path)


def test_the_newest_of_a_name_has_the_claim(manager: CertLifecycleManager, folder: Path) -> None:
    manager.import_history(OpenSSLFolder(folder))
    fresh, _, _ = manager.issue_certificate(leaf("a.test"), is_overwrite=True)
    assert manager.get_certificate_status(9) is REVOKED
    assert manager.get_certificate_status(1) is VALID
    assert manager.verify_certificate(fresh)


def test_twice_changes_nothing(manager: CertLifecycleManager, folder: Path, db_url: str) -> None:
    manager.import_history(OpenSSLFolder(folder))
    manager.revoke_certificate(1)
    manager.release_certificate(4)
    tables = ("certificates", "certificate_issuers", "revocations")
    before = [query(db_url, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]
    report = manager.import_history(OpenSSLFolder(folder))
    assert (report.recorded, report.known) == ((), len(STATUSES))
    after = [query(db_url, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]
    assert after == before


def test_what_it_did_meanwhile_is_caught_up_with(
    manager: CertLifecycleManager, folder: Path, made: Path
) -> None:
    manager.import_history(OpenSSLFolder(folder))
    now = datetime.now(UTC)
    row = "V\t20991231235959Z\t\t06"
    index = folder / "index.txt"
    revoked = f"R\t20991231235959Z\t{now:%y%m%d%H%M%SZ},keyCompromise\t06"
    index.write_text(index.read_text().replace(row, revoked))
    manager.import_history(OpenSSLFolder(folder))
    assert manager.get_certificate_status(6) is REVOKED
    assert 6 in [entry.serial_number for entry in manager.generate_crl()]


def test_a_dry_run_writes_nothing(
    manager: CertLifecycleManager, folder: Path, db_url: str, tmp_path: Path
) -> None:
    planned = manager.import_history(OpenSSLFolder(folder), dry_run=True)
    assert planned.is_dry_run
    assert manager.factory is None
    assert query(db_url, "SELECT * FROM certificates") == []
    assert query(db_url, "SELECT * FROM certificate_issuers") == []
    assert not (tmp_path / "pki").exists()
    done = manager.import_history(OpenSSLFolder(folder))
    assert (done.recorded, done.statuses) == (planned.recorded, planned.statuses)


def test_an_interrupted_import_is_finished_by_another(folder: Path) -> None:
    class Fails(MemoryRegistry):
        left = 1

        def record_past(self, past: Any, at: datetime, crl_numbers: Any = None) -> int:
            if past and self.left == 0:
                raise OSError("killed")
            self.left -= bool(past)
            return super().record_past(past, at, crl_numbers)

    index = folder / "index.txt"
    lines = index.read_text()
    # Enough for several batches.
    more = "".join(f"V\t20991231235959Z\t\t{n:04X}\tunknown\t/CN=n{n}\n" for n in range(256, 1400))
    index.write_text(lines + more)
    registry = Fails()
    manager = CertLifecycleManager(MemoryStorage(), db_handler=registry)
    with pytest.raises(OSError, match="killed"):
        manager.import_history(OpenSSLFolder(folder))
    # Nobody signs a CRL from half a history.
    assert manager.factory is None
    assert [one.common_name for one in registry.authorities()] == ["Sub CA"]
    registry.left = 100
    report = manager.import_history(OpenSSLFolder(folder))
    assert report.known == 500
    assert len(report.recorded) + report.known == len(STATUSES) + 1144


def test_a_ca_whose_key_stays_elsewhere(folder: Path) -> None:
    manager = in_memory()
    report = manager.import_history(OpenSSLFolder(folder, private_key=None))
    assert not report.authorities[0].has_key
    assert manager.factory is None
    assert manager.get_certificate_status(2) is REVOKED


def test_only_the_rows_are_left(folder: Path) -> None:
    shutil.rmtree(folder / "newcerts")
    with pytest.raises(DamagedHistory, match="newcerts"):
        in_memory().import_history(OpenSSLFolder(folder))
    manager = in_memory()
    report = manager.import_history(OpenSSLFolder(folder, new_certs=None))
    assert report.without_certificate == len(STATUSES)
    assert {n: manager.get_certificate_status(n) for n in STATUSES} == STATUSES
    assert [entry.serial_number for entry in manager.generate_crl()] == [2, 3, 4, 7]


def test_an_encrypted_key_and_the_cas_own_row(tmp_path: Path) -> None:
    ca = OpenSSLCA(tmp_path / "ca", passphrase="secret")
    # As CA.pl makes a CA: its own certificate is the first row.
    request = ca.folder / "ca.csr"
    key = ("-key", "private/cakey.pem", "-passin", "pass:secret")
    config = ("-config", "leaf.cnf", "-subj", "/CN=Own Row CA")
    call("openssl", "req", "-new", *config, *key, "-out", request, cwd=ca.folder)
    ca.ca("-selfsign", "-in", request, "-out", "cacert.pem", extensions="sub")
    ca.issue("leaf.test")
    for wrong in (None, b"wrong"):
        with pytest.raises(DamagedHistory, match=r"cakey\.pem"):
            in_memory().import_history(OpenSSLFolder(ca.folder, passphrase=wrong))
    manager = in_memory()
    report = manager.import_history(OpenSSLFolder(ca.folder, passphrase="secret"))
    assert report.recorded == (2,)
    assert report.authorities[0].common_name == "Own Row CA"
    fresh, _, _ = manager.issue_certificate(leaf("new.test"))
    assert manager.verify_certificate(fresh)


def test_certificates_without_a_key_identifier(tmp_path: Path) -> None:
    ca = OpenSSLCA(tmp_path / "ca")
    plain = ca.issue("plain.test", extensions="plain")
    certificate = x509.load_pem_x509_certificate(plain.read_bytes())
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    manager = in_memory()
    manager.import_history(OpenSSLFolder(ca.folder))
    assert manager.verify_certificate(certificate)
    assert manager.revoke_certificate(certificate.serial_number)
    with pytest.raises(ValidationCertError, match="revoked"):
        manager.verify_certificate(certificate)
    assert [entry.serial_number for entry in manager.generate_crl()] == [1]


def test_two_cas_that_used_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    other = OpenSSLCA(tmp_path / "other", name="Other CA")
    other.revoke(other.issue("other.test"))
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(f"sqlite:///{tmp_path}/db")
    ) as manager:
        manager.import_history(OpenSSLFolder(folder))
        manager.import_history(OpenSSLFolder(other.folder))
        # Under the last one.
        assert manager.get_certificate_status(1) is REVOKED
        first = manager.under("Demo CA")
        assert first.get_certificate_status(1) is VALID
        assert [entry.serial_number for entry in first.generate_crl()] == [2, 3, 4, 7]
        assert [entry.serial_number for entry in manager.generate_crl()] == [1]
        manager.recover()


def test_the_doctor_finds_nothing(folder: Path, tmp_path: Path) -> None:
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(f"sqlite:///{tmp_path}/db")
    ) as manager:
        manager.import_history(OpenSSLFolder(folder))
        manager.generate_crl()
        assert manager.examine().findings == ()


def test_files_that_no_row_tells_of_are_named(folder: Path) -> None:
    stray = folder / "newcerts" / "FF.pem"
    shutil.copy(folder / "newcerts" / "01.pem", stray)
    manager = in_memory()
    [remark] = manager.import_history(OpenSSLFolder(folder)).remarks
    assert str(stray) in remark
    assert manager.get_certificate_status(0xFF) is CertificateStatus.UNKNOWN


def lines_of(folder: Path) -> list[str]:
    return (folder / "index.txt").read_text().splitlines(keepends=True)


def set_line(folder: Path, number: int, line: str) -> None:
    lines = lines_of(folder)
    lines[number - 1] = line
    (folder / "index.txt").write_text("".join(lines))


def foreign_file(folder: Path) -> None:
    other = OpenSSLCA(folder.parent / "foreign", name="Foreign CA")
    (other.folder / "serial").write_text("06\n")
    certificate = other.issue("x.test", "-enddate", "20991231235959Z")
    shutil.copy(certificate, folder / "newcerts" / "06.pem")


def impostor(folder: Path) -> None:
    """Of the CA's name, and another key."""
    other = OpenSSLCA(folder.parent / "foreign")
    (other.folder / "serial").write_text("06\n")
    certificate = other.issue("x.test", "-enddate", "20991231235959Z")
    shutil.copy(certificate, folder / "newcerts" / "06.pem")


def other_end(folder: Path) -> None:
    set_line(folder, 6, lines_of(folder)[5].replace("2099", "2098"))


WRONG: dict[str, tuple[Callable[[Path], object], type[HistoryError], str]] = {
    "five fields": (
        lambda folder: set_line(folder, 3, "V\t270101000000Z\t\t03\tunknown\n"),
        DamagedHistory,
        "line 3: it has 5 fields",
    ),
    "an unknown status": (
        lambda folder: set_line(folder, 1, lines_of(folder)[0].replace("V", "X", 1)),
        DamagedHistory,
        "line 1: its status is 'X'",
    ),
    "an unknown reason": (
        lambda folder: set_line(folder, 2, lines_of(folder)[1].replace("superseded", "boredom")),
        DamagedHistory,
        "line 2: 'boredom' is no reason",
    ),
    "a revocation without date": (
        lambda folder: set_line(folder, 1, lines_of(folder)[0].replace("V", "R", 1)),
        DamagedHistory,
        "line 1: its status is R",
    ),
    "no time": (
        lambda folder: set_line(folder, 6, lines_of(folder)[5].replace("20991231", "20991331")),
        DamagedHistory,
        "line 6: '20991331235959Z' is no time",
    ),
    "another end": (other_end, DamagedHistory, "line 6: it ends at 2098"),
    "a number twice": (
        lambda folder: set_line(folder, 2, lines_of(folder)[0]),
        SerialNumberConflict,
        "line 2.*serial number 1 is that of .*line 1",
    ),
    "another number in the file": (
        lambda folder: shutil.copy(folder / "newcerts/01.pem", folder / "newcerts/06.pem"),
        DamagedHistory,
        r"line 6: .*06\.pem has the serial number 1",
    ),
    "half a file": (
        lambda folder: (folder / "newcerts/06.pem").write_text("-----BEGIN CERTIFICATE-----\nA"),
        DamagedHistory,
        r"06\.pem",
    ),
    "another CA's certificate": (foreign_file, ForeignCertificate, r"line 6, .*06\.pem.*Foreign"),
    "a CA of the same name": (impostor, ForeignCertificate, r"line 6, .*06\.pem"),
    "no CA": (
        lambda folder: (folder / "cacert.pem").unlink(),
        DamagedHistory,
        r"cacert\.pem: No such file",
    ),
    "another CA's CRL": (
        lambda folder: shutil.copy(
            OpenSSLCA(folder.parent / "foreign").publish(), folder / "crl.pem"
        ),
        DamagedHistory,
        r"crl\.pem: no CA",
    ),
    "a damaged crlnumber": (
        lambda folder: (folder / "crlnumber").write_text("seven"),
        DamagedHistory,
        "crlnumber: 'seven'",
    ),
    "a crlnumber beyond the registry's": (
        lambda folder: (folder / "crlnumber").write_text("100000000"),
        DamagedHistory,
        "counts to 2147483647",
    ),
    "no index": (
        lambda folder: (folder / "index.txt").unlink(),
        DamagedHistory,
        r"index\.txt: No such file",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named_and_nothing_is_written(folder: Path, wrong: str) -> None:
    break_it, kind, told = WRONG[wrong]
    break_it(folder)
    registry, storage = MemoryRegistry(), MemoryStorage()
    manager = CertLifecycleManager(storage, db_handler=registry)
    with pytest.raises(kind, match=told):
        manager.import_history(OpenSSLFolder(folder))
    assert list(manager.iter_certificates()) == []
    assert registry.next_crl_number("0" * 32) == 1
    assert manager.factory is None


def test_a_number_that_the_registry_has_given_to_another(folder: Path, tmp_path: Path) -> None:
    manager = in_memory()
    manager.import_history(OpenSSLFolder(folder))
    ca = OpenSSLCA.__new__(OpenSSLCA)
    ca.folder, ca._passin = folder, []
    for extensions in ("leaf",):
        path = folder / f"{extensions}.cnf"
        text = path.read_text().splitlines()
        path.write_text("\n".join(f"dir = {folder}" if t.startswith("dir") else t for t in text))
    (folder / "serial").write_text("06\n")
    lines = [line for line in lines_of(folder) if "\t06\t" not in line]
    (folder / "index.txt").write_text("".join(lines))
    ca.issue("again.test")
    with pytest.raises(SerialNumberConflict, match="the registry has another certificate"):
        manager.import_history(OpenSSLFolder(folder))
