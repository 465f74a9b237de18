"""The benchmark's arithmetic, and what it does about peers that are not there."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import peers
from bench.harness import Runner
from bench.model import (
    Case,
    CaseResult,
    Row,
    RowResult,
    Sample,
    Target,
    changes,
    ratio,
    select,
    verdict,
)
from bench.report import as_data, as_markdown, compared
from bench.rows import rows

MACHINE = {
    "date": "2026-01-01T00:00:00+00:00",
    "commit": "abc",
    "cores": 2,
    "cpu": "a CPU",
    "memory": "1 kB",
    "system": "Linux",
    "python": "3.11",
    "packages": {"cryptography": "50"},
    "load_before": 0.0,
    "load_after": 0.5,
}


def result(name: str, *rates: float, **figures: float) -> CaseResult:
    samples = [
        Sample(count=10, seconds=10 / rate, cpu_seconds=0.5, peak_mb=20.0, figures=figures)
        for rate in rates
    ]
    return CaseResult(Case(name, "bare", "sign"), samples)


def row(*cases: CaseResult, targets: tuple[Target, ...] = ()) -> RowResult:
    wanted = Row("csr/one", "Sign.", [one.case for one in cases], count=10, targets=targets)
    return RowResult(wanted, list(cases))


def run(**ratios: float) -> dict[str, object]:
    cases = [{"name": name, "ratio": value} for name, value in ratios.items()]
    return {"rows": [{"key": "csr/one", "cases": [{"name": "ours", "ratio": None}, *cases]}]}


def test_a_ratio_is_the_median_of_rounds_and_not_of_medians() -> None:
    # The machine was ten times slower in the second round, for both.
    assert ratio(result("a", 100, 10, 100), result("b", 50, 5, 20)) == pytest.approx(2)


def test_figures_are_medians() -> None:
    one = result("a", 10, 20, 90, stall_ms=7)
    assert one.figure("rate") == pytest.approx(20)
    assert one.figure("cpu_ms") == pytest.approx(50)
    assert one.figure("peak_mb") == 20
    assert one.figure("stall_ms") == 7
    assert one.figure("unheard_of") is None


@pytest.mark.parametrize(
    ("target", "is_reached"),
    [
        (Target("a", "b", at_least=2), True),
        (Target("a", "b", at_least=2.1), False),
        (Target("a", at_least=100), True),
        (Target("a", figure="stall_ms", at_most=10), True),
        (Target("a", figure="stall_ms", at_most=6), False),
        (Target("a", "c", at_least=2), None),
        (Target("c", at_least=2), None),
    ],
)
def test_a_target_is_reached_or_not_or_nobody_knows(
    target: Target, is_reached: bool | None
) -> None:
    measured = row(result("a", 100, stall_ms=7), result("b", 50))
    assert verdict(measured, target).is_reached is is_reached


def test_comparing_tells_what_got_worse_by_more_than_15_percent() -> None:
    old = run(worse=10.0, little=10.0, better=1.0, gone=5.0)
    found = changes(old, run(worse=8.4, little=8.6, better=3.0, new=0.1))
    assert [(one.row, one.case) for one in found] == [("csr/one", "worse")]
    assert "-16 %" in compared(found)
    assert "No ratio" in compared([])


def test_compare_is_a_command_that_fails_when_something_got_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, value in zip(paths, (4.0, 2.0), strict=True):
        path.write_text(json.dumps(run(peer=value)))
    assert command.main(["compare", *map(str, paths)]) == 1
    assert "csr/one, peer: 4.00x before, 2.00x now" in capsys.readouterr().out
    assert command.main(["compare", str(paths[0]), str(paths[0])]) == 0


def test_rows_are_selected_by_group_or_by_name() -> None:
    known = [Row(key, "", [], 1, in_quick=key != "b/2") for key in ("a/1", "b/1", "b/2")]
    assert [one.key for one in select(known, [], quick=False)] == ["a/1", "b/1", "b/2"]
    assert [one.key for one in select(known, ["b"], quick=False)] == ["b/1", "b/2"]
    assert [one.key for one in select(known, ["b"], quick=True)] == ["b/1"]
    assert [one.key for one in select(known, ["b/2", "a"], quick=False)] == ["a/1", "b/2"]
    with pytest.raises(LookupError, match="Nothing is called c"):
        select(known, ["c"], quick=False)


def test_every_row_says_what_it_does_and_names_its_cases_once() -> None:
    for one in rows():
        names = [case.name for case in one.cases]
        assert len(set(names)) == len(names)
        assert one.does.endswith(".")
        assert {case.peer for case in one.cases} <= set(peers.PEERS)
        assert {target.case for target in one.targets} <= set(names)
        assert {target.to for target in one.targets} - {None} <= set(names)


def test_what_is_not_installed_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = peers.Peer("openssl", programs=("no-such-program",))
    monkeypatch.setitem(peers.PEERS, "absent", absent)
    monkeypatch.setenv("TINY_CA_BENCH_CACHE", os.fspath(tmp_path / "cache"))
    cases = [
        Case("here", "bare", "sign"),
        Case("a program", "absent", "sign"),
        Case("a package", "ownca", "issue"),
        Case("a failure", "bare", "keys", {"key": "no such key"}),
    ]
    wanted = Row(
        "csr/one", "Sign.", cases, count=2, targets=[Target("here", "a program", at_least=1)]
    )
    runner = Runner(tmp_path, rounds=2, install=False)
    measured = runner.run(wanted, lambda _: None)

    assert [one.case.name for one in measured.cases] == ["here"]
    assert [sample.count for sample in measured.cases[0].samples] == [2, 2]
    assert measured.cases[0].figure("peak_mb") > 1
    text = as_markdown(as_data([measured], MACHINE, runner.missing), {})
    assert "a program (csr/one): not installed: no-such-program" in text
    assert "a package (csr/one): ownca" in text
    assert "a failure (csr/one): failed: KeyError: 'no such key'" in text
    assert "**not measured** (no figure)" in text


@pytest.mark.parametrize(("before", "after", "is_said"), [(0, 0.9, False), (2, 0, True)])
def test_a_busy_machine_is_mentioned(before: float, after: float, is_said: bool) -> None:
    machine = {**MACHINE, "load_before": before, "load_after": after}
    data = as_data([row(result("a", 10))], machine, {})
    assert ("The machine was busy" in as_markdown(data, {})) is is_said


def test_a_run_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Neither a folder nor a process: not even while another process does the work."""
    run = subprocess.Popen(
        [sys.executable, "-m", "bench.crl", "1000000"],
        env={**os.environ, "TMPDIR": os.fspath(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while not list(tmp_path.glob("*/1000000/registry.db")):
            assert run.poll() is None
            time.sleep(0.05)
        run.terminate()
        _, errors = run.communicate(timeout=60)
        assert run.returncode
        assert b"leaked" not in errors
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(ProcessLookupError):
            # multiprocessing's own helper sees the end a moment later.
            for _ in range(600):
                os.killpg(run.pid, 0)
                time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
