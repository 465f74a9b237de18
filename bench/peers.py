"""Who takes part: programs of the machine, and packages in virtual environments of their own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PEERS", "Missing", "Peer", "python_of"]

WORKS = Path(__file__).parent / "works"
ROOT = Path(__file__).parents[1]


class Missing(Exception):
    """A peer that is not here, and why."""


@dataclass(frozen=True)
class Peer:
    """Whose work `works/<module>.py` does, and what that needs."""

    module: str
    package: str | None = None
    """A requirement, installed into an environment of its own."""
    also: tuple[str, ...] = ()
    """What it imports and does not ask for."""
    programs: tuple[str, ...] = ()
    is_ours: bool = False


ASYNC = ("aiofiles", "aiosqlite", "greenlet")

PEERS = {
    "tiny_ca": Peer("ours", is_ours=True),
    "tiny_ca, grown": Peer("grown", is_ours=True),
    "bare": Peer("bare", is_ours=True),
    "tiny_ca 0.1.1": Peer("before", package="tiny_ca==0.1.1", also=ASYNC),
    "tiny_ca 0.2.1": Peer("before", package="tiny_ca==0.2.1", also=ASYNC),
    "openssl": Peer("openssl", programs=("openssl",), is_ours=True),
    "cfssl": Peer("cfssl", programs=("cfssl", "openssl"), is_ours=True),
    "easy-rsa": Peer("easy_rsa", programs=("/usr/share/easy-rsa/easyrsa",), is_ours=True),
    "ownca": Peer("ownca", package="ownca==0.4.0"),
    "django-ca": Peer("django_ca", package="django-ca==3.2.0"),
}


def cache() -> Path:
    """Give the folder of the peers' environments."""
    chosen = os.environ.get("TINY_CA_BENCH_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "tiny_ca-bench"


def python_of(name: str, *, install: bool) -> Path:
    """Give the interpreter that a peer's work runs in.  Raises `Missing`.

    An environment that is not there yet is made, if *install*.
    """
    peer = PEERS[name]
    absent = [program for program in peer.programs if shutil.which(program) is None]
    if absent:
        raise Missing(f"not installed: {', '.join(absent)}")
    if peer.package is None:
        return Path(sys.executable)
    folder = cache() / peer.package
    if not (folder / "complete").exists():
        if not install:
            raise Missing(f"{peer.package} is not in {cache()}: run once without --no-install")
        _make(folder, peer.package, *peer.also)
    return folder / "bin" / "python"


def _make(folder: Path, package: str, *also: str) -> None:
    print(f"Installing {package} ...", file=sys.stderr)
    commands: tuple[list[str | Path], ...] = (
        [sys.executable, "-m", "venv", "--clear", folder],
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", package, *also],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            last = (done.stderr.strip() or "no output").splitlines()[-1]
            raise Missing(f"{package} can't be installed: {last}")
    (folder / "complete").touch()
