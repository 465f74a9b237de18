"""Who revokes a certificate while another rotates it: one of them is first, and that holds.

Either it is revoked as its caller said, and the rotation is refused and leaves nothing valid; or
it is superseded and its successor valid, and revoking it later changes nothing.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Barrier, Timer
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tests.regression.world import PROJECT, ROOT_CONFIG, leaf
from tiny_ca import (
    AsyncDBHandler,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import NotUniqueCertOwner, ValidationCertError

COMPROMISED = x509.ReasonFlags.key_compromise
REFUSED = (ValidationCertError, NotUniqueCertOwner)
"""What a rotation may raise: the old one is not valid, or its successor has the name."""

pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture(params=[SyncDBHandler, AsyncDBHandler])
def make(request: pytest.FixtureRequest, db_url: str, tmp_path: Path) -> Iterator[Any]:
    """Make managers of one CA, each with a registry handler of its own."""
    with ExitStack() as stack:

        def manager() -> CertLifecycleManager:
            storage, handler = LocalStorage(tmp_path / "pki"), request.param(db_url)
            return stack.enter_context(CertLifecycleManager(storage, db_handler=handler))

        first = manager()
        first.create_self_signed_ca(ROOT_CONFIG)

        def another() -> CertLifecycleManager:
            made = manager()
            made.open_ca()
            return made

        yield another


def rows(url: str, common_name: str) -> list[tuple[str, str | None]]:
    """Status and reason of every row of a name, past the library."""
    engine = create_engine(url)
    query = "SELECT status, revocation_reason FROM certificates WHERE common_name = :n ORDER BY id"
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query), {"n": common_name})]
    engine.dispose()
    return found


def check(url: str, common_name: str, successors: int, reason: str = "keyCompromise") -> bool:
    """Check that it ended in one of the two states; tell if the rotation was first."""
    old, *others = rows(url, common_name)
    statuses = [status for status, _ in others]
    assert set(statuses) <= {"valid", "abandoned"}
    assert old in {("revoked", reason), ("revoked", "superseded")}
    is_rotated = old[1] == "superseded"
    assert statuses.count("valid") == successors == is_rotated
    return is_rotated


def staged(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "pki/.staging").iterdir()]


BEFORE_THE_COMMIT = [
    ("get_by_serial", False),
    ("get_by_serial", True),
    ("reserve", False),
    ("reserve", True),
    ("commit", False),
]


def interleave(
    manager: CertLifecycleManager, method: str, is_after: bool, act: Callable[[], object]
) -> None:
    """Let *act* happen once, right before or after a method of the manager's registry."""
    registry = manager._services.registry
    original, todo = getattr(registry, method), [act]

    def call(*args: Any, **kwargs: Any) -> Any:
        if todo and not is_after:
            todo.pop()()
        result = original(*args, **kwargs)
        if todo:
            todo.pop()()
        return result

    setattr(registry, method, call)


class TestInEveryOrder:
    @pytest.mark.parametrize(("method", "is_after"), BEFORE_THE_COMMIT)
    def test_revoked_before_the_commit(
        self, make: Any, db_url: str, tmp_path: Path, method: str, is_after: bool
    ) -> None:
        ca, other = make(), make()
        old, _, _ = ca.issue_certificate(leaf())
        answers: list[bool] = []
        interleave(
            ca,
            method,
            is_after,
            lambda: answers.append(other.revoke_certificate(old.serial_number, COMPROMISED)),
        )
        with pytest.raises(ValidationCertError):
            ca.rotate_certificate(old.serial_number, leaf())
        assert answers == [True]
        assert not check(db_url, "a.internal", successors=0)
        assert staged(tmp_path) == []
        assert len(list((tmp_path / "pki").glob("*/a.internal.key"))) == 1
        # Nothing of it is in the way of a new one.
        ca.issue_certificate(leaf())

    def test_revoked_after_the_commit(self, make: Any, db_url: str) -> None:
        ca, other = make(), make()
        old, _, _ = ca.issue_certificate(leaf())
        answers: list[bool] = []
        interleave(
            ca,
            "commit",
            True,
            lambda: answers.append(other.revoke_certificate(old.serial_number, COMPROMISED)),
        )
        new, _, _ = ca.rotate_certificate(old.serial_number, leaf())
        assert answers == [True]
        assert check(db_url, "a.internal", successors=1)
        assert ca.verify_certificate(new)

    @pytest.mark.parametrize(("method", "is_after"), BEFORE_THE_COMMIT[3:])
    def test_put_on_hold_before_the_commit(
        self, make: Any, db_url: str, method: str, is_after: bool
    ) -> None:
        """Released, it is valid as before, has its name, and can be rotated."""
        ca, other = make(), make()
        old, _, _ = ca.issue_certificate(leaf())
        hold = partial(
            other.revoke_certificate, old.serial_number, x509.ReasonFlags.certificate_hold
        )
        interleave(ca, method, is_after, hold)
        with pytest.raises(ValidationCertError):
            ca.rotate_certificate(old.serial_number, leaf())
        assert not check(db_url, "a.internal", successors=0, reason="certificateHold")
        assert ca.release_certificate(old.serial_number)
        assert ca.verify_certificate(old)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(leaf())
        assert ca.verify_certificate(ca.rotate_certificate(old.serial_number, leaf())[0])

    @pytest.mark.parametrize("is_committed", [False, True])
    def test_revoked_in_a_transaction_that_is_open_yet(
        self, make: Any, db_url: str, is_committed: bool
    ) -> None:
        """The rotation waits for its end, and goes by what it was."""
        ca, other = make(), make()
        old, _, _ = ca.issue_certificate(leaf())
        engine = create_engine(db_url)
        with Session(engine) as session:
            end = Timer(0.3, session.commit if is_committed else session.rollback)

            def revoke() -> None:
                assert other.revoke_certificate(old.serial_number, COMPROMISED, within=session)
                end.start()

            interleave(ca, "commit", False, revoke)
            if is_committed:
                with pytest.raises(ValidationCertError):
                    ca.rotate_certificate(old.serial_number, leaf())
            else:
                ca.rotate_certificate(old.serial_number, leaf())
            end.join()
        engine.dispose()
        assert check(db_url, "a.internal", successors=not is_committed) is not is_committed

    def test_rotated_just_before_it_is_revoked(self, make: Any, db_url: str) -> None:
        ca, other = make(), make()
        old, _, _ = ca.issue_certificate(leaf())
        new: list[x509.Certificate] = []
        interleave(
            ca,
            "revoke",
            False,
            lambda: new.append(other.rotate_certificate(old.serial_number, leaf())[0]),
        )
        assert ca.revoke_certificate(old.serial_number, COMPROMISED)
        assert check(db_url, "a.internal", successors=1)
        assert ca.verify_certificate(new[0])


