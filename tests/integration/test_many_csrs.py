"""CSRs that are signed all or none."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import event

from tests.integration.test_csr import csr, names_of
from tests.regression.world import Hook, World, fail_at, hooked
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    LocalStorage,
    MemoryRegistry,
    NoStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import (
    IdempotencyConflict,
    InvalidCSR,
    NotUniqueCertOwner,
    ProfileViolation,
    StorageError,
    ValidationCertError,
)

ROOT = CAConfig(common_name="Root", key_algorithm="p-256")


def requests(*names: str) -> list[bytes]:
    return [
        csr(name, dns=[name], key=ec.generate_private_key(ec.SECP256R1())).public_bytes(
            Encoding.DER
        )
        for name in names
    ]


@pytest.fixture
def ca(tmp_path: Path, db_url: str) -> Iterator[CertLifecycleManager]:
    with CertLifecycleManager(LocalStorage(tmp_path), db_handler=SyncDBHandler(db_url)) as made:
        made.create_self_signed_ca(ROOT)
        yield made


def test_each_is_signed_and_stored(ca: CertLifecycleManager, tmp_path: Path) -> None:
    asked = requests("a.internal", "b.internal", "c.internal")
    issued = ca.sign_many_csrs(asked, cert_path="csrs", valid_for=timedelta(hours=1))
    assert [names_of(each) for each in issued] == [
        ["a.internal"],
        ["b.internal"],
        ["c.internal"],
    ]
    for certificate in issued:
        assert ca.verify_certificate(certificate)
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert lifetime == timedelta(hours=1)
    assert len(list((tmp_path / "csrs").glob("*/?.internal.csr"))) == 3
    assert not list((tmp_path / "csrs").glob("*/*.key"))


def test_two_transactions_write(tmp_path: Path) -> None:
    registry = SyncDBHandler(f"sqlite:///{tmp_path / 'r.db'}")
    registry.close()
    run: list[str] = []
    event.listen(
        registry._db.engine, "connect", lambda driver, _: driver.set_trace_callback(run.append)
    )
    with CertLifecycleManager(NoStorage(), db_handler=registry) as ca:
        ca.create_self_signed_ca(ROOT)
        run.clear()
        assert len(ca.sign_many_csrs(requests(*(f"n{n}.internal" for n in range(20))))) == 20
        assert run.count("BEGIN IMMEDIATE") == 2


@pytest.mark.parametrize("names", [("b", "taken"), ("b", "c", "b")], ids=["taken", "twice"])
def test_a_name_that_can_not_be_had_leaves_none(
    ca: CertLifecycleManager, tmp_path: Path, names: tuple[str, ...]
) -> None:
    ca.sign_many_csrs(requests("taken.internal"))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(NotUniqueCertOwner):
        ca.sign_many_csrs(requests(*(f"{name}.internal" for name in names)))
    assert set(tmp_path.rglob("*")) == before
    assert ca.sign_many_csrs(requests("b.internal", "c.internal"))


@pytest.mark.parametrize(
    ("bad", "error"),
    [(b"hello", InvalidCSR), (csr("nobody special").public_bytes(Encoding.PEM), ProfileViolation)],
    ids=["malformed", "refused"],
)
def test_the_error_says_which_request_it_was(
    tmp_path: Path, bad: bytes, error: type[Exception]
) -> None:
    world = World(tmp_path)
    with world.ca() as ca:
        rows, tree = world.rows(), world.tree()
        with pytest.raises(error) as caught:
            ca.sign_many_csrs([*requests("a.internal", "b.internal"), bad])
        assert "number 2 of the requests" in caught.value.__notes__[0]
        assert (world.rows(), world.tree()) == (rows, tree)


def test_a_disk_that_fails_half_way_leaves_none(tmp_path: Path) -> None:
    hook = Hook("stage")
    registry = SyncDBHandler(f"sqlite:///{tmp_path / 'r.db'}")
    asked = requests(*(f"{name}.internal" for name in "abcd"))
    with CertLifecycleManager(
        hooked(LocalStorage, hook)(tmp_path / "pki"), db_handler=registry
    ) as ca:
        ca.create_self_signed_ca(ROOT)
        before = set((tmp_path / "pki").rglob("*"))
        fail_at(hook, 3, StorageError("injected"))
        with pytest.raises(StorageError, match="injected"):
            ca.sign_many_csrs(asked)
        assert set((tmp_path / "pki").rglob("*")) == before
        assert [registry.get_by_name(f"{name}.internal") for name in "abcd"] == [None] * 4
        assert len(ca.sign_many_csrs(asked)) == 4


def test_a_repeated_batch_gives_the_first(ca: CertLifecycleManager) -> None:
    asked = requests("a.internal", "b.internal")
    first = ca.sign_many_csrs(asked, idempotency_key="k")
    assert ca.sign_many_csrs(asked, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        ca.sign_many_csrs(asked[:1], idempotency_key="k")


def test_none_under_a_revoked_ca() -> None:
    ca = CertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(ROOT)
    assert ca.factory is not None
    ca.revoke_certificate(ca.factory.certificate.serial_number)
    with pytest.raises(ValidationCertError, match="revoked"):
        ca.sign_many_csrs(requests("a.internal"))


@pytest.mark.anyio
async def test_the_async_face_signs_many_too() -> None:
    ca = AsyncCertLifecycleManager(NoStorage(), db_handler=MemoryRegistry())
    await ca.create_self_signed_ca(ROOT)
    assert await ca.sign_many_csrs([]) == []
    assert len(await ca.sign_many_csrs(requests("a.internal", "b.internal"))) == 2
