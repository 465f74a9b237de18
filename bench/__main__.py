"""Measure tiny_ca beside its peers and the bare limits.

python -m bench [ROW...] [--quick] [--rounds N] [--output FOLDER] [--no-install]
python -m bench list
python -m bench compare OLD.json NEW.json
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import machine, report
from bench.harness import Runner
from bench.model import RowResult, changes, select
from bench.rows import rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help="groups or rows; all without any")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under two minutes")
    parser.add_argument("--rounds", type=int, help="how often each case takes its turn")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="a folder")
    parser.add_argument(
        "--no-install", action="store_true", help="leave out peers whose environment is not there"
    )
    return parser


def _compare(old: str, new: str) -> int:
    found = changes(*(json.loads(Path(path).read_text()) for path in (old, new)))
    print(report.compared(found))
    return 1 if found else 0


def _list() -> int:
    for row in rows():
        print(f"{row.key:20}{row.does}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    try:
        wanted = select(rows(), arguments.rows, quick=arguments.quick)
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    # Where the results go: /tmp is often a memory, and there is nothing to sync in one.
    arguments.output.mkdir(parents=True, exist_ok=True)
    described, begin = machine.describe(), time.monotonic()
    rounds = arguments.rounds or (2 if arguments.quick else None)
    results: list[RowResult] = []
    text = ""
    with tempfile.TemporaryDirectory(dir=arguments.output) as folder:
        runner = Runner(Path(folder).resolve(), rounds=rounds, install=not arguments.no_install)
        for row in wanted:
            results.append(runner.run(row, lambda said: print(said, file=sys.stderr)))
            # Each time: a run that is interrupted leaves what it has.
            described["load_after"] = round(machine.load(), 2)
            described["seconds"] = round(time.monotonic() - begin)
            run = report.as_data(results, described, runner.missing)
            text = _write(run, arguments.output)
    print(text)
    return 0


def _write(run: dict[str, Any], folder: Path) -> str:
    (folder / "bench.json").write_text(json.dumps(run, indent=1) + "\n")
    text = report.as_markdown(run, report.draw(run, folder))
    (folder / "bench.md").write_text(text)
    return text


def main(words: list[str]) -> int:
    if words[:1] == ["compare"] and len(words) == 3:
        return _compare(*words[1:])
    if words == ["list"]:
        return _list()
    return _run(_parser().parse_args(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
