"""A PostgreSQL cluster of the worker's own, which syncs every commit and ends with it."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

__all__ = ["cluster"]


def _program(name: str) -> str:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, debian)]))
    if found is None:
        raise RuntimeError(f"not installed: {name}")
    return found


def cluster(folder: Path) -> str:
    """Start a cluster in *folder*; give the URL of its database."""
    data = folder / "cluster"
    data.mkdir()
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # It refuses to run as root, and has to reach its folder.
        user = {"user": "postgres", "group": "postgres"}
        shutil.chown(data, **user)
        for parent in (folder, folder.parent, folder.parent.parent):
            parent.chmod(0o755)
    subprocess.run(
        [_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=data,
        **user,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [_program("postgres"), "-D", data, "-p", str(port), "-k", data],
        stderr=subprocess.DEVNULL,
        cwd=data,
        **user,
    )
    atexit.register(server.wait)
    # At once: "smart" would wait for whoever is connected.
    atexit.register(server.send_signal, signal.SIGINT)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    time.sleep(0.5)
    return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
