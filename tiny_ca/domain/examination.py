"""What is wrong between a registry, the files that it tells of, and the CRLs."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Examination", "Finding", "Problem"]


class Problem(StrEnum):
    """Kinds of what can be wrong."""

    FILES_MISSING = "files-missing"
    """A valid certificate is not where its row says."""
    FILES_UNREADABLE = "files-unreadable"
    """It is there, and can't be read: damaged, or encrypted under another passphrase."""
    OTHER_CERTIFICATE = "other-certificate"
    """Another certificate has its place."""
    WRONG_KEY = "wrong-key"
    """The private key beside it is another one's."""
    EXPOSED_KEY = "exposed-key"
    """Others than the owner may read a private key."""
    ROW_WITHOUT_CERTIFICATE = "row-without-certificate"
    """A row says valid, and has no certificate."""
    UNKNOWN_CERTIFICATE = "unknown-certificate"
    """A file has a certificate that the registry does not know: it can't be revoked."""
    CRL_MISSING = "crl-missing"
    CRL_DAMAGED = "crl-damaged"
    """It can't be read, or its signature is not its CA's."""
    CRL_FOREIGN = "crl-foreign"
    """Another CA's CRL has its place."""
    CRL_OF_OTHER_SCOPE = "crl-of-other-scope"
    """A delta CRL or a shard has the place of a complete one, or the other way round."""
    CRL_OLDER = "crl-older"
    """It is older than the last one that was published."""
    CRL_NEWER = "crl-newer"
    """It is newer than the last one on record: the registry is an older copy."""
    CRL_EXPIRED = "crl-expired"
    """Its nextUpdate is over (RFC 5280 §5.1.2.5)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    problem: Problem
    where: str
    """The file, or the certificate by its name."""
    text: str
    serial_number: int | None = None
    """Of the certificate that it is about, if it is about one."""
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class Examination:
    """What was looked at, and what was found."""

    findings: tuple[Finding, ...]
    certificates: int
    """Rows of valid certificates."""
    files: int
    """Certificates in the storage, of any status."""
    crls: int
    """CRLs, each with its copy."""
    unexamined: str | None = None
    """What could not be looked at, and why; `None`: everything was."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(finding.is_repaired for finding in self.findings)
