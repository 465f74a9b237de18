"""The order of writing, syncing and renaming: what makes a power loss harmless.

A kill leaves the kernel's cache; a power loss leaves what was synced.  So the order is read from
a trace, and each promise is: nothing that this moment depends on was unsynced.
"""

from pathlib import Path

import pytest

from tests.faults.aftermath import OLD
from tests.faults.durability import TRACED, Disk
from tests.faults.faultpoints import copied
from tests.faults.pki import Folder
from tests.faults.tracing import Server, optional


def traced(server: Server, prepared: Folder, tmp_path: Path, operation: str) -> Disk:
    with copied(prepared, tmp_path, operation) as folder:
        run = server.run(
            folder.path,
            operation,
            *("-y", "-s", "4096", "-e", f"trace={optional(TRACED)}"),
            old=prepared.serial_of(OLD),
        )
    assert run.reply, run.replies
    assert "error" not in run.reply
    return Disk().replay(run.calls)


@pytest.mark.parametrize("operation", ["bootstrap", "issue", "rotate", "overwrite", "supersede"])
def test_each_step_of_an_issue_is_durable_before_the_next(
    server: Server, prepared: Folder, tmp_path: Path, operation: str
) -> None:
    disk = traced(server, prepared, tmp_path, operation)
    (staged, folder), *_ = [
        (source, target) for source, target in disk.renames if target.parent.name != ".staging"
    ]
    signed, commit = disk.moments["signed"], disk.moments["commit"]
    assert signed.commits, "signed before the reservation was committed"
    assert not signed.log, "signed before the reservation was durable"
    # A valid row whose files a power loss takes could not be brought to its end.
    assert not commit.below(staged.parent), "committed before the files were durable"
    extensions = {path.suffix for path in commit.synced if path.parent == staged}
    assert extensions == {".pem", ".key"} | ({".csr"} if operation != "bootstrap" else set())
    assert {staged, staged.parent} <= commit.synced
    publishing = disk.moments[f"rename to {folder.name}"]
    assert publishing.commits > signed.commits, "published before the commit"
    assert not publishing.log, "published before the commit was durable"
    assert not publishing.below(staged), "published before the files were durable"
    returned = disk.moments["returned"]
    assert not returned.dirty, "returned before all was durable"
    assert folder.parent in returned.synced


def test_a_crl_is_durable_before_and_after_it_takes_its_place(
    server: Server, prepared: Folder, tmp_path: Path
) -> None:
    disk = traced(server, prepared, tmp_path, "crl")
    signed = disk.moments["signed"]
    assert signed.commits, "signed before its number was taken for good"
    assert not signed.log
    assert [place.name for _, place in disk.renames] == ["crl.der", "crl.pem"]
    for staged, crl in disk.renames:
        assert staged.parent.parent.name == ".staging"
        moment = disk.moments[f"rename to {crl.name}"]
        assert staged in moment.synced, "renamed before it was durable"
    returned = disk.moments["returned"]
    assert not returned.dirty
    assert crl.parent in returned.synced


def test_a_revocation_is_durable_before_it_is_reported(
    server: Server, prepared: Folder, tmp_path: Path
) -> None:
    returned = traced(server, prepared, tmp_path, "revoke").moments["returned"]
    assert returned.commits
    assert not returned.dirty
