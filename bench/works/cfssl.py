"""What cfssl does: it signs, and without a database it records nothing."""

import atexit
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from bench.works.programs import Prepare, make_ca, requests, run

SIGNING = {"signing": {"default": {"expiry": "8760h", "usages": ["server auth"]}}}
CA = ("-ca", "ca.pem", "-ca-key", "ca.key", "-config", "config.json")


def _ca(folder: Path) -> None:
    make_ca(folder)
    (folder / "config.json").write_text(json.dumps(SIGNING))


def sign_csr(folder: Path) -> Prepare:
    """Start a process for each."""
    _ca(folder)

    def prepare(count: int) -> Callable[[], object]:
        paths = requests(folder, count)

        def work() -> None:
            for path in paths:
                signed = run("cfssl", "sign", *CA, "-hostname", path.stem, path, folder=folder)
                path.with_suffix(".pem").write_text(json.loads(signed)["cert"])

        return work

    return prepare


def over_http(folder: Path) -> Prepare:
    """Ask its server, on one connection."""
    _ca(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["cfssl", "serve", *CA, "-port", str(port)], cwd=folder, stderr=subprocess.DEVNULL
    )
    atexit.register(server.wait)
    atexit.register(server.terminate)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)

    def prepare(count: int) -> Callable[[], object]:
        bodies = [
            json.dumps({"certificate_request": path.read_text(), "hosts": [path.stem]})
            for path in requests(folder, count)
        ]

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            for body in bodies:
                connection.request("POST", "/api/v1/cfssl/sign", body)
                answer = json.load(connection.getresponse())
                assert answer["success"], answer["errors"]
            connection.close()

        return work

    return prepare
