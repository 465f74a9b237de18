"""mypy and pyright infer what the README's code is of, and see what is wrong.

basedpyright is pyright that needs nothing but its package: pyright's own downloads its program.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import unavailable
from tests.unit.test_project import ROOT, blocks

# Groups come first: nobody waits for these at the end.
pytestmark = pytest.mark.xdist_group("typing")

TYPING = ROOT / "tests/typing"
IMPORTS = """
from typing import assert_type as is_a
from cryptography import x509 as _x509
import tiny_ca as _tiny_ca
from tiny_ca.ports.crypto import PrivateKey as _PrivateKey
"""
KNOWN = [
    (
        "cert, key, csr =",
        {
            "ca": "_tiny_ca.CertLifecycleManager",
            "cert": "_x509.Certificate",
            "key": "_PrivateKey",
            "csr": "_x509.CertificateSigningRequest",
        },
    ),
    (
        "assert {entry",
        {
            "ca": "_tiny_ca.AsyncCertLifecycleManager",
            "old": "_x509.Certificate",
            "new": "_x509.Certificate",
            "crl": "_x509.CertificateRevocationList",
        },
    ),
    ("assert ca.", {"ca": "_tiny_ca.CertLifecycleManager", "cert": "_x509.Certificate"}),
]
"""Of each of the README's blocks: after which line which names have which types."""


def with_assertions(block: str, after: str, types: dict[str, str]) -> str:
    """Assert the types where the names are bound."""
    lines = block.splitlines()
    [at] = [at for at, line in enumerate(lines) if line.lstrip().startswith(after)]
    indent = " " * (len(lines[at]) - len(lines[at].lstrip()))
    asserted = [f"{indent}is_a({name}, {kind})" for name, kind in types.items()]
    return "\n".join([IMPORTS, *lines[: at + 1], *asserted, *lines[at + 1 :], ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's code with assertions, code of both faces, and mistakes."""
    folder = tmp_path_factory.mktemp("typing")
    for number, (block, known) in enumerate(zip(blocks("python"), KNOWN, strict=True)):
        (folder / f"readme_{number}.py").write_text(with_assertions(block, *known))
    for file in TYPING.glob("*.py"):
        shutil.copy(file, folder)
    config = {
        "typeCheckingMode": "strict",
        "reportUnusedImport": False,
        "extraPaths": [str(ROOT)],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    return folder


def errors(folder: Path, *command: str) -> list[str]:
    """Run a checker, and give the files of the errors that it found, by line."""
    if importlib.util.find_spec(command[0]) is None:
        unavailable(f"not installed: {command[0]}")
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = re.findall(r"(\w+\.py):(\d+).*error: (.*)", done.stdout)
    assert found, done.stdout + done.stderr
    return [f"{file}:{line}: {what}" for file, line, what in found]


def check(found: list[str]) -> None:
    """Whatever is marked as a mistake was found, and nothing else."""
    lines = (TYPING / "mistakes.py").read_text().splitlines()
    expected = {f"mistakes.py:{at}" for at, line in enumerate(lines, 1) if "# wrong" in line}
    assert {":".join(one.split(":")[:2]) for one in found} == expected, found


def test_mypy(folder: Path) -> None:
    check(errors(folder, "mypy", "--strict", "--no-pretty", "--config-file=", "."))


def test_pyright(folder: Path) -> None:
    check(errors(folder, "basedpyright", "--pythonpath", sys.executable))
