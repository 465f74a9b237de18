"""tiny_ca 0.1.1 wrote and deleted outside its folder, and let everybody read private keys."""

import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.regression.world import World, leaf
from tiny_ca import CertLifecycleManager, LocalStorage
from tiny_ca.domain.errors import FileAlreadyExists, StorageError, UnsafePath

ESCAPES = [
    "../x",
    "../../x",
    "..",
    "a/../../x",
    "./../x",
    "/x",
    "//x",
    "a\0b",
    "a\nb",
    "..\\x",
    "C:\\x",
    ".staging",
    "a/.staging",
    " ../x",
    "a//../x",
]


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The worst case: whatever is not said explicitly is for everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(base: Path) -> dict[str, set[str]]:
    modes: dict[str, set[str]] = {"files": set(), "folders": set()}
    for path in (base, *base.rglob("*")):
        kind = "folders" if path.is_dir() else "files"
        if path.stem != "crl":
            modes[kind].add(oct(stat.S_IMODE(path.stat().st_mode)))
    return modes


@pytest.mark.usefixtures("open_umask")
def test_private_keys_were_readable_by_everybody(world: World) -> None:
    with world.ca() as manager:
        manager.issue_certificate(leaf(), cert_path="services/web")
        first, _, _ = manager.issue_certificate(leaf("b.internal"), uuid_str="b")
        manager.rotate_certificate(first.serial_number, leaf("b.internal"))
        manager.generate_crl()
    storage = LocalStorage(world.base)
    storage.save_certificate(first, "saved", cert_path="apart")
    assert _modes(world.base) == {"files": {"0o600"}, "folders": {"0o700"}}
    # A CRL is for everybody, who may read it but not write it.
    assert stat.S_IMODE((world.base / "crl.pem").stat().st_mode) == 0o644


