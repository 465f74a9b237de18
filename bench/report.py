"""What came out, as JSON, as Markdown and as curves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.machine import warning
from bench.model import Change, RowResult, ratio, verdict

__all__ = ["as_data", "as_markdown", "compared", "draw"]


def as_data(
    results: Iterable[RowResult], machine: Mapping[str, Any], missing: Mapping[str, str]
) -> dict[str, Any]:
    """Give all of a run, for JSON."""
    return {
        "machine": dict(machine),
        "missing": dict(missing),
        "rows": [_row(result) for result in results if result.cases],
    }


def _row(result: RowResult) -> dict[str, Any]:
    first = result.cases[0]
    cases = []
    for one in result.cases:
        figures = sorted({name for sample in one.samples for name in sample.figures})
        cases.append(
            {
                "name": one.case.name,
                "size": one.case.size,
                "rate": one.figure("rate"),
                "cpu_ms": one.figure("cpu_ms"),
                "peak_mb": one.figure("peak_mb"),
                "ratio": None if one is first else ratio(first, one),
                "cpu_ratio": None if one is first else ratio(one, first, "cpu_ms"),
                "figures": {name: one.figure(name) for name in figures},
            }
        )
    targets = [verdict(result, target) for target in result.row.targets]
    return {
        "key": result.row.key,
        "does": result.row.does,
        "unit": result.row.unit,
        "cases": cases,
        "targets": [
            {
                "case": one.target.case,
                "text": one.target.text,
                "value": one.value,
                "is_reached": one.is_reached,
            }
            for one in targets
        ],
    }


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f}{unit}"


def _table(row: Mapping[str, Any]) -> Iterator[str]:
    figures = sorted({name for case in row["cases"] for name in case["figures"]})
    heads = [
        "",
        f"{row['unit']} a second",
        "ms each",
        "CPU ms each",
        "peak MB",
        *figures,
        "ratio",
        "CPU ratio",
    ]
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join(["---", *["--:"] * (len(heads) - 1)]) + "|"
    for case in row["cases"]:
        cells = [
            case["name"],
            _number(case["rate"]),
            _number(1000 / case["rate"]),
            _number(case["cpu_ms"]),
            _number(case["peak_mb"]),
            *(_number(case["figures"].get(name)) for name in figures),
            _number(case["ratio"], "x"),
            _number(case["cpu_ratio"], "x"),
        ]
        yield "| " + " | ".join(cells) + " |"


_SAID = {True: "reached", False: "not reached", None: "not measured"}


def as_markdown(run: Mapping[str, Any], curves: Mapping[str, str]) -> str:
    """Give the tables; *curves*: pictures by the rows' keys."""
    machine = run["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        (
            f"{machine['date']}, commit {machine['commit']}, {machine['cores']} cores "
            f"({machine['cpu']}), {machine['memory']} of memory, {machine['system']}, "
            f"Python {machine['python']}, {packages}; "
            f"load {machine['load_before']} before and {machine.get('load_after', '?')} after."
        ),
        "",
    ]
    if (said := warning(machine)) is not None:
        lines += [f"**{said}**", ""]
    lines += [
        (
            "Each figure is a median over rounds in which the cases take turns. The ratio says how "
            "many times faster the first case is than this one, within those rounds; the CPU ratio "
            "says it of a processor's time."
        ),
        "",
    ]
    for row in run["rows"]:
        lines += [f"### {row['key']}", "", row["does"], "", *_table(row), ""]
        if row["key"] in curves:
            lines += [f"![{row['does']}]({curves[row['key']]})", ""]
        lines += [*_targets(row)]
    if run["missing"]:
        lines += ["### Left out", ""]
        lines += [f"- {name}: {reason}" for name, reason in run["missing"].items()] + [""]
    return "\n".join(lines)


def _targets(row: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- {one['case']}: {one['text']}: **{_SAID[one['is_reached']]}** "
        f"({_number(one['value']) or 'no figure'})"
        for one in row["targets"]
    ]
    return [*lines, ""] if lines else []


def compared(found: Sequence[Change]) -> str:
    """Say which ratios got worse."""
    if not found:
        return "No ratio got worse by more than 15 %."
    return "\n".join(
        f"{one.row}, {one.case}: {_number(one.old)}x before, {_number(one.new)}x now "
        f"({100 * (one.factor - 1):+.0f} %)"
        for one in found
    )


def draw(run: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Draw a curve for each row whose cases have sizes; give the pictures' names by row.

    Without matplotlib there are none.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - in the extra `bench`
    except ImportError:
        return {}
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "tiny_ca"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    pictures = {}
    for row in run["rows"]:
        series: dict[str, list[tuple[int, float]]] = {}
        for case in row["cases"]:
            if case["size"] is not None:
                name = case["name"].rpartition(", ")[0]
                series.setdefault(name, []).append((case["size"], 1000 / case["rate"]))
        if not series:
            continue
        figure, axes = plt.subplots(figsize=(6, 3.5))
        for name, points in series.items():
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
        axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="ms each", title=row["does"])
        axes.title.set_fontsize(9)
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
        figure.tight_layout()
        name = f"{row['key'].replace('/', '-')}.svg"
        figure.savefig(folder / name, metadata={"Date": None})
        plt.close(figure)
        pictures[row["key"]] = name
    return pictures
