"""What is measured, what came out, and the arithmetic between them; no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

__all__ = [
    "Case",
    "CaseResult",
    "Change",
    "Row",
    "RowResult",
    "Sample",
    "Target",
    "Verdict",
    "changes",
    "ratio",
    "select",
    "verdict",
]


@dataclass(frozen=True)
class Case:
    """One way to do a row's work, in a process of its own."""

    name: str
    peer: str
    """Whose environment it runs in: a key of `peers.PEERS`."""
    work: str
    """A function in the peer's module in `works/`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    count: int | None = None
    """How often a round does it; `None`: as often as the row says."""
    size: int | None = None
    """Where it stands on a growth curve."""
    delay_ms: int = 0
    """How much longer each sync of a file takes, by strace."""


@dataclass(frozen=True)
class Target:
    """What a row is wanted to reach: the ratio to a case, or a figure of a case."""

    case: str
    to: str | None = None
    """The case that the ratio is to; `None`: the figure itself is meant."""
    figure: str = "rate"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def text(self) -> str:
        """Say it in words."""
        figure = "" if self.figure == "rate" else f"{self.figure} "
        bound = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        return f"{figure}{bound}" + (f" of {self.to}" if self.to else "")


@dataclass(frozen=True)
class Row:
    """The same work, done by each of its cases in turns; the first case is the one compared."""

    key: str
    does: str
    """What is done, in one sentence."""
    cases: Sequence[Case]
    count: int
    unit: str = "certificates"
    rounds: int = 5
    targets: Sequence[Target] = ()
    in_quick: bool = True

    @property
    def group(self) -> str:
        """What selects it on the command line."""
        return self.key.partition("/")[0]


@dataclass(frozen=True)
class Sample:
    """One case in one round."""

    count: int
    seconds: float
    cpu_seconds: float
    peak_mb: float | None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass
class CaseResult:
    """All rounds of a case."""

    case: Case
    samples: list[Sample] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """How many a second, by round."""
        return [one.count / one.seconds for one in self.samples]

    def figure(self, name: str) -> float | None:
        """Give a figure's median: "rate", "cpu_ms" of one, "peak_mb", or one of the work's own."""
        values: list[float | None]
        if name == "rate":
            values = list(self.rates)
        elif name == "cpu_ms":
            values = [1000 * one.cpu_seconds / one.count for one in self.samples]
        elif name == "peak_mb":
            values = [one.peak_mb for one in self.samples]
        else:
            values = [one.figures.get(name) for one in self.samples]
        known = [value for value in values if value is not None]
        return median(known) if known else None


@dataclass
class RowResult:
    """A row's cases, those that could be run."""

    row: Row
    cases: list[CaseResult]

    def named(self, name: str | None) -> CaseResult | None:
        """Give the case of that name, if it was run."""
        return next((one for one in self.cases if one.case.name == name and one.samples), None)


def ratio(subject: CaseResult, other: CaseResult, figure: str = "rate") -> float | None:
    """Give how many times the other's figure the subject's is.

    Of rates, the median over rounds in which both took turns: what slows the machine down for
    a while slows both.
    """
    if figure == "rate":
        pairs = list(zip(subject.rates, other.rates, strict=False))
        return median(mine / its for mine, its in pairs) if pairs else None
    mine, its = subject.figure(figure), other.figure(figure)
    return None if mine is None or not its else mine / its


@dataclass(frozen=True)
class Verdict:
    """Whether a target was reached."""

    target: Target
    value: float | None
    """The ratio or figure; `None`: one of its cases was not run."""

    @property
    def is_reached(self) -> bool | None:
        """`None`: nobody knows."""
        if self.value is None:
            return None
        least, most = self.target.at_least, self.target.at_most
        return (least is None or self.value >= least) and (most is None or self.value <= most)


def verdict(result: RowResult, target: Target) -> Verdict:
    """Compare what came out with what was wanted."""
    case, to = result.named(target.case), result.named(target.to)
    if case is None or (target.to is not None and to is None):
        return Verdict(target, None)
    value = case.figure(target.figure) if to is None else ratio(case, to, target.figure)
    return Verdict(target, value)


def select(rows: Iterable[Row], words: Sequence[str], *, quick: bool) -> list[Row]:
    """Give the rows of these groups or keys, all without any.  Raises `LookupError`."""
    rows = [row for row in rows if row.in_quick or not quick]
    unknown = [word for word in words if not any(word in (row.group, row.key) for row in rows)]
    if unknown:
        known = ", ".join(sorted({row.group for row in rows}))
        raise LookupError(f"Nothing is called {', '.join(unknown)}; there are: {known}")
    return [row for row in rows if not words or row.group in words or row.key in words]


@dataclass(frozen=True)
class Change:
    """A ratio in two runs."""

    row: str
    case: str
    old: float
    new: float

    @property
    def factor(self) -> float:
        """How much of the old ratio is left."""
        return self.new / self.old


def changes(old: Mapping[str, Any], new: Mapping[str, Any], worse_by: float = 0.15) -> list[Change]:
    """Give the ratios of two runs, as JSON has them, that got worse by more than a part."""
    before = _ratios(old)
    return [
        Change(*place, before[place], value)
        for place, value in _ratios(new).items()
        if place in before and value < before[place] * (1 - worse_by)
    ]


def _ratios(run: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {
        (row["key"], case["name"]): case["ratio"]
        for row in run["rows"]
        for case in row["cases"]
        if case.get("ratio")
    }
