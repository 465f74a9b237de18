"""Requests that are repeated."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    DBNotInitedError,
    IdempotencyConflict,
    InvalidRequest,
    NotUniqueCertOwner,
    StorageError,
)

CONFIG = ClientConfig(common_name="a.internal", key_algorithm="p-256")
ROOT = CAConfig(common_name="Root", key_algorithm="p-256")


def pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_repeated_issue_gives_the_first_certificate_and_key(tmp_path: Path, db_url: str) -> None:
    encryption = BestAvailableEncryption(b"secret")
    storage = LocalStorage(tmp_path, base_encryption_algorithm=encryption)
    with CertLifecycleManager(storage, db_handler=SyncDBHandler(db_url)) as ca:
        ca.create_self_signed_ca(ROOT)
        first = ca.issue_certificate(CONFIG, idempotency_key="k")
        again = ca.issue_certificate(CONFIG, idempotency_key="k")
        assert again[0] == first[0]
        assert pem(again[1]) == pem(first[1])
        assert again[2] == first[2]
        with pytest.raises(IdempotencyConflict):
            ca.issue_certificate(CONFIG, "elsewhere", idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            ca.rotate_certificate(first[0].serial_number, CONFIG, idempotency_key="k")
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(CONFIG, idempotency_key="another")


def test_a_repeated_rotation_rotates_once(manager: CertLifecycleManager) -> None:
    old, _, _ = manager.issue_certificate(CONFIG)
    new, _, _ = manager.rotate_certificate(old.serial_number, CONFIG, idempotency_key="k")
    again, _, _ = manager.rotate_certificate(old.serial_number, CONFIG, idempotency_key="k")
    assert again == new


def test_a_repeated_bootstrap_makes_one_root(tmp_path: Path) -> None:
    ca = CertLifecycleManager(LocalStorage(tmp_path), db_handler=MemoryRegistry())
    paths = ca.create_self_signed_ca(ROOT, idempotency_key="k")
    assert ca.create_self_signed_ca(ROOT, idempotency_key="k") == paths
    assert ca.issue_certificate(CONFIG)


def test_the_same_request_at_once_is_carried_out_once(tmp_path: Path, db_url: str) -> None:
    with CertLifecycleManager(LocalStorage(tmp_path), db_handler=SyncDBHandler(db_url)) as ca:
        ca.create_self_signed_ca(ROOT)
        with ThreadPoolExecutor(8) as pool:
            calls = [
                pool.submit(ca.issue_certificate, CONFIG, idempotency_key="k") for _ in range(8)
            ]
        assert len({call.result()[0].serial_number for call in calls}) == 1


def test_a_key_that_is_not_held_is_a_clear_error(tmp_path: Path) -> None:
    ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    ca.issue_certificate(CONFIG, idempotency_key="k")
    with pytest.raises(StorageError, match="NoStorage"):
        ca.issue_certificate(CONFIG, idempotency_key="k")

    ca = CertLifecycleManager(LocalStorage(tmp_path), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    ca.issue_certificate(CONFIG, idempotency_key="k")
    next(tmp_path.glob("*/a.internal.key")).unlink()
    with pytest.raises(StorageError, match="private key"):
        ca.issue_certificate(CONFIG, idempotency_key="k")


def test_a_failed_attempt_frees_its_key(tmp_path: Path) -> None:
    ca = CertLifecycleManager(LocalStorage(tmp_path / "pki"), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    staging = tmp_path / "pki/.staging"
    staging.rmdir()
    staging.write_text("in the way")
    with pytest.raises(StorageError):
        ca.issue_certificate(CONFIG, idempotency_key="k")
    staging.unlink()
    assert ca.issue_certificate(CONFIG, idempotency_key="k")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_bounds(manager: CertLifecycleManager, key: str) -> None:
    with pytest.raises(InvalidRequest):
        manager.issue_certificate(CONFIG, idempotency_key=key)


def test_without_a_registry_nothing_can_be_repeated(tmp_path: Path) -> None:
    ca = CertLifecycleManager(LocalStorage(tmp_path))
    with pytest.raises(DBNotInitedError):
        ca.create_self_signed_ca(ROOT, idempotency_key="k")


def test_files_that_a_later_certificate_replaced_are_not_given(tmp_path: Path) -> None:
    ca = CertLifecycleManager(LocalStorage(tmp_path), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    ca.issue_certificate(CONFIG, uuid_str="web", idempotency_key="k")
    ca.issue_certificate(CONFIG, uuid_str="web", is_overwrite=True)
    with pytest.raises(StorageError, match="later"):
        ca.issue_certificate(CONFIG, uuid_str="web", idempotency_key="k")
