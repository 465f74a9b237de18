"""A worker: does one kind of work when it is asked to, and says what it cost.

    python serve.py MODULE WORK FOLDER OPTIONS

It runs in the environment of the peer that it measures: the standard library only.  A count on
a line of standard input is answered by a line of JSON.
"""

import gc
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def load(path: str) -> Any:
    """Import a module by its path: its name may be that of a package which it uses."""
    spec = importlib.util.spec_from_file_location(f"works_{Path(path).stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cpu_seconds() -> float:
    """Give the time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mb() -> float:
    """Give the most memory that this process has had, since it is this program."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(prepared: Callable[[], object], count: int) -> dict[str, Any]:
    gc.collect()
    cpu, start = cpu_seconds(), time.perf_counter()
    figures = prepared()
    seconds = time.perf_counter() - start
    return {
        "count": count,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds() - cpu,
        "peak_mb": peak_mb(),
        "figures": figures if isinstance(figures, dict) else {},
    }


def main(module: str, work: str, folder: str, options: str) -> None:
    # What programs print is not for whoever waits for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # This folder is first: its modules would hide the packages that they measure.
    del sys.path[0]
    prepare = getattr(load(module), work)(Path(folder), **json.loads(options))
    for line in sys.stdin:
        answer = measure(prepare(int(line)), int(line))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
