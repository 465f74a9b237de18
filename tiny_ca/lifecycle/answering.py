"""Questions about certificates."""

from datetime import timedelta

from cryptography import x509

from tiny_ca.adapters.outbound.crypto import OCSPBackend
from tiny_ca.application import verify
from tiny_ca.application.ocsp import OCSPResponder
from tiny_ca.domain.ocsp import ResponseTimes
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.lifecycle.base import Face

__all__ = ["Answering"]


class Answering(Face):
    """The operations that answer and change nothing."""

    def get_certificate_status(self, serial: int) -> CertificateStatus:
        """Give the status of a certificate; `UNKNOWN` if the registry does not know it."""
        return verify.certificate_status(self._with_registry(), serial, self._factory)

    def verify_certificate(self, cert: x509.Certificate) -> bool:
        """Check that this CA issued *cert*, that it holds now, and is on record as valid.

        True, or `ValidationCertError`.
        """
        verify.verify(self._with_registry(), self._issuer(), cert)
        return True

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
