"""What a run depends on, for its header."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["BUSY", "describe", "load", "warning"]

BUSY = 1.0
"""The load of other programs from which on figures are worth less."""


def load() -> float:
    """Give the mean number of processes that ran or wanted to, over the last minute."""
    return os.getloadavg()[0]


def _first(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _commit() -> str:
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def describe() -> dict[str, Any]:
    """Say what machine and which versions these are, and how busy it is now."""
    packages = ("cryptography", "SQLAlchemy", "pydantic")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "load_before": round(load(), 2),
    }


def warning(machine: dict[str, Any]) -> str | None:
    """Say that other programs ran at the same time, if they did.

    The load afterwards is in part the run's own: it keeps one process at work at a time.
    """
    before, after = machine["load_before"], machine.get("load_after", 0.0)
    if before < BUSY and after < BUSY + 1:
        return None
    return (
        f"The machine was busy (load {before:.1f} before, {after:.1f} after): "
        "rates are too low, and ratios are worth less."
    )
