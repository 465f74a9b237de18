"""Disks that fail or are full, at each call of one operation."""

from pathlib import Path

import pytest

from tests.faults.aftermath import OLD, settle
from tests.faults.faultpoints import OPERATIONS, Point, copied, count
from tests.faults.pki import Folder
from tests.faults.tracing import Run, Server

TAKING_SPACE = {"write", "pwrite64", "fsync", "fdatasync", "mkdir", "mkdirat"}


def fail_at(
    server: Server, prepared: Folder, tmp_path: Path, operation: str, fault: str, point: Point
) -> None:
    """Inject *fault*; check the process that saw it, then come as the next one."""
    options = ("-e", f"trace={point.call}", "-e", f"inject={point}{fault}")
    with copied(prepared, tmp_path, operation) as folder:

        def check_undone(run: Run) -> None:
            if "error" in run.reply and not fault.startswith("+"):
                # The undoing did not fail: nothing is left for `recover` but to publish.
                assert "pending" not in folder.statuses().values()

        try:
            run = server.run_again(
                folder.path,
                operation,
                *options,
                between=check_undone,
                old=prepared.serial_of(OLD),
            )
            check_replies(run)
            settle(prepared, folder, "any", {})
        except BaseException as error:
            error.add_note(f"after {fault} at {point}")
            raise


def check_replies(run: Run) -> None:
    first, second, third = run.replies
    for reply in run.replies:
        assert "untyped" not in reply, reply
    if "error" in second:
        # It is done already: the first attempt succeeded, or failed after its commit.
        assert second["error"] in {"NotUniqueCertOwner", "ValidationCertError"}, (first, second)
    assert "serial" in third, third


def at_each(*, slow: set[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "operation",
        [
            pytest.param(name, marks=[pytest.mark.slow] if name in slow else [])
            for name in OPERATIONS
        ],
    )


@at_each(slow={"overwrite", "bootstrap", "supersede"})
def test_one_error_is_typed_and_leaves_nothing_half_done(
    server: Server, prepared: Folder, tmp_path: Path, operation: str
) -> None:
    for point in count(server, prepared, tmp_path, operation):
        fail_at(server, prepared, tmp_path, operation, ":error=EIO", point)


@at_each(slow={"overwrite", "bootstrap", "supersede"})
def test_a_disk_that_stays_full(
    server: Server, prepared: Folder, tmp_path: Path, operation: str
) -> None:
    for point in count(server, prepared, tmp_path, operation):
        if point.call in TAKING_SPACE:
            fail_at(server, prepared, tmp_path, operation, "+:error=ENOSPC", point)
