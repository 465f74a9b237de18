"""SIGKILL at every system call that changes a disk, of one operation each (DESIGN, section 3).

A signal that strace injects arrives as the call begins and keeps it from happening.  So the
first kill of a kind finds what all calls before it left, and all kills together find every
state that a disk can show; `victim.py` says why a forked child is a process that died.
"""

from pathlib import Path

import pytest

from tests.faults.aftermath import OLD, settle
from tests.faults.faultpoints import AT_LENGTH, OPERATIONS, copied, count
from tests.faults.pki import Folder
from tests.faults.tracing import Server


@pytest.mark.parametrize(
    "operation", [*OPERATIONS, *(pytest.param(each, marks=pytest.mark.slow) for each in AT_LENGTH)]
)
def test_a_death_at_any_system_call_loses_nothing(
    server: Server, prepared: Folder, tmp_path: Path, operation: str
) -> None:
    for point in count(server, prepared, tmp_path, operation):
        options = ("-e", f"trace={point.call}", "-e", f"inject={point}:signal=SIGKILL")
        with copied(prepared, tmp_path, operation) as folder:
            try:
                run = server.run(folder.path, operation, *options, old=prepared.serial_of(OLD))
                assert run.is_killed
                settle(prepared, folder, operation, run.reply)
            except BaseException as error:
                error.add_note(f"after a kill at {point}")
                raise
