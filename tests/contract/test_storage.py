"""Every storage keeps the contract of its port; local files keep more than it asks for."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tiny_ca import AsyncLocalStorage, LocalStorage, MemoryStorage
from tiny_ca.domain.errors import StorageError, UnsafePath
from tiny_ca.domain.records import Location
from tiny_ca.ports.storage import Storage
from tiny_ca.testing import StorageContract
from tiny_ca.testing.storage import HERE, sample_artefacts, sample_crl, staged, writing

ESCAPES = ("..", "../x", "a/../../x", "/etc", "a/b", ".staging", "a\0", "")


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "pki")

    def test_a_crash_between_the_two_renames(self, storage: LocalStorage) -> None:
        """The old folder is aside, the new one is not in its place: publishing goes on."""
        self.put(storage, HERE)
        new = sample_artefacts(2)
        storage.stage(HERE, new, replaces=True)
        base = storage.base_folder
        (base / "some/folder/uuid-1").rename(base / ".staging/uuid-1:replaced")
        storage.publish(HERE)
        assert self.holds(storage, HERE, new)
        assert staged(storage) == []

    def test_a_crash_before_the_old_folder_is_removed(self, storage: LocalStorage) -> None:
        """What lies aside is in nobody's way."""
        self.put(storage, HERE)
        (storage.base_folder / ".staging/uuid-1:replaced").mkdir()
        (storage.base_folder / ".staging/uuid-1:replaced/leaf.pem").touch()
        new = self.put(storage, HERE, 2)
        assert self.holds(storage, HERE, new)
        assert staged(storage) == []


class TestLocalStorageWithAPassphrase(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        encryption = BestAvailableEncryption(b"correct horse battery staple")
        return LocalStorage(tmp_path, base_encryption_algorithm=encryption)


class TestAsyncLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return AsyncLocalStorage(tmp_path / "pki").blocking


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "pki"


@pytest.fixture
def local(base: Path) -> LocalStorage:
    return LocalStorage(base)


class TestFilesAreTheOwnersAlone:
    @pytest.mark.parametrize("is_published", [False, True])
    def test_modes(self, local: LocalStorage, base: Path, is_published: bool) -> None:
        local.stage(HERE, sample_artefacts())
        if is_published:
            local.publish(HERE)
        folders = [path for path in (base, *base.rglob("*")) if path.is_dir()]
        files = [path for path in base.rglob("*") if path.is_file()]
        assert len(files) == 3
        assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}

    def test_a_crl_is_for_everybody(self, local: LocalStorage) -> None:
        path = local.stage_crl(writing(sample_crl()), "crl").swap()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


