"""The history of an easy-rsa `pki` folder, taken over and gone on with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.histories import EasyRSA, call
from tests.integration.legacy import filled_once
from tiny_ca import (
    AsyncCertLifecycleManager,
    AsyncDBHandler,
    AsyncLocalStorage,
    CertificateRecord,
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    ClientConfig,
    EasyRSAFolder,
    LocalStorage,
    MemoryRegistry,
    MemoryStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import DamagedHistory, StorageError

LOCKED = "locked.client"


def fill(folder: Path) -> None:
    easyrsa = EasyRSA(folder, passphrase="secret")
    for name in ("web", "superseded", "compromised"):
        easyrsa("build-server-full", name, "nopass")
    easyrsa("build-client-full", LOCKED, EASYRSA_PASSOUT="pass:theirs")
    easyrsa("build-client-full", "renewed-and-revoked", "nopass")
    easyrsa("renew", "web", "nopass")
    easyrsa("renew", "renewed-and-revoked", "nopass")
    easyrsa("revoke-renewed", "renewed-and-revoked", "affiliationChanged")
    easyrsa("revoke", "superseded", "superseded")
    easyrsa("revoke", "compromised", "keyCompromise")
    easyrsa("gen-crl")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled_once(tmp_path_factory, "easy-rsa", fill) / "pki"


@pytest.fixture
def pki(made: Path, tmp_path: Path) -> Path:
    """A copy that the test may break."""
    shutil.copytree(made, tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def manager(db_url: str, tmp_path: Path) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), db_handler=SyncDBHandler(db_url)
    ) as opened:
        yield opened


def by_name(manager: CertLifecycleManager) -> dict[str, list[CertificateRecord]]:
    """Give what is on record by name, oldest first."""
    found: dict[str, list[CertificateRecord]] = {}
    for record in manager.iter_certificates():
        found.setdefault(record.common_name, []).insert(0, record)
    return found


def test_every_certificate_is_found(manager: CertLifecycleManager, pki: Path) -> None:
    report = manager.import_history(EasyRSAFolder(pki, passphrase="secret"))
    records = by_name(manager)
    statuses = {
        name: [(one.status.value, one.revocation_reason and one.revocation_reason.value)]
        for name, [one, *_] in records.items()
    }
    assert statuses == {
        "Easy CA": [("valid", None)],
        "web": [("valid", None)],
        "superseded": [("revoked", "superseded")],
        "compromised": [("revoked", "keyCompromise")],
        LOCKED: [("valid", None)],
        "renewed-and-revoked": [("revoked", "affiliationChanged")],
    }
    assert [len(records[name]) for name in ("web", "renewed-and-revoked")] == [2, 2]
    assert report.without_certificate == 0
    assert len(report.recorded) == 7
    assert records["web"][0].cert_type is CertType.SERVICE
    assert records[LOCKED][0].cert_type is CertType.DEVICE
    [remark] = report.remarks
    assert f"{LOCKED}.key stays" in remark


def test_keys_come_along(manager: CertLifecycleManager, pki: Path, tmp_path: Path) -> None:
    manager.import_history(EasyRSAFolder(pki, passphrase="secret"), cert_path="from-easy-rsa")
    for name in ("web", "renewed-and-revoked", "compromised"):
        for record in by_name(manager)[name]:
            assert record.certificate_pem is not None
            assert record.uuid is not None
            certificate = x509.load_pem_x509_certificate(record.certificate_pem.encode())
            assert manager.export_pkcs12(certificate, password=b"password")
            files = tmp_path / "pki" / "from-easy-rsa" / record.uuid
            assert {path.name for path in files.iterdir()} == {
                f"{name}{extension}" if record.status.value == "valid" else path.name
                for extension in (".pem", ".key", ".csr")
                for path in files.glob(f"*{extension}")
            }
            assert len(list(files.iterdir())) == 3
    locked = by_name(manager)[LOCKED][0]
    assert locked.uuid is None
    old = by_name(manager)["web"][1]
    renewed = manager.renew_certificate(old.serial_number, days_valid=30)
    before = x509.load_pem_x509_certificate((old.certificate_pem or "").encode())
    assert renewed.public_key() == before.public_key()


def test_a_key_whose_passphrase_is_given(pki: Path) -> None:
    manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    source = EasyRSAFolder(pki, passphrase="secret", key_passphrases={LOCKED: "theirs"})
    assert manager.import_history(source).remarks == ()
    pem = by_name(manager)[LOCKED][0].certificate_pem or ""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert manager.export_pkcs12(certificate, password=b"password")


@pytest.mark.parametrize(
    ("passphrase", "others", "told"),
    [
        (None, {}, r"ca\.key"),
        ("wrong", {}, r"ca\.key"),
        ("secret", {LOCKED: "wrong"}, rf"{LOCKED}\.key"),
    ],
)
def test_a_passphrase_that_opens_nothing(
    pki: Path, passphrase: str | None, others: dict[str, str], told: str
) -> None:
    manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    source = EasyRSAFolder(pki, passphrase=passphrase, key_passphrases=others)
    with pytest.raises(DamagedHistory, match=told):
        manager.import_history(source)
    assert list(manager.iter_certificates()) == []


def test_a_ca_whose_key_stays_elsewhere(pki: Path) -> None:
    (pki / "private" / "ca.key").unlink()
    manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    with pytest.raises(DamagedHistory, match=r"ca\.key: No such file"):
        manager.import_history(EasyRSAFolder(pki, passphrase="secret"))
    report = manager.import_history(EasyRSAFolder(pki, with_ca_key=False))
    assert not report.authorities[0].has_key
    with pytest.raises(StorageError):
        manager.under("Easy CA")


def test_a_key_of_another_certificate(pki: Path) -> None:
    shutil.copy(pki / "private" / "renewed-and-revoked.key", pki / "private" / "web.key")
    manager = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    with pytest.raises(DamagedHistory, match=r"web\.key: it is not the key"):
        manager.import_history(EasyRSAFolder(pki, passphrase="secret"))


def test_openssl_agrees_on_old_and_new(
    manager: CertLifecycleManager, pki: Path, tmp_path: Path
) -> None:
    manager.import_history(EasyRSAFolder(pki, passphrase="secret"))
    config = ClientConfig(common_name="new", key_algorithm="p-256", days_valid=30)
    new, _, _ = manager.issue_certificate(config)
    (locked,) = by_name(manager)[LOCKED]
    assert manager.revoke_certificate(locked.serial_number)
    manager.generate_crl()
    crl = x509.load_pem_x509_crl((tmp_path / "pki" / "crl.pem").read_bytes())
    former = x509.load_pem_x509_crl((pki / "crl.pem").read_bytes())
    before = {one.serial_number for one in former}
    assert {one.serial_number for one in crl} == before | {locked.serial_number}
    verify = ("openssl", "verify", "-crl_check", "-CAfile", pki / "ca.crt")
    with_crl = ("-CRLfile", tmp_path / "pki" / "crl.pem")
    path = tmp_path / "one.pem"
    for record in [*by_name(manager)["web"], locked, *by_name(manager)["superseded"]]:
        path.write_text(record.certificate_pem or "")
        if record.serial_number in before | {locked.serial_number}:
            with pytest.raises(AssertionError, match="certificate revoked"):
                call(*verify, *with_crl, path, cwd=tmp_path)
        else:
            call(*verify, *with_crl, path, cwd=tmp_path)
    path.write_bytes(new.public_bytes(Encoding.PEM))
    call(*verify, *with_crl, path, cwd=tmp_path)


@pytest.mark.anyio
async def test_the_async_face(made: Path, tmp_path: Path) -> None:
    async with AsyncCertLifecycleManager(
        AsyncLocalStorage(tmp_path / "pki"),
        db_handler=AsyncDBHandler(f"sqlite+aiosqlite:///{tmp_path}/pki.db"),
    ) as manager:
        source = EasyRSAFolder(made, passphrase="secret")
        planned = await manager.import_history(source, dry_run=True)
        done = await manager.import_history(source)
        assert done.recorded == planned.recorded
        crl = await manager.generate_crl()
        assert len(list(crl)) == done.statuses[CertificateStatus.REVOKED] == 3