def test_in_threads(make: Any, db_url: str, tmp_path: Path) -> None:
    """Two of each at once, each through a handler of its own."""
    managers = [make() for _ in range(4)]
    barrier = Barrier(len(managers))

    def compete(serial: int, name: str, place: int) -> bool:
        barrier.wait()
        if place % 2:
            return managers[place].revoke_certificate(serial, COMPROMISED)
        try:
            managers[place].rotate_certificate(serial, leaf(name))
        except REFUSED:
            return False
        return True

    with ThreadPoolExecutor(len(managers)) as pool:
        for number in range(15):
            name = f"n{number}"
            old, _, _ = managers[0].issue_certificate(leaf(name))
            tasks = [pool.submit(compete, old.serial_number, name, place) for place in range(4)]
            rotated, revoked, rotated_too, revoked_too = (task.result(60) for task in tasks)
            assert revoked
            assert revoked_too
            check(db_url, name, successors=rotated + rotated_too)
            status = managers[0].get_certificate_status(old.serial_number)
            assert status is CertificateStatus.REVOKED
    assert staged(tmp_path) == []


RACE = """
import json
import multiprocessing
import sys

from cryptography import x509

from tiny_ca import (
    AsyncDBHandler, CertLifecycleManager, ClientConfig, LocalStorage, SyncDBHandler,
)
from tiny_ca.domain.errors import NotUniqueCertOwner, ValidationCertError

base, handler, url, serials = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])


def compete(place, barrier, results):
    made = {"sync": SyncDBHandler, "async": AsyncDBHandler}[handler](url)
    with CertLifecycleManager(LocalStorage(base), db_handler=made) as ca:
        ca.open_ca()
        done = []
        for n, serial in enumerate(serials):
            barrier.wait()
            if place % 2:
                done.append(ca.revoke_certificate(serial, x509.ReasonFlags.key_compromise))
                continue
            try:
                ca.rotate_certificate(
                    serial, ClientConfig(common_name=f"n{n}", key_algorithm="p-256")
                )
                done.append(True)
            except (NotUniqueCertOwner, ValidationCertError):
                done.append(False)
    results.put((place, done))


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    children = [context.Process(target=compete, args=(n, barrier, results)) for n in range(4)]
    for child in children:
        child.start()
    found = [results.get(timeout=120) for _ in children]
    for child in children:
        child.join()
    print(json.dumps(found))
"""


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("handler", ["sync", "async"])
def test_in_processes(tmp_path: Path, db_url: str, handler: str, rounds: int) -> None:
    script = tmp_path / "race.py"
    script.write_text(RACE)
    storage = LocalStorage(tmp_path / "pki")
    with CertLifecycleManager(storage, db_handler=SyncDBHandler(db_url)) as ca:
        ca.create_self_signed_ca(ROOT_CONFIG)
        serials = [
            certificate.serial_number
            for certificate, _, _ in ca.issue_many([leaf(f"n{n}") for n in range(rounds)])
        ]
    done = subprocess.run(
        [sys.executable, script, storage.base_folder, handler, db_url, json.dumps(serials)],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = dict(json.loads(done.stdout))
    assert all(results[1] + results[3])
    for n in range(rounds):
        check(db_url, f"n{n}", successors=results[0][n] + results[2][n])
