"""Questions about certificates."""

from cryptography import x509

from tiny_ca.application import verify
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
