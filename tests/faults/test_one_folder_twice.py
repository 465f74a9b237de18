"""Two that work on the same files at the same time, each step of one between two of the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pki import Folder, certificate_in, check_whole, leaf
from tiny_ca import CertLifecycleManager, LocalStorage, SyncDBHandler
from tiny_ca.adapters.outbound.storage import local
from tiny_ca.domain.errors import FileAlreadyExists
from tiny_ca.domain.records import Location
from tiny_ca.ports.storage import Artefacts


@pytest.fixture
def folder(prepared: Folder, tmp_path: Path) -> Folder:
    return prepared.copy(tmp_path / "ca")


@contextmanager
def managed(folder: Folder, storage: LocalStorage) -> Iterator[CertLifecycleManager]:
    handler = SyncDBHandler(f"sqlite:///{folder.path / 'registry.db'}")
    with CertLifecycleManager(storage, db_handler=handler) as manager:
        manager.open_ca()
        yield manager


def interrupted(function: Callable[..., Any], by: Callable[[], object]) -> Callable[..., Any]:
    """Make *function* let another one go first, the first time."""
    others = iter([by])

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for other in others:
            other()
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("step", "is_overwrite"),
    [
        ("make_folders", False),
        ("make_folders", True),
        ("move_into_place", False),
        ("move_into_place", True),
        ("locked", True),
        ("remove", False),
    ],
)
def test_a_recovery_that_publishes_what_is_being_published(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, step: str, is_overwrite: bool
) -> None:
    """At any moment: the files appear once, and are not taken for those to be replaced."""

    class Storage(LocalStorage):
        def publish(self, location: Location) -> dict[str, Path]:
            with monkeypatch.context() as patch:
                meet = interrupted(getattr(local, step), lambda: other.publish(location))
                patch.setattr(local, step, meet)
                return super().publish(location)

    other = LocalStorage(folder.base)
    name = "old.internal" if is_overwrite else "new.internal"
    with managed(folder, Storage(folder.base)) as manager:
        uuid = "old" if is_overwrite else "new"
        certificate, _, _ = manager.issue_certificate(leaf(name), "services", uuid, is_overwrite)
        assert check_whole(folder.base / "services" / uuid) == certificate.serial_number
        folder.check(manager)


def test_another_issue_into_a_folder_that_is_being_filled(folder: Folder) -> None:
    """It is refused, and what it undoes is its own alone."""

    class Storage(LocalStorage):
        def stage(self, location: Location, artefacts: Artefacts, **options: Any) -> None:
            super().stage(location, artefacts, **options)
            with pytest.raises(FileAlreadyExists):
                other.issue_certificate(leaf("second.internal"), "services", "shared")

    with (
        managed(folder, LocalStorage(folder.base)) as other,
        managed(folder, Storage(folder.base)) as manager,
    ):
        certificate, _, _ = manager.issue_certificate(leaf("new.internal"), "services", "shared")
        assert certificate_in(folder.base / "services" / "shared") == certificate
        folder.check(manager)
