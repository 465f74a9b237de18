"""What is printed: tables and lines for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from threading import Timer
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tiny_ca.adapters.inbound.cli.options import Common

if TYPE_CHECKING:
    from tiny_ca.ports.progress import Progress

__all__ = ["Output", "day", "period", "safe", "working"]

_STYLES = {
    "valid": "green",
    "good": "green",
    "pending": "yellow",
    "expired": "dim",
    "abandoned": "dim",
    "revoked": "red",
}


def safe(text: object) -> str:
    """Give a text that does nothing to a terminal, whoever wrote it."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text)
    )


def day(moment: datetime) -> str:
    """Write an aware moment for people."""
    return f"{moment:%Y-%m-%d %H:%M}Z"


def period(length: timedelta | None) -> str:
    """Write how long something takes for people: `90d`, `12h`, `1d 12h`."""
    seconds = 0 if length is None else int(length.total_seconds())
    parts = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("m", seconds // 60 % 60))
    return " ".join(f"{count}{unit}" for unit, count in (*parts, ("s", seconds % 60)) if count)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (PurePath, str)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(str(_plain(each)) for each in value)
    raise TypeError(f"{type(value).__name__} is not written as JSON")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the entry point, which has an exit code for it."""
        raise  # noqa: PLE0704 - called where rich caught it


class Output:
    """Prints what a command found or did, one way or the other."""

    def __init__(self, common: Common) -> None:
        self.is_json = common.json
        self._console = _Console(file=sys.stdout, highlight=False, markup=False)
        if not self._console.is_terminal:
            # Whoever reads a pipe wants whole lines.
            self._console = _Console(file=sys.stdout, highlight=False, markup=False, width=100_000)

    def document(self, value: Mapping[str, Any] | Sequence[Any]) -> bool:
        """Print *value* if JSON is wanted; say whether it was."""
        if self.is_json:
            # Bytes that are no UTF-8 were names of files: json escapes what is left of them.
            sys.stdout.write(f"{json.dumps(value, indent=2, default=_plain)}\n")
        return self.is_json

    def json_line(self, value: Mapping[str, Any]) -> bool:
        """Print *value* as one of several lines if JSON is wanted; say whether it was."""
        if self.is_json:
            sys.stdout.write(f"{json.dumps(value, default=_plain)}\n")
        return self.is_json

    def flush(self) -> None:
        """Let whoever waits for a line have it."""
        sys.stdout.flush()

    def line(self, text: str, style: str = "") -> None:
        """Print a line as it stands."""
        self._console.print(Text(safe(text), style), soft_wrap=True)

    def lines(self, text: str) -> None:
        """Print text of several lines, to be copied."""
        for each in text.splitlines():
            self.line(each)

    def fields(self, rows: Iterable[tuple[str, object]]) -> None:
        """Print names and values, one pair a line; empty values are left out."""
        shown = [(name, safe(value)) for name, value in rows if value not in (None, "", [], ())]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            text = Text("  ").append(name.ljust(width + 2), "dim").append(value, _STYLES.get(value))
            self._console.print(text, soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; it has no lines, so that other programs can read it."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            cells = [safe("" if each is None else each) for each in row]
            table.add_row(*(Text(each, _STYLES.get(each, "")) for each in cells))
        self._console.print(table)


@contextmanager
def working(what: str) -> Iterator["Progress"]:
    """Show on a terminal that *what* is going on, once it takes longer than a second.

    Gives what can be told how far it has come; until it is, a bar moves to and fro.
    """
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Shown

    shown = Shown(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[far]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = shown.add_task(what, total=None, far="")

    def tell(done: int, total: int | None, /) -> None:
        far = f"{done:,}" if not total else f"{done / total:4.0%}"
        shown.update(task, completed=done, total=total, far=far)

    begin = Timer(1.0, shown.start)
    begin.daemon = True
    if shown.console.is_terminal:
        begin.start()
    try:
        yield tell
    finally:
        begin.cancel()
        if shown.live.is_started:
            shown.stop()