class TestNothingLeavesTheBaseFolder:
    @pytest.mark.parametrize("name", ESCAPES)
    def test_by_a_name(self, local: LocalStorage, base: Path, name: str) -> None:
        for use in (
            lambda: Location(name, "leaf"),
            lambda: Location("uuid-1", name),
            lambda: local.discard(name),
            lambda: local.find_folder(name),
            lambda: local.stage_crl(writing(sample_crl()), name),
        ):
            with pytest.raises(UnsafePath):
                use()
        assert not base.exists()

    @pytest.mark.parametrize("folder", ["link", "link/deeper", "inside/link"])
    def test_by_a_link(self, local: LocalStorage, tmp_path: Path, base: Path, folder: str) -> None:
        outside = tmp_path / "outside"
        (outside / "deeper/uuid-1").mkdir(parents=True)
        (outside / "uuid-1").mkdir()
        before = sorted(outside.rglob("*"))
        (base / "inside").mkdir(parents=True)
        for link in (base / "link", base / "inside/link"):
            link.symlink_to(outside)
        location = Location("uuid-1", "leaf", folder)
        calls: list[Callable[[], object]] = [
            lambda: local.check_vacant(location),
            lambda: local.stage(location, sample_artefacts()),
            lambda: local.publish(location),
            lambda: local.delete(location),
            lambda: local.load(location),
        ]
        for call in calls:
            with pytest.raises(UnsafePath):
                call()
        assert sorted(outside.rglob("*")) == before
        assert staged(local) == []

    def test_by_a_link_in_place_of_the_folder(
        self, local: LocalStorage, tmp_path: Path, base: Path
    ) -> None:
        """What it leads to is neither read nor written, and only the link is removed."""
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "leaf.pem").write_bytes(b"kept")
        base.mkdir()
        (base / "uuid-1").symlink_to(outside)
        location = Location("uuid-1", "leaf")
        with pytest.raises(UnsafePath):
            local.load(location)
        certificate = sample_artefacts().certificate
        with pytest.raises(UnsafePath):
            local.save_certificate(certificate, "leaf", uuid_str="uuid-1", is_overwrite=True)
        local.delete(location)
        assert [path.name for path in outside.iterdir()] == ["leaf.pem"]
        assert (outside / "leaf.pem").read_bytes() == b"kept"
        assert not (base / "uuid-1").is_symlink()

    def test_a_link_that_stays_inside_is_followed(self, local: LocalStorage, base: Path) -> None:
        (base / "real").mkdir(parents=True)
        (base / "link").symlink_to(base / "real")
        location = Location("uuid-1", "leaf", "link")
        local.stage(location, sample_artefacts())
        local.publish(location)
        assert (base / "real/uuid-1/leaf.pem").is_file()


class TestAFailingMediumRaisesStorageError:
    @pytest.fixture(params=["pki", "pki/deeper"])
    def broken(self, tmp_path: Path, request: pytest.FixtureRequest) -> LocalStorage:
        """A file lies where the base folder, or its parent, has to be."""
        (tmp_path / "pki").write_text("no folder")
        return LocalStorage(tmp_path / request.param)

    @pytest.mark.parametrize(
        "call",
        [
            lambda storage: storage.stage(HERE, sample_artefacts()),
            lambda storage: storage.publish(HERE),
            lambda storage: storage.discard("uuid-1"),
            lambda storage: list(storage.leftovers()),
            lambda storage: storage.delete(HERE),
            lambda storage: storage.load(HERE),
            lambda storage: storage.stage_crl(writing(sample_crl()), "crl"),
        ],
        ids=["stage", "publish", "discard", "leftovers", "delete", "load", "stage_crl"],
    )
    def test_without_a_base_folder(
        self, broken: LocalStorage, call: Callable[[LocalStorage], object]
    ) -> None:
        with pytest.raises(StorageError) as caught:
            call(broken)
        assert isinstance(caught.value.__cause__, OSError)

    def test_when_a_file_takes_the_folders_place(self, local: LocalStorage, base: Path) -> None:
        """What was staged stays, to be published when the way is clear."""
        artefacts = sample_artefacts()
        local.stage(HERE, artefacts)
        (base / "some").write_text("no folder")
        with pytest.raises(StorageError):
            local.publish(HERE)
        assert staged(local) == ["uuid-1"]
        (base / "some").unlink()
        local.publish(HERE)
        assert local.load(HERE).certificate == artefacts.certificate

    def test_staging_leaves_nothing_when_it_fails(
        self, local: LocalStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device", "leaf.key")

        with monkeypatch.context() as patched:
            patched.setattr("tiny_ca.adapters.outbound.storage.files.os.fsync", full)
            with pytest.raises(StorageError, match="No space left"):
                local.stage(HERE, sample_artefacts())
        assert staged(local) == []

    def test_a_crl_that_can_not_be_swapped(self, local: LocalStorage, base: Path) -> None:
        """The former one stays: here a folder, which no file replaces."""
        (base / "crl.pem/kept").mkdir(parents=True)
        file = local.stage_crl(writing(sample_crl()), "crl")
        with pytest.raises(StorageError):
            file.swap()
        assert (base / "crl.pem/kept").is_dir()
        file.discard()
        assert staged(local) == []
