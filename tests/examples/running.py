"""Examples, run as their docstrings say: by their paths, in processes of their own."""

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import environ
from pathlib import Path

from tiny_ca import Container, IssuedCertificate, ManualClock, Settings, open_ca

PATIENCE = 120
"""Seconds that a process may take to get somewhere, on a machine that does much else."""
EXAMPLES = Path(__file__).parents[2] / "examples"


def command(name: str, *arguments: object, tolerating: tuple[str, ...] = ()) -> list[str]:
    """Run an example so that a warning is an error, but for the categories *tolerating*."""
    filters = ["error", *(f"ignore::{category}" for category in tolerating)]
    options = [option for each in filters for option in ("-W", each)]
    return [sys.executable, *options, str(EXAMPLES / name), *map(str, arguments)]


def output_of(name: str, *arguments: object, cwd: Path, env: Mapping[str, str] = {}) -> str:
    """Run an example to its end, and give what it printed."""
    done = subprocess.run(
        command(name, *arguments),
        cwd=cwd,
        env={**environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


@contextmanager
def started(
    name: str,
    *arguments: object,
    ports: tuple[int, ...],
    cwd: Path,
    env: Mapping[str, str] = {},
    tolerating: tuple[str, ...] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start an example that serves, wait until its *ports* are open, and stop it by Ctrl-C."""
    log = cwd / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(name, *arguments, tolerating=tolerating),
            cwd=cwd,
            env={**environ, **env},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        for port in ports:
            wait_for(port, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
    said = log.read_text()
    assert not {"Traceback", "Warning"} & set(said.replace(":", " ").split()), said


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}: {log.read_text()}")


def client_context(root: Path, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Trust *root*, and present a certificate with its key."""
    context = ssl.create_default_context(cafile=root)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def aged(folder: Path, common_name: str, days: int) -> IssuedCertificate:
    """Make a CA and its server's certificate, of 30 days, so many days ago."""
    container = Container(
        settings=Settings(base_folder=folder, common_name=common_name, key_algorithm="p-256")
    )
    container.clock.override(ManualClock(datetime.now(UTC) - timedelta(days=days)))
    with open_ca(container=container) as ca:
        return ca.issue("localhost", profile="server", key_algorithm="p-256", days_valid=30)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process is about to do."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
