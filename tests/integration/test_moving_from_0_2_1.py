"""A registry and files that the real tiny_ca 0.2.1 made, opened in place."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tests.integration.legacy import filled_once, install_legacy, run_legacy
from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    OldRegistry,
    SyncDBHandler,
)
from tiny_ca.domain.errors import CertNotFound, StorageError

SCRIPT = Path(__file__).with_name("leave_0_2_1_pki.py")
SUBORDINATES = Path("pki/subordinates")
REGISTERED = SUBORDINATES / "0c9b1f1e-5a0e-4e0c-9a53-0a5f0a6a1a01"


@pytest.fixture(scope="session")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which 0.2.1 worked."""
    environment = filled_once(
        tmp_path_factory, "tiny_ca-0.2.1", lambda folder: install_legacy(folder, "0.2.1")
    )
    python = environment / "bin" / "python"
    return filled_once(
        tmp_path_factory, "left-behind-0.2.1", lambda folder: run_legacy(python, folder, SCRIPT)
    )


@pytest.fixture
def issued(
    left_behind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, x509.Certificate]:
    """Copy it all into the current directory; give what was issued, by name."""
    shutil.copytree(left_behind, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return {
        one["common_name"]: x509.load_pem_x509_certificate(one["pem"].encode())
        for one in json.loads(Path("expected.json").read_text())
    }


@pytest.fixture
def manager(issued: dict[str, x509.Certificate]) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(
        LocalStorage("pki"), db_handler=SyncDBHandler("sqlite:///pki.db")
    ) as opened:
        yield opened


def leaf(name: str) -> ClientConfig:
    return ClientConfig(common_name=name, key_algorithm="p-256", days_valid=30)


def test_every_status_is_kept(
    manager: CertLifecycleManager, issued: dict[str, x509.Certificate]
) -> None:
    manager.open_ca("Old Root")
    assert manager.verify_certificate(issued["a.internal"])
    revoked = issued["b.internal"].serial_number
    assert manager.get_certificate_status(revoked) is CertificateStatus.REVOKED
    [entry] = manager.generate_crl()
    assert entry.serial_number == revoked
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise


def test_a_subordinate_ca_can_be_stood_under(
    manager: CertLifecycleManager, issued: dict[str, x509.Certificate]
) -> None:
    below = manager.under("Registered CA")
    assert below.verify_certificate(issued["c.internal"])
    fresh, _, _ = below.issue_certificate(leaf("d.internal"))
    assert below.verify_certificate(fresh)
    assert below.revoke_certificate(issued["c.internal"].serial_number)
    assert [entry.serial_number for entry in below.generate_crl()] == [
        issued["c.internal"].serial_number
    ]
    chain = manager.get_cert_chain(issued["c.internal"])
    names = [one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value for one in chain]
    assert names == ["c.internal", "Registered CA", "Old Root"]


def test_its_key_is_found_for_export_and_ocsp(
    manager: CertLifecycleManager, issued: dict[str, x509.Certificate]
) -> None:
    authority = x509.load_pem_x509_certificate((REGISTERED / "intermediate_ca.pem").read_bytes())
    assert manager.export_pkcs12(authority, password=b"password")
    # Everything on record: the root, the CA below it, and three leaves.
    assert manager.ocsp_responder(delegated=False).presign() == 5


def test_one_that_it_never_registered_is_imported(manager: CertLifecycleManager) -> None:
    with pytest.raises(CertNotFound):
        manager.under("Loose CA")
    folder = SUBORDINATES / "loose-ca"
    bundle = [folder / f"intermediate_ca{extension}" for extension in (".pem", ".key")]
    manager.import_ca_bundle(b"".join(path.read_bytes() for path in bundle))
    fresh, _, _ = manager.under("Loose CA").issue_certificate(leaf("e.internal"))
    assert manager.verify_certificate(fresh)


@pytest.mark.parametrize("lost", ["file", "key", "passphrase"])
def test_what_is_wrong_with_its_files_is_said(
    issued: dict[str, x509.Certificate], manager: CertLifecycleManager, lost: str
) -> None:
    if lost == "file":
        (REGISTERED / "intermediate_ca.pem").unlink()
    elif lost == "key":
        (REGISTERED / "intermediate_ca.key").write_text("-----BEGIN")
    else:
        storage = LocalStorage("pki", base_encryption_algorithm=BestAvailableEncryption(b"x"))
        manager = CertLifecycleManager(storage, db_handler=SyncDBHandler("sqlite:///pki.db"))
    told = {"file": "no certificate", "key": r"ca\.key can't be read", "passphrase": "encrypted"}
    with pytest.raises(StorageError, match=f"intermediate_ca: .*{told[lost]}"):
        manager.under("Registered CA")
    manager.close()


def test_it_is_imported_into_another_place(
    issued: dict[str, x509.Certificate], db_url: str, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    source = OldRegistry("sqlite:///pki.db", "pki")
    with CertLifecycleManager(
        LocalStorage(tmp_path / "new"), db_handler=SyncDBHandler(db_url)
    ) as manager:
        report = manager.import_history(source)
        assert {path: path.read_bytes() for path in before} == before
        assert len(report.recorded) == len(issued)
        names = {one.common_name: one.has_key for one in report.authorities}
        assert names == {"Old Root": True, "Registered CA": True, "Loose CA": True}
        assert manager.verify_certificate(issued["a.internal"])
        assert manager.get_certificate_status(issued["b.internal"].serial_number) is (
            CertificateStatus.REVOKED
        )
        [entry] = manager.generate_crl()
        assert entry.serial_number == issued["b.internal"].serial_number
        below = manager.under("Registered CA")
        assert below.verify_certificate(issued["c.internal"])
        fresh, _, _ = manager.under("Loose CA").issue_certificate(leaf("e.internal"))
        assert manager.under("Loose CA").verify_certificate(fresh)
        # Every key came along.
        for certificate in issued.values():
            assert manager.export_pkcs12(certificate, password=b"password")
        assert manager.import_history(source).recorded == ()
