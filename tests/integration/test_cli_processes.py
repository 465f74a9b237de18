"""The command line as a process: pipes, start-up, what is not installed."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import environment, process, tiny_ca

HEAVY = ("cryptography", "cyclopts", "pydantic", "rich", "sqlalchemy")


def test_output_in_a_pipe_has_no_colours(tmp_path: Path) -> None:
    made = process("init", "my-pki", "--issue", "localhost", cwd=tmp_path)
    assert (made.code, made.err) == (0, "")
    assert "\x1b" not in made.out
    assert process("show", "nobody", cwd=tmp_path).code == 3


@pytest.mark.parametrize(
    "code",
    [
        "import tiny_ca",
        "from tiny_ca.adapters.inbound.cli import main; main(['--help'])",
    ],
    ids=["import", "help"],
)
def test_beginning_draws_in_nothing_heavy(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    assert not set(HEAVY) & set(done.stdout.splitlines())


ALL_HELP = """
import io, sys
from contextlib import redirect_stdout
from tests.command_line import command_paths
from tiny_ca.adapters.inbound.cli import main

paths = list(command_paths())
assert len(paths) > 30
for path in [*paths, *{(first,) for first, *_ in paths}]:
    with redirect_stdout(io.StringIO()) as said:
        assert main([*path, "--help"]) == 0
    assert "Usage: tiny-ca " + " ".join(path) in said.getvalue(), said.getvalue()
    drawn_in = {"cryptography", "pydantic", "sqlalchemy"} & set(sys.modules)
    assert not drawn_in, (path, drawn_in)
"""


def test_the_help_of_a_command_draws_in_nothing_that_the_command_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALL_HELP],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_early_is_no_error(pki: Path) -> None:
    for number in range(3):
        tiny_ca("issue", f"n{number}.test")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "tiny_ca", "list"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path) -> None:
    # What is not there, as a fresh `pip install tiny-ca` leaves it.
    code = (
        "import sys; sys.modules['cyclopts'] = None; "
        "from tiny_ca.adapters.inbound.cli import main; sys.exit(main(['list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "tiny-ca: The command line needs an extra: pip install 'tiny-ca[cli]'.\n"


def test_a_passphrase_is_asked_for_on_the_terminal(tmp_path: Path) -> None:
    terminal, keyboard = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tiny_ca", "init", "my-pki", "--ask-passphrase"],
        stdin=keyboard,
        stdout=subprocess.DEVNULL,
        stderr=keyboard,
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
    )
    os.close(keyboard)
    shown, answers = b"", 0
    while True:
        try:
            read = os.read(terminal, 1 << 12)
        except OSError:
            break
        shown += read
        if shown.count(b": ") > answers and shown.endswith(b": "):
            answers += 1
            os.write(terminal, b"correct horse\n")
    os.close(terminal)
    assert (process.wait(60), answers) == (0, 2), shown
    assert b"horse" not in shown
    assert b"ENCRYPTED" in (tmp_path / "my-pki/ca/ca.key").read_bytes()
