"""What is not a whole backup, or would escape, is refused before anything is restored."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backups import elsewhere, rows_of
from tests.regression.world import World, leaf
from tiny_ca import (
    CertLifecycleManager,
)
from tiny_ca.application.archive_format import Tally, dump_manifest, load_manifest
from tiny_ca.domain.errors import BackupError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewritten(archive: Path, change: Callable[[Members], object]) -> Path:
    """Write an archive anew, changed."""
    with tarfile.open(archive) as tar:
        members = [(one, tar.extractfile(one).read()) for one in tar]
    change(members)
    with tarfile.open(archive, "w") as tar:
        for one, data in members:
            one.size = len(data) if one.isreg() else 0
            tar.addfile(one, io.BytesIO(data))
    return archive


def flipped(part: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        place = next(n for n, (one, _) in enumerate(members) if one.name.startswith(part))
        one, data = members[place]
        at = min(99, len(data) // 2)
        members[place] = one, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return change


def _swap(part: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        place = next(n for n, (one, _) in enumerate(members) if one.name.startswith(part))
        members.insert(place, members.pop(place + 1))

    return change


def _member(name: str, data: bytes = b"x", **fields: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        one = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(one, field, value)
        members.insert(0, (one, data))

    return change


def with_manifest(**changes: object) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        one, data = members[-1]
        members[-1] = one, json.dumps(json.loads(data) | changes).encode()

    return change


def _sealed(change: Callable[[Members], object]) -> Callable[[Members], None]:
    """Let the manifest agree: whoever writes an archive can make its digests too."""

    def run(members: Members) -> None:
        change(members)
        tally = Tally()
        for one, data in members[:-1]:
            is_rows = one.name.startswith("registry/")
            tally.add(one.name, data, data.count(b"\n") if is_rows else 1)
        one, data = members[-1]
        manifest = replace(load_manifest(data), parts=tally.parts())
        members[-1] = one, dump_manifest(manifest)

    return run


def _row(table: str, **changes: object) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        place = next(n for n, (one, _) in enumerate(members) if f"/{table}/" in one.name)
        one, data = members[place]
        first, rest = data.split(b"\n", 1)
        members[place] = one, json.dumps(json.loads(first) | changes).encode() + b"\n" + rest

    return change


TAMPERING: dict[str, Callable[[Members], object]] = {
    "a row": flipped("registry/certificates/"),
    "an issuer": flipped("registry/certificate_issuers/"),
    "a key": flipped("folders/"),
    "a CRL": flipped("crls/"),
    "a member is gone": lambda members: members.pop(2),
    "a member is twice there": lambda members: members.insert(2, members[2]),
    "two have changed places": _swap("folders/"),
    "one was renamed": lambda members: setattr(members[2][0], "name", "folders/x/y.key"),
    "the manifest is gone": lambda members: members.pop(),
    "the manifest is not the last": lambda members: members.insert(0, members.pop()),
    "the manifest is no manifest": lambda members: members.append((members.pop()[0], b"[]")),
    "another format": with_manifest(format=2),
    "another schema": with_manifest(revision="9999"),
    "up and out": _sealed(_member("folders/../../x")),
    "absolute": _sealed(_member("/etc/x")),
    "a hidden folder": _sealed(_member("folders/.staging/uuid/x")),
    "into the base folder": _sealed(_member("folders/x")),
    "beside the folders": _sealed(_member("x")),
    "no table's": _sealed(_member("registry/x.jsonl")),
    "a table that nobody has": _sealed(_member("registry/x/1.jsonl", b"{}\n")),
    "a column that nobody has": _sealed(_row("certificates", x=1)),
    "no CRL number": _sealed(_row("certificate_issuers", drawn_crl_number=None)),
    "a time that is none": _sealed(_row("certificates", not_after="soon")),
    "a number that is none": _sealed(_row("certificates", serial_number="one")),
    "no JSON": _sealed(_member("registry/certificates/1.jsonl", b"{\n")),
    "no row": _sealed(_member("registry/certificates/1.jsonl", b"[]\n")),
    "no CRL": _sealed(_member("crls/x.pem", b"x")),
    "a link": _member("folders/a/b", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": _member("folders/a/b", type=tarfile.LNKTYPE, linkname="manifest.json"),
    "a device": _member("folders/a/b", type=tarfile.CHRTYPE),
    "a folder": _member("folders/a", type=tarfile.DIRTYPE),
}


class TestADamagedArchive:
    @pytest.fixture
    def sound(self, manager: CertLifecycleManager, archive: Path) -> Path:
        manager.issue_certificate(leaf())
        manager.generate_crl()
        manager.backup(archive)
        return archive

    def refused(self, world: World, archive: Path) -> None:
        with world.manager(**elsewhere(world)) as new:
            with pytest.raises(BackupError):
                new.restore(archive)
            assert rows_of(new) == {"certificates": []}
        assert not list((world.folder / "new").glob("*"))

    @pytest.mark.parametrize("what", TAMPERING)
    def test_is_refused(self, world: World, sound: Path, what: str) -> None:
        self.refused(world, rewritten(sound, TAMPERING[what]))

    def test_cut_off_anywhere(self, world: World, sound: Path) -> None:
        whole = sound.read_bytes()
        end = whole.rindex(b"}") + 1
        for length in (0, 1, 511, 512, 513, *range(1024, end, len(whole) // 20), end - 1):
            sound.write_bytes(whole[:length])
            self.refused(world, sound)

    def test_what_is_no_archive(self, world: World, archive: Path) -> None:
        archive.write_bytes(os.urandom(5000))
        self.refused(world, archive)

    def test_rewritten_without_a_change(self, world: World, sound: Path) -> None:
        """What the others are compared with."""
        with world.manager(**elsewhere(world)) as new:
            assert new.restore(rewritten(sound, len)).manifest.certificates == 2
