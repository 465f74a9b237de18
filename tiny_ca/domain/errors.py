"""Every error that tiny_ca raises, under one base class.

The names of tiny_ca 0.1 keep their names and constructors.  `InvalidRequest` and its
subclasses are `ValueError` too: the caller asked for something that can never be done.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from tiny_ca.domain.lint import LintFinding

__all__ = [
    "AmbiguousSerialNumber",
    "AnotherIssuer",
    "BackupError",
    "CertNotFound",
    "DBNotInitedError",
    "DamagedHistory",
    "ErrorLoadCert",
    "FileAlreadyExists",
    "ForeignCertificate",
    "HistoryError",
    "IdempotencyConflict",
    "IdempotencyKeyTaken",
    "InvalidCSR",
    "InvalidName",
    "InvalidRangeTimeCertificate",
    "InvalidRequest",
    "InvalidRevocationReason",
    "IsNotFile",
    "LintFailed",
    "MalformedDER",
    "NotEmpty",
    "NotExistCertFile",
    "NotOnHold",
    "NotUniqueCertOwner",
    "ProfileViolation",
    "RegistryError",
    "ReservationLost",
    "SerialNumberCollision",
    "SerialNumberConflict",
    "SigningError",
    "StillNeeded",
    "StorageError",
    "TinyCAError",
    "UnknownSubscriber",
    "UnsafePath",
    "ValidationCertError",
    "ValidityShortened",
    "WeakKey",
    "WrongType",
    "revoked_meanwhile",
]


class TinyCAError(Exception):
    """Base class of every error that tiny_ca raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        # Without __init__, whose arguments differ: a pool of processes hangs on an exception
        # that it can't unpickle.
        return _revive, (type(self), self.args), vars(self)


def _revive(kind: type[TinyCAError], args: tuple[object, ...]) -> TinyCAError:
    return kind.__new__(kind, *args)


class InvalidRequest(TinyCAError, ValueError):
    """The request can't be carried out as it stands; nothing was written."""


class InvalidName(InvalidRequest):
    """A subject or subject alternative name breaks RFC 5280 §4.1.2.6 or §4.2.1.6."""


class ProfileViolation(InvalidRequest):
    """The request asks for what its profile or its issuer does not allow; nothing was written."""

    def __init__(self, profile: str | None, problems: Sequence[str]) -> None:
        of = f"the profile {profile!r}" if profile else "its issuer"
        super().__init__(f"Not allowed by {of}: {'; '.join(problems)}.")
        self.problems = tuple(problems)


class LintFailed(InvalidRequest):
    """The linter objects to what would be signed; nothing was written."""

    def __init__(self, common_name: str, findings: Sequence[LintFinding]) -> None:
        objections = "; ".join(str(finding) for finding in findings)
        super().__init__(f"The certificate of {common_name!r} is not signed: {objections}.")
        self.findings = tuple(findings)


class InvalidCSR(InvalidRequest):
    """A certification request (RFC 2986) is malformed, unproven, or asks for too much."""


class WeakKey(InvalidRequest):
    """A public key is too short, known to others, or of a kind that is not certified."""


class UnsafePath(InvalidRequest):
    """A path or file name would leave the storage's base folder."""


class InvalidRevocationReason(InvalidRequest):
    """The reason can't be given to a revocation (RFC 5280 §5.3.1)."""


class NotOnHold(InvalidRequest):
    """Only a certificate that is revoked with certificateHold can be released."""


class StillNeeded(InvalidRequest):
    """The certificate's record can't be deleted yet; nothing was."""

    def __init__(self, serial_number: int, why: str, until: datetime | None = None) -> None:
        end = "" if until is None else f" (until {until.isoformat()})"
        super().__init__(f"The certificate {serial_number} can't be deleted: it {why}{end}.")
        self.serial_number = serial_number
        self.until = until
        """The moment that has to pass, aware; `None` when no moment alone is enough."""


class MalformedDER(TinyCAError, ValueError):
    """The octets are not DER (X.690), or not of the type that was expected."""


class NotEmpty(InvalidRequest):
    """A backup is restored into an empty registry and folder only; nothing was written."""


class InvalidRangeTimeCertificate(TinyCAError):
    """The validity period is empty, over, naive, or outside what X.509 can express."""

    def __init__(self, valid_from: datetime, valid_to: datetime, now: datetime) -> None:
        super().__init__(
            f"A certificate can't be valid from {valid_from.isoformat()} to "
            f"{valid_to.isoformat()} (now: {now.isoformat()}): give an aware start and a "
            "positive number of days that ends in the future and before the year 10000."
        )


