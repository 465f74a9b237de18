"""Passphrases: from a file, the environment or a prompt, never from an argument."""

import getpass
import sys
from pathlib import Path

from tiny_ca.adapters.inbound.cli.options import Common
from tiny_ca.domain.errors import InvalidRequest

__all__ = ["asked_passphrase", "passphrase_of", "password_of", "read_passphrase"]


def passphrase_of(common: Common, *, is_new: bool = False) -> str | None:
    """Give the passphrase that the options say; `None`: the environment's, if there is one.

    One that *is_new* is asked for twice.
    """
    if common.passphrase_file is not None:
        return read_passphrase(common.passphrase_file)
    return asked_passphrase(is_new=is_new) if common.ask_passphrase else None


def password_of(file: Path | None, *, is_asked: bool) -> bytes | None:
    """Give the password of what is read: from *file*, from the terminal, or none."""
    if file is not None:
        return read_passphrase(file).encode()
    return asked_passphrase("Password of the file").encode() if is_asked else None


def read_passphrase(file: Path) -> str:
    """Give what is in a file, without the end of its line.

    Raises `InvalidRequest` if it is empty, or no UTF-8.
    """
    # A text editor ends the line; no passphrase does.
    try:
        text = file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{file} is no UTF-8 text: {error.reason}.") from error
    if not text:
        raise InvalidRequest(f"{file} is empty: write the passphrase into it.")
    return text


def asked_passphrase(what: str = "Passphrase", *, is_new: bool = False) -> str:
    """Ask on the terminal.  Raises `InvalidRequest` without one, and for an empty answer."""
    if not sys.stdin.isatty():
        raise InvalidRequest("There is no terminal to ask for a passphrase: pass a file with it.")
    answer = getpass.getpass(f"{what}: ")
    if is_new and getpass.getpass(f"{what}, again: ") != answer:
        raise InvalidRequest("The two differ; nothing was done.")
    if not answer:
        raise InvalidRequest("A passphrase has one character or more.")
    return answer
