"""Revocation, and the CRLs that tell of it."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.application import publish_crl, revoke, verify
from tiny_ca.application.publish_crl import PublishedCRL
from tiny_ca.domain.crl import CRLScope, Shard
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields
from tiny_ca.ports.progress import Progress

__all__ = ["Revoking"]


class Revoking(Face):
    """The operations that revoke."""

    def revoke_certificate(
        self,
        serial: int,
        reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
        *,
        within: object = None,
        invalidity_date: datetime | None = None,
    ) -> bool:
        """Revoke a certificate, durably; `generate_crl` tells the world.

        With *within*, a SQLAlchemy Session or Connection, it is revoked when you commit.
        *invalidity_date*, an aware datetime: since when the key may have been known to others,
        where that is known; CRLs say so (RFC 5280 §5.3.2).

        True: it is revoked now, whether or not it was before (the first reason and date
        stay).  False: the registry does not know it.  Raises `InvalidRevocationReason`.
        """
        is_revoked = revoke.revoke(
            self._with_registry(),
            serial,
            CRLReason(reason.value),
            within,
            self._factory,
            invalidity_date,
        )
        self._logger.info(
            "Revoked %s (%s): %s",
            serial,
            reason.value,
            is_revoked,
            extra=fields("revoked", serial_number=serial, reason=reason.value, found=is_revoked),
        )
        return is_revoked

    def release_certificate(self, serial: int) -> bool:
        """Lift a certificateHold: the certificate is valid again.

        False: the registry does not know it.  Raises `NotOnHold` if it is not on hold.
        """
        is_released = revoke.release(self._with_registry(), serial, self._factory)
        self._logger.info(
            "Released %s: %s",
            serial,
            is_released,
            extra=fields("released", serial_number=serial, found=is_released),
        )
        return is_released

    def generate_crl(self, days_valid: int = 1) -> x509.CertificateRevocationList:
        """Sign a CRL of this CA, 1 or more days valid, and put it into `crl.pem` and `crl.der`.

        Each is replaced atomically.  Raises `ValueError` without a factory, `DBNotInitedError`,
        and `RegistryError` when a newer CRL was published meanwhile.
        """
        # timedelta itself refuses what is past any calendar, with an error that is not ours.
        published = self._publish_crl(timedelta(days=max(0, min(days_valid, 10**7))))
        return x509.load_der_x509_crl(bytes(published.data))

    def verify_crl(self, crl: x509.CertificateRevocationList | bytes | memoryview) -> None:
        """Check that this CA signed *crl*, DER or an object, and that it is current.

        Raises `ValidationCertError`, `ValueError` without a factory.  To look many serial
        numbers up in a large one, see `CRLIndex`.
        """
        if isinstance(crl, x509.CertificateRevocationList):
            crl = crl.public_bytes(Encoding.DER)
        verify.verify_crl(self._ready(), self._issuer(), crl)

    def publish_crl(
        self,
        valid_for: timedelta = timedelta(days=1),
        *,
        shard: int | None = None,
        is_delta: bool = False,
        progress: Progress | None = None,
    ) -> PublishedCRL:
        """Sign a CRL of this CA, of any size in constant memory, and put it into its files.

        They are `crl.der` and `crl.pem` of the complete CRL, `crl-3-of-8.*` of the *shard* 3
        (from 0) of the `crl_shards` that *urls* say, and `crl-delta.*` or `crl-3-of-8-delta.*`
        of what changed since the last complete one.  Signature, number and entries are checked
        before it replaces the former one.  *progress* is told how many entries are in it.
        Raises as `generate_crl` does, and `InvalidRequest` for a shard that there is not, or a
        delta CRL without a complete one.
        """
        return self._publish_crl(valid_for, shard, is_delta=is_delta, progress=progress)

    def _publish_crl(
        self,
        valid_for: timedelta,
        shard: int | None = None,
        *,
        is_delta: bool = False,
        progress: Progress | None = None,
    ) -> PublishedCRL:
        services, issuer = self._with_registry(), self._issuer()
        urls = services.policy.urls.of_issuer(issuer.issuer_id)
        part = None if shard is None else Shard(shard, urls.crl_shards)
        published = publish_crl.publish_crl(
            services,
            issuer,
            valid_for,
            scope=CRLScope(part, is_delta),
            urls=urls,
            progress=progress,
        )
        self._log_crl(published)
        return published
