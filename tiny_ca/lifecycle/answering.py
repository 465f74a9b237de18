"""Questions about certificates."""

from cryptography import x509

from tiny_ca.application import find, verify
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.lifecycle.base import Face

__all__ = ["Answering"]


class Answering(Face):
    """The operations that answer and change nothing."""

    def get_certificate_status(self, serial: int) -> CertificateStatus:
        """Give the status of a certificate; `UNKNOWN` if the registry does not know it."""
        return verify.certificate_status(self._with_registry(), serial, self._factory)

    def find_certificate(self, which: int | str) -> CertificateRecord | None:
        """Give the record of a serial number, or of the active certificate of a common name.

        Active is the one that claims the name and is not over: there is one at most.  `None`:
        there is none.  Raises `AmbiguousSerialNumber` when several issuers have used it, and
        this manager's CA is none of them.
        """
        services = self._with_registry()
        if isinstance(which, str):
            return verify.active_by_name(services, which)
        return find.find(services, which, self._factory)

    def verify_certificate(self, cert: x509.Certificate) -> bool:
        """Check that this CA issued *cert*, that it holds now, and is on record as valid.

        True, or `ValidationCertError`.
        """
        verify.verify(self._with_registry(), self._issuer(), cert)
        return True
