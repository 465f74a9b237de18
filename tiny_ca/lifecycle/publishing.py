"""What others may fetch: answers about certificates, CRLs, CAs' certificates."""

from datetime import timedelta

from cryptography import x509

from tiny_ca.adapters.outbound.crypto import OCSPBackend
from tiny_ca.application import publications
from tiny_ca.application.ocsp import OCSPResponder
from tiny_ca.application.publications import CRLDocument
from tiny_ca.domain.crl import CRLScope
from tiny_ca.domain.ocsp import ResponseTimes
from tiny_ca.lifecycle.base import Face

__all__ = ["Publishing"]


class Publishing(Face):
    """The operations that relying parties are served by."""

    def ocsp_responder(
        self, *, delegated: bool = True, validity: timedelta = timedelta(hours=12)
    ) -> OCSPResponder:
        """Give an OCSP responder (RFC 6960) for every CA whose key this manager's storage holds.

        *delegated*: each CA issues a certificate to it, `ocsp/<uuid>/ocsp.pem` by the profile
        `ocsp-responder`, and replaces it in time; else the CA's own key signs.  An answer holds
        for *validity*, whole seconds, and not past the end of what it tells of or who signed it.
        Keep the responder: it remembers what does not change.  What it can't answer for it logs.
        """
        return OCSPResponder(
            self._with_registry(),
            OCSPBackend(),
            lambda: self._factory,
            times=ResponseTimes(validity),
            is_delegated=delegated,
            report=lambda error: self._logger.error("OCSP: %s", error, exc_info=error),
        )

    def published_crl(self, issuer_id: str, name: str = "crl") -> CRLDocument | None:
        """Give a CRL that `publish_crl` published for the CA with this id, `None`: none.

        *name* is `crl`, `crl-3-of-8`, or either with `-delta`.  Raises `InvalidRequest` for any
        other, `StorageError`.
        """
        scope = CRLScope.named(name)
        return publications.published_crl(self._with_registry(), issuer_id, scope)

    def issuer_certificate(self, issuer_id: str) -> x509.Certificate | None:
        """Give the certificate of the CA with this id; `None`: it is not on record."""
        return publications.issuer_certificate(self._with_registry(), issuer_id, self._factory)