class NotUniqueCertOwner(TinyCAError):
    """Another certificate, valid or being issued, holds this common name."""

    def __init__(self, common_name: str) -> None:
        super().__init__(
            f"The common name {common_name!r} has an active certificate: rotate that one, "
            "or pass is_overwrite=True to supersede it."
        )
        self.common_name = common_name


class CertNotFound(TinyCAError):
    """The registry has no certificate with this serial number."""

    def __init__(self, message: str = "The registry has no such certificate.") -> None:
        super().__init__(message)


class ValidationCertError(TinyCAError):
    """The certificate can't be trusted, or can't be replaced as asked."""


def revoked_meanwhile(common_name: str) -> ValidationCertError:
    """Make the error for a CA that was revoked while a certificate was being made."""
    return ValidationCertError(f"The CA {common_name!r} was revoked meanwhile: nothing was issued.")


class AnotherIssuer(ValidationCertError):
    """The certificate is another CA's, which alone supersedes it; nothing was written."""

    def __init__(self, serial_number: int, issuer: str) -> None:
        super().__init__(
            f"The certificate {serial_number} was issued by another CA, {issuer}: stand under "
            "that one to supersede it, or choose another name."
        )
        self.serial_number = serial_number
        self.issuer = issuer
        """The other CA's name (RFC 4514)."""


class DBNotInitedError(TinyCAError):
    """The operation needs a registry, and the manager was made without one."""

    def __init__(
        self, message: str = "This needs a registry: pass db_handler= to the manager."
    ) -> None:
        super().__init__(message)


class RegistryError(TinyCAError):
    """The registry did not do what was asked; whether it did is not known."""


class AmbiguousSerialNumber(RegistryError):
    """Several issuers of the registry have used this serial number."""

    def __init__(self, serial_number: int) -> None:
        super().__init__(
            f"Several issuers have used the serial number {serial_number}: ask a manager that "
            "stands under the right one."
        )


class SerialNumberCollision(RegistryError):
    """The issuer has used this serial number before; nothing was written."""


class ReservationLost(RegistryError):
    """The reserved row was closed before its certificate was recorded."""


class IdempotencyKeyTaken(RegistryError):
    """A row with this idempotency key is there already; nothing was written."""


class UnknownSubscriber(InvalidRequest):
    """Nobody subscribed under this name, or they unsubscribed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no subscriber {name!r}: call subscribe first.")
        self.name = name


class IdempotencyConflict(InvalidRequest):
    """The idempotency key belongs to another request; nothing was written."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key {key!r} belongs to another request: use a new one.")


class StorageError(TinyCAError):
    """The storage could not read or write what was asked."""


class FileAlreadyExists(StorageError):
    """The destination is taken, and the caller did not ask to replace it."""

    def __init__(self, path_save_cert: PurePath | str) -> None:
        super().__init__(
            f"{path_save_cert} exists: choose another name, or pass is_overwrite=True."
        )


class BackupError(TinyCAError):
    """The archive is damaged, not one of ours, or not for this version; nothing was restored."""


class HistoryError(TinyCAError):
    """The history of another CA can't be taken over as it is; nothing was written."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}.")
        self.where = where
        """The file, the line, or the row."""


class DamagedHistory(HistoryError):
    """A file, line or row can't be read, or two of them contradict each other."""


class ForeignCertificate(HistoryError):
    """No CA of the history has signed this certificate of it."""


class SerialNumberConflict(HistoryError):
    """The serial number belongs to another certificate, of the history or of the registry."""


class SigningError(TinyCAError):
    """The key can't sign, or what it signed is not what was planned."""


class ErrorLoadCert(TinyCAError):
    """A certificate or key can't be loaded, or is not what it has to be."""

    def __init__(self, path_to_file: PurePath | str, exc: str) -> None:
        super().__init__(f"Can't load {path_to_file}: {exc}")


class NotExistCertFile(TinyCAError):
    """There is no file at this path."""

    def __init__(self, path_to_file: PurePath | str) -> None:
        super().__init__(f"There is no file at {path_to_file}.")


class IsNotFile(TinyCAError):
    """The path is not a regular file."""

    def __init__(self, path_to_file: PurePath | str) -> None:
        super().__init__(f"{path_to_file} is not a regular file.")


class WrongType(TinyCAError):
    """The file's extension is not one that this loader reads."""

    def __init__(
        self, wrong_type: str, allowed_types: Sequence[str] = (".key", ".pem", ".csr")
    ) -> None:
        super().__init__(
            f"{wrong_type or 'no extension'!r} is not read here: use one of "
            f"{', '.join(allowed_types)}."
        )


class ValidityShortened(UserWarning):
    """A certificate's end was cut to its issuer's (RFC 5280 §6.1)."""
