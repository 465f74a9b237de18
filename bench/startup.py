"""Measure how long it takes to begin: python -m bench.startup [ROUNDS]

A bare interpreter, `import tiny_ca`, and `tiny-ca --help`, in turns, each a process of its own.
Seconds of the processor are told beside those of the clock, which a busy machine stretches.
"""

import os
import statistics
import subprocess
import sys
import time

CASES = {
    "bare interpreter": ["-c", "pass"],
    "import tiny_ca": ["-c", "import tiny_ca"],
    "tiny-ca --help": ["-m", "tiny_ca", "--help"],
    "tiny-ca issue --help": ["-m", "tiny_ca", "issue", "--help"],
}
HEAVY = ("cryptography", "pydantic", "sqlalchemy", "cyclopts", "rich")


def took(arguments: list[str]) -> tuple[float, float]:
    """Give the seconds that a process takes, of the clock and of the processor."""
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    used = after.children_user + after.children_system
    return time.perf_counter() - start, used - before.children_user - before.children_system


def drawn_in(arguments: str) -> list[str]:
    """Give those of the heavy libraries that *arguments* import."""
    code = f"import sys; {arguments}; print(*(n for n in {HEAVY!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def main(rounds: int) -> None:
    load = os.getloadavg()[0]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {load:.1f}")
    for arguments in CASES.values():
        # What is compiled once is not counted.
        took(arguments)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, arguments in CASES.items():
            seconds[name].append(took(arguments))
    clock, used = (
        {name: statistics.median(one[place] for one in found) for name, found in seconds.items()}
        for place in (0, 1)
    )
    bare = used["bare interpreter"]
    for name in CASES:
        print(
            f"{name:22}{1000 * clock[name]:6.0f} ms, {1000 * used[name]:6.0f} ms of the processor, "
            f"{used[name] / bare:4.1f} times a bare interpreter"
        )
    more = 1000 * (used["import tiny_ca"] - bare)
    print(f"import tiny_ca: {more:.0f} ms more than a bare interpreter (goal <= 50)")
    print(f"tiny-ca --help: {used['tiny-ca --help']:.2f} s (goal <= 0.4)")
    print(
        f"import tiny_ca draws in: {', '.join(drawn_in('import tiny_ca')) or 'none of the heavy'}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
