"""Certificates that are issued all or none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.regression.world import Hook, fail_at, hooked
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    IdempotencyConflict,
    NotUniqueCertOwner,
    StorageError,
    ValidationCertError,
)

ROOT = CAConfig(common_name="Root", key_algorithm="p-256")


def configs(*names: str) -> list[ClientConfig]:
    return [ClientConfig(common_name=name, key_algorithm="p-256") for name in names]


@pytest.fixture
def ca(tmp_path: Path, db_url: str) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(LocalStorage(tmp_path), db_handler=SyncDBHandler(db_url)) as made:
        made.create_self_signed_ca(ROOT)
        yield made


def test_each_is_issued_with_its_files(ca: CertLifecycleManager, tmp_path: Path) -> None:
    issued = ca.issue_many(configs("a", "b", "c"), "devices")
    names = [certificate.subject.rfc4514_string() for certificate, _, _ in issued]
    assert names == ["CN=a", "CN=b", "CN=c"]
    for certificate, key, csr in issued:
        assert ca.verify_certificate(certificate)
        assert key.public_key() == certificate.public_key() == csr.public_key()
    assert len(list((tmp_path / "devices").glob("*/?.key"))) == 3


@pytest.mark.parametrize("names", [("b", "taken"), ("b", "c", "b")], ids=["taken", "twice"])
def test_a_name_that_can_not_be_had_leaves_none(
    ca: CertLifecycleManager, tmp_path: Path, names: tuple[str, ...]
) -> None:
    ca.issue_certificate(*configs("taken"))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(NotUniqueCertOwner):
        ca.issue_many(configs(*names))
    assert set(tmp_path.rglob("*")) == before
    assert ca.issue_many(configs("b", "c"))


def test_a_disk_that_fails_half_way_leaves_none(tmp_path: Path) -> None:
    hook = Hook("stage")
    registry = SyncDBHandler(f"sqlite:///{tmp_path / 'r.db'}")
    with CertLifecycleManager(
        hooked(LocalStorage, hook)(tmp_path / "pki"), db_handler=registry
    ) as ca:
        ca.create_self_signed_ca(ROOT)
        before = set((tmp_path / "pki").rglob("*"))
        fail_at(hook, 3, StorageError("injected"))
        with pytest.raises(StorageError, match="injected"):
            ca.issue_many(configs("a", "b", "c", "d"))
        assert set((tmp_path / "pki").rglob("*")) == before
        assert [registry.get_by_name(name) for name in "abcd"] == [None] * 4
        assert len(ca.issue_many(configs("a", "b", "c", "d"))) == 4


def test_heavy_keys_are_made_on_all_cores() -> None:
    ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    issued = ca.issue_many([ClientConfig(common_name=name) for name in "abc"])
    assert {key.key_size for _, key, _ in issued} == {2048}


def test_none_is_no_request() -> None:
    ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    assert ca.issue_many([]) == []


def test_a_repeated_batch_gives_the_first(ca: CertLifecycleManager) -> None:
    first = ca.issue_many(configs("a", "b"), idempotency_key="k")
    again = ca.issue_many(configs("a", "b"), idempotency_key="k")
    plain = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    for (one, one_key, one_csr), (two, two_key, two_csr) in zip(first, again, strict=True):
        assert (one, one_csr) == (two, two_csr)
        assert one_key.private_bytes(*plain) == two_key.private_bytes(*plain)
    with pytest.raises(IdempotencyConflict):
        ca.issue_many(configs("a"), idempotency_key="k")


def test_what_was_revoked_before_it_was_signed_is_not_given(tmp_path: Path) -> None:
    registry, hook = MemoryRegistry(), Hook("stage")
    storage = hooked(LocalStorage, hook)(tmp_path)
    ca = CertLifecycleManager(storage, db_handler=registry)
    ca.create_self_signed_ca(ROOT)

    def revoke_it() -> None:
        record = registry.get_by_idempotency_key("k")
        assert record is not None
        assert ca.revoke_certificate(record.serial_number)

    hook.action = revoke_it
    with pytest.raises(Exception, match="closed"):
        ca.issue_certificate(*configs("a"), idempotency_key="k")
    with pytest.raises(ValidationCertError, match="new idempotency key"):
        ca.issue_certificate(*configs("a"), idempotency_key="k")


@pytest.mark.anyio
async def test_the_async_face_issues_many_too() -> None:
    ca = AsyncCertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    await ca.create_self_signed_ca(ROOT)
    assert len(await ca.issue_many(configs("a", "b"))) == 2


@pytest.mark.anyio
async def test_the_async_face_joins_too(tmp_path: Path) -> None:
    registry = SyncDBHandler(f"sqlite:///{tmp_path / 'r.db'}")
    async with AsyncCertLifecycleManager(NoStorage(), db_handler=registry) as ca:
        await ca.create_self_signed_ca(ROOT)
        async with await ca.prepare_certificate(*configs("a")) as prepared:
            with registry._db.session() as session, session.begin():
                prepared.join(session)
        assert prepared.issued[0] == prepared.certificate
        assert await ca.verify_certificate(prepared.certificate)
