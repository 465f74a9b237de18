"""A registry of 0.1 in another place, row by odd row, on every database."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.legacy import NOW, YEAR, LegacyRegistry, execute, query
from tiny_ca import (
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    CRLReason,
    MemoryRegistry,
    MemoryStorage,
    OldRegistry,
    SyncDBHandler,
)
from tiny_ca.domain.errors import DamagedHistory, ForeignCertificate


@pytest.fixture
def old() -> LegacyRegistry:
    return LegacyRegistry()


def in_memory() -> CertLifecycleManager:
    return CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())


def test_every_row_is_taken_over_and_none_is_changed(old: LegacyRegistry, db_url: str) -> None:
    valid = old.add("alice", CertType.USER)
    revoked = old.revoked("b", "affiliationChanged")
    odd = old.revoked("c", "removeFromCRL")
    over = old.add("d", start=NOW - 2 * YEAR, end=NOW - timedelta(days=1))
    old.write(db_url)
    before = query(db_url, "SELECT * FROM certificates ORDER BY id")
    manager = in_memory()
    report = manager.import_history(OldRegistry(db_url))
    assert query(db_url, "SELECT * FROM certificates ORDER BY id") == before
    assert report.recorded == tuple(one.serial_number for one in (valid, revoked, odd, over))
    [authority] = report.authorities
    assert (authority.common_name, authority.has_key) == ("Old Root", False)
    found = {one.serial_number: one for one in manager.iter_certificates()}
    assert found[valid.serial_number].cert_type is CertType.USER
    assert found[valid.serial_number].status is CertificateStatus.VALID
    assert found[revoked.serial_number].revocation_reason is CRLReason.AFFILIATION_CHANGED
    assert found[odd.serial_number].revocation_reason is CRLReason.UNSPECIFIED
    assert found[over.serial_number].status is CertificateStatus.EXPIRED


def test_a_key_in_the_folder(old: LegacyRegistry, tmp_path: Path) -> None:
    leaf = old.add("a.internal")
    db_url = old.write(f"sqlite:///{tmp_path / 'old.db'}")
    old.factory(tmp_path / "pki" / old.rows[0]["uuid"])
    manager = in_memory()
    assert manager.import_history(OldRegistry(db_url, tmp_path / "pki")).authorities[0].has_key
    assert manager.verify_certificate(leaf)
    assert manager.revoke_certificate(leaf.serial_number)
    assert [entry.serial_number for entry in manager.generate_crl()] == [leaf.serial_number]


def test_what_is_wrong_names_the_row(old: LegacyRegistry, tmp_path: Path) -> None:
    old.add("a.internal")
    db_url = old.write(f"sqlite:///{tmp_path / 'old.db'}")
    execute(db_url, "UPDATE certificates SET certificate_pem = 'torn' WHERE id = 2")
    with pytest.raises(DamagedHistory, match=r"row 2 \('a.internal'\)"):
        in_memory().import_history(OldRegistry(db_url))
    execute(db_url, "DELETE FROM certificates WHERE id = 2")
    other = LegacyRegistry("Another Root")
    other.add("b.internal")
    execute(
        db_url,
        "INSERT INTO certificates (serial_number, common_name, status, not_valid_before,"
        " not_valid_after, key_type, certificate_pem) VALUES"
        f" ('{other.rows[1]['serial_number']}', 'b', 'valid', '2020-01-01 00:00:00',"
        f" '2020-01-01 00:00:00', 'SVC', '{other.rows[1]['certificate_pem']}')",
    )
    with pytest.raises(ForeignCertificate, match=r"row 2 \('b'\).*Another Root"):
        in_memory().import_history(OldRegistry(db_url))


def test_a_database_that_is_not_there_or_not_old(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(DamagedHistory, match="unable to open"):
        in_memory().import_history(OldRegistry(f"sqlite:///{missing}"))
    assert not missing.exists()
    db_url = f"sqlite:///{tmp_path / 'new.db'}"
    SyncDBHandler(db_url).close()
    with pytest.raises(DamagedHistory, match=r"no table of tiny_ca 0\.1 or 0\.2"):
        in_memory().import_history(OldRegistry(db_url))
    with pytest.raises(DamagedHistory, match="no such folder"):
        in_memory().import_history(OldRegistry(db_url, tmp_path / "nowhere"))
