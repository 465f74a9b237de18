"""Paths to a root, ours or another one."""

from collections.abc import Collection
from datetime import datetime

from cryptography import x509

from tiny_ca.application import verify_chain
from tiny_ca.application.verify_chain import Purpose
from tiny_ca.domain.paths import Conformance, ConformanceName
from tiny_ca.lifecycle.base import Face

__all__ = ["Verifying"]


class Verifying(Face):
    """The operation that builds and validates certification paths."""

    def verify_chain(
        self,
        cert: x509.Certificate,
        *,
        intermediates: Collection[x509.Certificate] = (),
        roots: Collection[x509.Certificate] | None = None,
        purpose: Purpose | None = None,
        host: str | None = None,
        email: str | None = None,
        at: datetime | None = None,
        crls: Collection[x509.CertificateRevocationList] | None = None,
        conformance: Conformance | ConformanceName = Conformance.RFC5280,
        max_intermediates: int = 8,
    ) -> list[x509.Certificate]:
        """Build and validate a path from *cert* to a trusted root (RFC 5280 §6).

        Gives it, *cert* first and the root last.  Without *roots*, those of the registry are
        trusted, and every certificate must be on record and not revoked, or covered by one of
        *crls*.  With *roots*, the certificates of others: *crls*, if given, must cover every
        one but the root, and be current; without, revocation is not looked at.

        *purpose* is asked of *cert* and of CAs that list purposes, *host* (a DNS name or an
        IP address) and *email* of its alternative names; a *host* without a *purpose* is a
        server.  *at* is an aware datetime, by default now.  *conformance* "path" asks for no
        more than a valid path, "rfc5280" for certificates as RFC 5280 §4 has them, "webpki"
        for those of public servers.  Raises `ValidationCertError` that says what is wrong,
        `InvalidRequest`, and `DBNotInitedError` without *roots* and a registry.
        """
        services = self._with_registry() if roots is None else self._ready()
        request = verify_chain.path_request(
            services.clock.now(),
            purpose=purpose,
            host=host,
            email=email,
            at=at,
            conformance=conformance,
            max_intermediates=max_intermediates,
        )
        return verify_chain.verify_chain(
            services,
            self._factory,
            cert,
            request,
            roots=roots,
            intermediates=intermediates,
            crls=crls,
        )
