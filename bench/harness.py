"""Running: each case in a process of its own, all cases of a row in turns."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.model import Case, CaseResult, Row, RowResult, Sample
from bench.peers import PEERS, ROOT, WORKS, Missing, python_of

__all__ = ["Runner"]


class Worker:
    """A process that does a case's work when it is asked to."""

    def __init__(self, case: Case, python: Path, folder: Path) -> None:
        self._case = case
        peer = PEERS[case.peer]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT) if peer.is_ours else "",
            # Of all rows of the run: what takes long to make.
            "TINY_CA_BENCH_SHARED": str(folder.parents[1]),
        }
        self._errors = (folder / "errors").open("w+")
        self._process = subprocess.Popen(
            [
                *_slowed(case.delay_ms),
                str(python),
                str(WORKS / "serve.py"),
                str(WORKS / f"{peer.module}.py"),
                case.work,
                str(folder),
                json.dumps(dict(case.options)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    def ask(self, count: int) -> Sample:
        """Have it done *count* times.  Raises `Missing`, with what the worker said, if it died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise Missing(f"failed: {said[-1] if said else 'it said nothing'}")
        return Sample(**json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The end of its input ends it, and lets it end what it started.
        for each in (self._process.stdin, self._process.stdout, self._errors):
            try:
                each.close()
            except BrokenPipeError:
                continue
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _slowed(delay_ms: int) -> list[str]:
    if not delay_ms:
        return []
    if shutil.which("strace") is None:
        raise Missing("not installed: strace")
    calls = "fsync,fdatasync"
    delayed = f"inject={calls}:delay_exit={delay_ms * 1000}"
    quiet = ["-qqq", "-o", "/dev/null"]
    return ["strace", "-f", "--seccomp-bpf", *quiet, "-e", f"trace={calls}", "-e", delayed]


class Runner:
    """Runs rows, and remembers which cases could not be run and why."""

    def __init__(self, folder: Path, *, rounds: int | None, install: bool) -> None:
        self._folder = folder
        self._rounds = rounds
        self._install = install
        self.missing: dict[str, str] = {}

    def run(self, row: Row, report: Callable[[str], object]) -> RowResult:
        """Run all cases in turns, every other round backwards."""
        results = [CaseResult(case) for case in row.cases]
        with tempfile.TemporaryDirectory(dir=self._folder) as name, ExitStack() as stack:
            workers = [
                (result, worker)
                for place, result in enumerate(results)
                for worker in self._started(stack, row, result.case, Path(name) / str(place))
            ]
            for turn in range(self._rounds or row.rounds):
                for result, worker in workers[:: -1 if turn % 2 else 1]:
                    report(f"{row.key}: {result.case.name}")
                    self._take_turn(row, result, worker)
        return RowResult(row, [result for result in results if result.samples])

    def _started(self, stack: ExitStack, row: Row, case: Case, folder: Path) -> Iterator[Worker]:
        folder.mkdir(parents=True)
        try:
            python = python_of(case.peer, install=self._install)
            yield stack.enter_context(Worker(case, python, folder))
        except Missing as missing:
            self.missing[f"{case.name} ({row.key})"] = str(missing)

    def _take_turn(self, row: Row, result: CaseResult, worker: Worker) -> None:
        place = f"{result.case.name} ({row.key})"
        if place in self.missing:
            return
        try:
            result.samples.append(worker.ask(result.case.count or row.count))
        except Missing as missing:
            self.missing[place] = str(missing)
