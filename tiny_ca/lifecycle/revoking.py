"""Revocation, and the CRLs that tell of it."""

from cryptography import x509

from tiny_ca.application import publish_crl, revoke
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.lifecycle.base import Face

__all__ = ["Revoking"]


class Revoking(Face):
    """The operations that revoke."""

    def revoke_certificate(
        self,
        serial: int,
        reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
        *,
        within: object = None,
    ) -> bool:
        """Revoke a certificate, durably; `generate_crl` tells the world.

        With *within*, a SQLAlchemy Session or Connection, it is revoked when you commit.

        True: it is revoked now, whether or not it was before (the first reason and date
        stay).  False: the registry does not know it.  Raises `InvalidRevocationReason`.
        """
        is_revoked = revoke.revoke(
            self._with_registry(), serial, CRLReason(reason.value), within, self._factory
        )
        self._logger.info("Revoked %s (%s): %s", serial, reason.value, is_revoked)
        return is_revoked

    def release_certificate(self, serial: int) -> bool:
        """Lift a certificateHold: the certificate is valid again.

        False: the registry does not know it.  Raises `NotOnHold` if it is not on hold.
        """
        return revoke.release(self._with_registry(), serial, self._factory)

    def generate_crl(self, days_valid: int = 1) -> x509.CertificateRevocationList:
        """Sign a CRL of this CA, 1 or more days valid, and put it into `crl.pem`, atomically.

        Raises `ValueError` without a factory, `DBNotInitedError`, and `RegistryError` when a
        newer CRL was published meanwhile.
        """
        crl = publish_crl.publish_crl(self._with_registry(), self._issuer(), days_valid)
        self._logger.info("Published a CRL of %d certificates", len(crl))
        return crl
