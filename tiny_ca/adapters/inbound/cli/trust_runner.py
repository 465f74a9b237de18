"""Run what was planned for trust stores; look what is there to be planned for."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from tiny_ca.adapters.inbound.cli.trust_plan import Action, Facts, Step

__all__ = ["Outcome", "State", "facts_here", "run"]

_DEBIAN = Path("/usr/local/share/ca-certificates")
_FEDORA = Path("/etc/pki/ca-trust/source/anchors")
_LONGEST = 120


class State(StrEnum):
    """What became of a step."""

    DONE = "done"
    ALREADY = "already so"
    FOR_ROOT = "for root"
    """Not run: these commands need rights that this user does not have."""
    FAILED = "failed"


class Outcome(NamedTuple):
    """A step, what became of it, and what the program said that failed."""

    step: Step
    state: State
    reason: str = ""


def facts_here(home: Path, java_home: str | None = None) -> Facts:
    """Look which stores this machine and this user have."""
    return Facts(
        debian_folder=_with_program(_DEBIAN, "update-ca-certificates"),
        fedora_folder=_with_program(_FEDORA, "update-ca-trust"),
        nss_databases=_nss_databases(home) if _program("certutil") else (),
        keystores=_keystores(java_home) if _program("keytool") else (),
    )


def _with_program(folder: Path, program: str) -> Path | None:
    return folder if folder.is_dir() and _program(program) else None


def _program(name: str) -> str | None:
    # An ordinary user's PATH has no sbin.
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def _nss_databases(home: Path) -> tuple[Path, ...]:
    patterns = (
        ".pki/nssdb/cert9.db",
        ".mozilla/firefox/*/cert9.db",
        "snap/firefox/common/.mozilla/firefox/*/cert9.db",
        "snap/chromium/current/.pki/nssdb/cert9.db",
    )
    return tuple(path.parent for pattern in patterns for path in sorted(home.glob(pattern)))


def _keystores(java_home: str | None) -> tuple[Path, ...]:
    program = _program("keytool")
    homes = [Path(java_home)] if java_home else []
    if program is not None:
        homes.append(Path(program).resolve().parents[1])
    found = [home / "lib/security/cacerts" for home in homes]
    return tuple(dict.fromkeys(path.resolve() for path in found if path.is_file()))


def run(action: Action, steps: list[Step], secrets: Mapping[str, str]) -> list[Outcome]:
    """Run each step that this user may, unless it is done already; *secrets* go by environment."""
    environment = {**os.environ, **secrets}
    return [_run(action, step, environment) for step in steps]


def _run(action: Action, step: Step, environment: Mapping[str, str]) -> Outcome:
    is_there = not _failure(step.check, environment)
    if is_there is (action is Action.INSTALL):
        return Outcome(step, State.ALREADY)
    if os.geteuid() != 0 and (step.needs_root or not os.access(step.where, os.W_OK)):
        return Outcome(step, State.FOR_ROOT)
    for command in step.commands:
        reason = _failure(command, environment)
        if reason:
            return Outcome(step, State.FAILED, f"{command[0]}: {reason}")
    return Outcome(step, State.DONE)


def _failure(command: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """Run a command; give what it said if it failed, and nothing if it did not."""
    program = _program(command[0])
    if program is None:
        return "not installed"
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and planned arguments
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {_LONGEST} seconds"
    if done.returncode == 0:
        return ""
    return (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