class TestNothingIsWrittenOutside:
    @pytest.fixture
    def manager(self, world: World) -> Iterator[CertLifecycleManager]:
        with world.ca() as manager:
            yield manager

    @pytest.mark.parametrize("path", ESCAPES)
    def test_by_cert_path(self, manager: CertLifecycleManager, world: World, path: str) -> None:
        before, rows = world.tree(), world.rows()
        for cert_path in (path, Path(path)):
            with pytest.raises(UnsafePath):
                manager.issue_certificate(leaf(), cert_path=cert_path)
        assert world.tree() == before
        assert world.rows() == rows

    @pytest.mark.parametrize("uuid", [*ESCAPES, "a/b", ""])
    def test_by_uuid(self, manager: CertLifecycleManager, world: World, uuid: str) -> None:
        before, rows = world.tree(), world.rows()
        for is_overwrite in (False, True):
            with pytest.raises(UnsafePath):
                manager.issue_certificate(leaf(), uuid_str=uuid, is_overwrite=is_overwrite)
        assert world.tree() == before
        assert world.rows() == rows

    @pytest.mark.parametrize("name", [*ESCAPES, "a/b", ""])
    def test_by_file_name(self, name: str) -> None:
        with pytest.raises(ValueError, match="can't name a file"):
            leaf(name=name)

    @pytest.mark.parametrize("common_name", ["../../x", "/etc/passwd", "..", "a/b", "C:\\x"])
    def test_by_common_name(
        self, manager: CertLifecycleManager, world: World, common_name: str
    ) -> None:
        """The files' name comes from it when there is no other."""
        outside = {path for path in world.tree() if not path.startswith("pki/")}
        manager.issue_certificate(leaf(common_name), uuid_str="here")
        assert {path for path in world.tree() if not path.startswith("pki/")} == outside
        assert len(list((world.base / "here").iterdir())) == 3

    def test_by_a_link_in_the_base_folder(
        self, manager: CertLifecycleManager, world: World
    ) -> None:
        outside = world.folder / "outside"
        outside.mkdir()
        (world.base / "link").symlink_to(outside)
        for cert_path in ("link", "link/deeper"):
            with pytest.raises(UnsafePath):
                manager.issue_certificate(leaf(), cert_path=cert_path)
        assert list(outside.iterdir()) == []

    @pytest.mark.parametrize("is_overwrite", [False, True])
    def test_by_a_link_in_place_of_the_folder(
        self, manager: CertLifecycleManager, world: World, is_overwrite: bool
    ) -> None:
        outside = world.folder / "outside"
        outside.mkdir()
        (outside / "kept").touch()
        (world.base / "mine").symlink_to(outside)
        with nullcontext() if is_overwrite else pytest.raises(FileAlreadyExists):
            manager.issue_certificate(leaf(), uuid_str="mine", is_overwrite=is_overwrite)
        assert [path.name for path in outside.iterdir()] == ["kept"]
        assert (world.base / "mine").is_symlink() is not is_overwrite

    @pytest.mark.parametrize("is_overwrite", [False, True])
    @pytest.mark.parametrize("path", ["file", "file/deeper", "loop/deeper", "a/" * 2500, "long"])
    def test_where_nothing_can_be(
        self, manager: CertLifecycleManager, world: World, path: str, is_overwrite: bool
    ) -> None:
        """What can't be published is not issued: its name would be taken for nothing."""
        (world.base / "file").touch()
        (world.base / "loop").symlink_to("loop")
        if path == "long":
            # The folder's path is short enough, its files' are not.
            room = 4090 - len(os.fsencode(world.base)) - len("/mine")
            path = "a/" * (room // 2)
        before, rows = world.tree(), world.rows()
        with pytest.raises((StorageError, UnsafePath)):
            manager.issue_certificate(
                leaf(), cert_path=path, uuid_str="mine", is_overwrite=is_overwrite
            )
        assert world.tree() == before
        assert [row.status for row in world.rows()[len(rows) :]] in ([], ["abandoned"])
        assert manager.find_certificate("a.internal") is None

    def test_path_objects_work_inside(self, manager: CertLifecycleManager, world: World) -> None:
        manager.issue_certificate(leaf(), cert_path=Path("services") / "web", uuid_str="mine")
        assert (world.base / "services/web/mine/a.internal.key").is_file()
        assert world.rows()[-1].cert_path == "services/web"


class TestLocalStorage:
    @pytest.fixture
    def storage(self, world: World) -> LocalStorage:
        world.base.mkdir()
        for name in ("x", "sibling"):
            (world.folder / name).mkdir()
            (world.folder / name / "kept").touch()
        return LocalStorage(world.base)

    @pytest.mark.parametrize("uuid", ["../x", "../../x", "..", ".", "/x", "a/../../x", "x\0", ""])
    def test_deleted_outside(self, storage: LocalStorage, world: World, uuid: str) -> None:
        before = world.tree()
        with pytest.raises(UnsafePath):
            storage.delete_certificate_folder(uuid)
        assert world.tree() == before

    @pytest.mark.parametrize("folder", ["..", "../sibling/..", Path(".."), "/", Path("/")])
    def test_deleted_outside_by_its_folder(
        self, storage: LocalStorage, world: World, folder: str | Path
    ) -> None:
        before = world.tree()
        with pytest.raises(UnsafePath):
            storage.delete_certificate_folder("x", folder)
        assert world.tree() == before

    def test_deletes_a_link_and_not_what_it_leads_to(
        self, storage: LocalStorage, world: World
    ) -> None:
        (world.base / "x").symlink_to(world.folder / "x")
        assert storage.delete_certificate_folder("x")
        assert (world.folder / "x/kept").is_file()
        assert not (world.base / "x").is_symlink()

    @pytest.mark.parametrize("path", ESCAPES)
    def test_saved_outside(
        self, storage: LocalStorage, world: World, manager: CertLifecycleManager, path: str
    ) -> None:
        before = world.tree()
        certificate = manager.factory.certificate
        with pytest.raises(UnsafePath):
            storage.save_certificate(certificate, path)
        with pytest.raises(UnsafePath):
            storage.save_certificate(certificate, "c", uuid_str=path)
        with pytest.raises(UnsafePath):
            storage.save_certificate(certificate, "c", cert_path=path)
        assert world.tree() == before
