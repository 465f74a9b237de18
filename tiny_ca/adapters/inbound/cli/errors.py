"""What becomes of an error: one line that says what to do, and an exit code."""

from enum import IntEnum
from typing import Any

from tiny_ca.domain import errors

__all__ = ["ExitCode", "InTheWay", "code_of", "message_of"]


class InTheWay(errors.StorageError):
    """Something else has the place that is needed; nothing was done."""


class ExitCode(IntEnum):
    """What the process says at its end."""

    DONE = 0
    FAILED = 1
    """Storage, registry, network or signing failed, or something unforeseen did."""
    WRONG_REQUEST = 2
    """The command line, the settings or a file that was given is wrong; nothing was done."""
    NOT_FOUND = 3
    """There is no such CA, certificate or file."""
    CONFLICT = 4
    """Something that is there already is in the way; nothing was done."""
    NOT_VALID = 5
    """A certificate, CRL or path was looked at, and is not valid."""
    NOT_DUE = 10
    """A certificate need not be renewed yet."""
    INTERRUPTED = 130
    BROKEN_PIPE = 141


_CODES: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
    (
        (errors.CertNotFound, errors.NotExistCertFile, errors.UnknownSubscriber, FileNotFoundError),
        ExitCode.NOT_FOUND,
    ),
    (
        (
            errors.NotUniqueCertOwner,
            errors.FileAlreadyExists,
            errors.IdempotencyConflict,
            errors.NotEmpty,
            errors.NotOnHold,
            errors.StillNeeded,
            InTheWay,
        ),
        ExitCode.CONFLICT,
    ),
    ((errors.ValidationCertError,), ExitCode.NOT_VALID),
    (
        (
            errors.InvalidRequest,
            errors.InvalidRangeTimeCertificate,
            errors.ErrorLoadCert,
            errors.HistoryError,
            errors.IsNotFile,
            errors.MalformedDER,
            errors.WrongType,
        ),
        ExitCode.WRONG_REQUEST,
    ),
    ((errors.TinyCAError, OSError), ExitCode.FAILED),
    # Of pydantic, and of what the library refuses of its callers.
    ((ValueError, OverflowError), ExitCode.WRONG_REQUEST),
    ((KeyboardInterrupt,), ExitCode.INTERRUPTED),
)


def code_of(error: BaseException) -> ExitCode:
    """Give the exit code of an error."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), ExitCode.FAILED)


def message_of(error: BaseException) -> str:
    """Give one line that says what is wrong, and what to do about it on the command line."""
    if isinstance(error, errors.TinyCAError):
        return _one_line(_with_options(error))
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    if isinstance(error, OverflowError):
        return f"A number is out of range: {_one_line(str(error)).rstrip('.')}."
    if isinstance(error, ValueError):
        return _of_settings(error) if hasattr(error, "errors") else _one_line(str(error))
    return f"{type(error).__name__}: {_one_line(str(error))} (--debug shows where)"


def _with_options(error: errors.TinyCAError) -> str:
    """Say with options what the library says with arguments."""
    if isinstance(error, errors.NotUniqueCertOwner):
        return (
            f"{error.common_name!r} has an active certificate: `tiny-ca rotate` replaces it, "
            "and so does --replace; another first name makes another certificate."
        )
    if isinstance(error, errors.StorageError) and "assword" in str(error):
        return f"{error}: pass --passphrase-file or --ask-passphrase."
    return str(error).replace("pass is_overwrite=True", "pass --replace")


def _of_settings(error: Any) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'settings'}: "
        f"{_one_line(each['msg'].removeprefix('Value error, '))}"
        for each in error.errors()
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
