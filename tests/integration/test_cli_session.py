"""The terminal session in the documentation: its commands, and what they print."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.command_line import environment
from tests.support import free_port, need
from tests.unit.test_project import ROOT, blocks

SESSION = ROOT / "docs/cli.md"
_HOME = "/home/me"


def commands(session: str) -> list[str]:
    return [line.removeprefix("$ ") for line in session.splitlines() if line.startswith("$ ")]


def play(typed: list[str], folder: Path, port: int) -> str:
    """Type commands, and give what a terminal without colours would show."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "tiny-ca").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tiny_ca "$@"\n')
    (programs / "tiny-ca").chmod(0o755)
    home = folder / "me"
    home.mkdir()
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    shown, servers = [], []
    for command in typed:
        shown.append(f"$ {command}")
        is_server = command.endswith(" &")
        process = subprocess.Popen(
            ["bash", "-c", "exec " + command.removesuffix(" &").replace("8000", str(port))],
            cwd=home,
            env=environment(PATH=path),
            stdout=subprocess.DEVNULL if is_server else subprocess.PIPE,
            stderr=subprocess.DEVNULL if is_server else subprocess.STDOUT,
            stdin=subprocess.PIPE if is_server else subprocess.DEVNULL,
            text=True,
        )
        if is_server:
            servers.append(process)
            wait_for(port)
            continue
        printed, _ = process.communicate(timeout=60)
        shown.append(printed.rstrip("\n"))
    for server in servers:
        server.kill()
        server.communicate()
    return "\n".join(shown).replace(str(home), _HOME)


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("openssl s_server did not start")


def without_chance(session: str) -> str:
    """Leave out what is different each time: numbers, moments, folders' names."""
    for pattern, word in (
        (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r"\b[0-9a-f]{32,40}\b", "HEX"),
        (r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", "DIGEST"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z", "TIME"),
        (r"MII[A-Za-z0-9+/=\\n]+", "DER"),
        (r" +\n", "\n"),
        (r" +SERIAL", " SERIAL"),
    ):
        session = re.sub(pattern, word, session)
    return session.rstrip("\n")


def test_the_session_in_the_documentation_is_what_happens(tmp_path: Path) -> None:
    need("bash", "curl", "openssl")
    [session] = blocks("console", SESSION.read_text())
    shown = play(commands(session), tmp_path, free_port())
    assert without_chance(shown) == without_chance(session)
