"""The entry point: find the command, run it, and turn what it raises into a line and a code."""

import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENOSPC
from importlib.util import find_spec
from io import TextIOWrapper
from typing import TYPE_CHECKING

from tiny_ca.adapters.inbound.cli.commands import all_commands, overview

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["app", "main"]

_TAKE_A_VALUE = ("-C", "--folder", "--config", "--ca", "--passphrase-file")
_BROKEN_PIPE = 141
_STAND_ALONE = ("--json", "--debug", "--ask-passphrase")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `tiny-ca` with *arguments*, by default those of the process; give its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _mend_streams()
    if find_spec("cyclopts") is None or find_spec("rich") is None:
        _say("The command line needs an extra: pip install 'tiny-ca[cli]'.")
        return 1
    return _run(_leading_options_last(given))


def _mend_streams() -> None:
    """Have streams that take whatever is written, also where a process has none, or no UTF-8."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for all that is left
        elif isinstance(stream, TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="backslashreplace")


def _answer(given: list[str]) -> object:
    if given in ([], ["--help"], ["-h"]):
        return _print(overview())
    if given == ["--version"]:
        import tiny_ca

        return _print(tiny_ca.__version__)
    return app()(given, exit_on_error=False, print_error=False, result_action="return_value")


def app() -> "App":
    """Give the app of all commands, none of which is imported yet."""
    from cyclopts import App, Parameter

    made = App(
        name="tiny-ca",
        default_parameter=Parameter(negative=(), show_default=_shown_default),
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        version_flags=[],
    )
    for each in all_commands():
        made.command(each.path, name=each.name)
    return made


def _shown_default(value: object) -> object:
    """Show no default that says nothing."""
    return value or None


def _leading_options_last(given: list[str]) -> list[str]:
    """Move options of every command, as in `tiny-ca -C pki list`, behind the command's name."""
    at = 0
    while at < len(given):
        if given[at] in _TAKE_A_VALUE:
            at += 2
        elif given[at] in _STAND_ALONE or given[at].startswith(
            tuple(f"{o}=" for o in _TAKE_A_VALUE)
        ):
            at += 1
        else:
            break
    rest = given[at:]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *given[:at], *rest[end:]]


def _run(given: list[str]) -> int:
    flags = set(given[: given.index("--")] if "--" in given else given)
    with _told_on_stderr(is_debug="--debug" in flags):
        try:
            code = _answer(given)
            sys.stdout.flush()
        except SystemExit as end:
            if isinstance(end.__context__, BrokenPipeError):
                # Help is printed by rich, which has told of it in its own way.
                return _BROKEN_PIPE
            code = end.code
        except BrokenPipeError:
            _write_no_more()
            return _BROKEN_PIPE
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to tell of it
            if "--debug" in flags:
                traceback.print_exc()
            if isinstance(error, OSError) and error.errno == ENOSPC:
                _write_no_more()
            return _tell(error, as_json="--json" in flags)
    return code if isinstance(code, int) else 0


def _write_no_more() -> None:
    """Let what Python would flush at its end go nowhere, rather than fail once more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(error: BaseException, *, as_json: bool) -> int:
    from tiny_ca.adapters.inbound.cli.errors import ExitCode, code_of, message_of

    # Not imported: what was interrupted may have been that very import.
    usage_error = getattr(sys.modules.get("cyclopts"), "CycloptsError", ())
    if isinstance(error, usage_error):
        code, message = ExitCode.WRONG_REQUEST, f"{error} See `tiny-ca --help`."
    else:
        code, message = code_of(error), message_of(error)
    if as_json:
        import json

        kind = type(error).__name__
        message = json.dumps({"error": message, "kind": kind, "exit_code": int(code)})
        _say(message, prefix="")
    else:
        _say(message)
    return int(code)


@contextmanager
def _told_on_stderr(*, is_debug: bool) -> Iterator[None]:
    """Let warnings and the library's log go to stderr, a line each."""
    import logging

    handler = logging.StreamHandler()
    handler.setLevel(logging.DEBUG if is_debug else logging.WARNING)
    handler.setFormatter(logging.Formatter("tiny-ca: %(message)s"))
    logger = logging.getLogger("tiny_ca")
    before = logger.level
    if is_debug:
        logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_args, **_more: _say(f"warning: {message}")
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _say(line: str, prefix: str = "tiny-ca: ") -> None:
    sys.stderr.write(f"{prefix}{line}\n")


def _print(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0
