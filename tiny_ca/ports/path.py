"""Certification paths, from a certificate to a root that is trusted."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.paths import PathRequest

__all__ = ["OnRecord", "PathMaterial", "PathValidator"]

OnRecord = Callable[[x509.Certificate], bool]
"""Looks a certificate up.  True: on record, and not revoked.  False: not on record.
Raises `ValidationCertError` if it is revoked."""


@dataclass(frozen=True, slots=True)
class PathMaterial:
    """What a path is made of, and what says which certificates are revoked.

    *roots* are trusted, *intermediates* are not.  Every certificate of the path must be
    *on_record*, if that is given, or on a current one of the *crls*; a root need not be.  With
    neither, revocation is not looked at.
    """

    roots: Collection[x509.Certificate]
    intermediates: Collection[x509.Certificate] = ()
    crls: Collection[x509.CertificateRevocationList] | None = None
    on_record: OnRecord | None = None


@runtime_checkable
class PathValidator(Protocol):
    """Builds and validates certification paths (RFC 5280 §6)."""

    def validate(
        self, certificate: x509.Certificate, request: PathRequest, material: PathMaterial
    ) -> list[x509.Certificate]:
        """Give a valid path: *certificate* first, then each one's issuer, a root last.

        Work is bounded by `request.limits`, whatever the certificates are.  Raises
        `ValidationCertError`: there is no such path, or none was found within the limits.
        What *on_record* raises otherwise is raised.
        """
        ...
