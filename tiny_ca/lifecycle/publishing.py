"""What others may fetch: answers about certificates, CRLs, CAs' certificates."""

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509

from tiny_ca.adapters.outbound.crypto import OCSPBackend
from tiny_ca.application import publications
from tiny_ca.application.ocsp import OCSPResponder
from tiny_ca.application.publications import CRLDocument
from tiny_ca.application.publish_crl import PublishedCRL
from tiny_ca.application.publish_due import (
    Publication,
    Schedule,
    presign_due,
    publications_of,
    publish_due,
    published_stamps,
)
from tiny_ca.domain.crl import CRLScope
from tiny_ca.domain.errors import TinyCAError
from tiny_ca.domain.ocsp import ResponseTimes
from tiny_ca.domain.records import CRLStamp
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields

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
            report=self._report_ocsp,
        )

    def publish_due(
        self,
        valid_for: timedelta = timedelta(days=7),
        *,
        delta_valid_for: timedelta = timedelta(hours=6),
        ahead: timedelta = timedelta(hours=2),
        after_revocation: bool = False,
        responder: OCSPResponder | None = None,
        digests: Sequence[str] = ("sha1",),
    ) -> list[PublishedCRL]:
        """Publish every CRL of this CA that is due, and give what was published.

        Complete, shards and deltas, as the manager's `PublicationURLs` say.  Call it from cron or
        a worker, often: a CRL is due *ahead* of the end of the last one, and up to a quarter of
        that earlier, by chance.  *after_revocation*: also when somebody was revoked, or released,
        since it was published: the delta CRL, where there are such.  A *responder*, of
        `ocsp_responder`, signs the OCSP responses of this CA that are due as well, for certIDs by
        *digests*; of an asynchronous one, pass `blocking`.

        Several processes share the work: each CRL is under a lease, of ten minutes, in the
        registry, and what another one is at is left out.  Raises `InvalidRequest` for an *ahead*
        that is not shorter, and as `publish_crl` and `presign`, after all that can be published.
        """
        schedule = Schedule(valid_for, delta_valid_for, ahead)
        services, issuer = self._with_registry(), self._issuer()
        published: list[PublishedCRL] = []
        failure: TinyCAError | None = None
        try:
            for one in publish_due(services, issuer, schedule, after_revocation=after_revocation):
                self._log_crl(one)
                published.append(one)
        except TinyCAError as error:
            failure = error
        if responder is not None:
            count = presign_due(services, issuer, responder, digests)
            self._logger.info(
                "Signed %d OCSP responses", count, extra=fields("ocsp_presigned", count=count)
            )
        if failure is not None:
            raise failure
        return published

    def crl_stamps(self) -> dict[str, CRLStamp | None]:
        """Say of every CRL of this CA which one is out, and until when it holds, by its name.

        `None`: it was never published.
        """
        return published_stamps(self._with_registry(), self._issuer())

    def published(self, digests: Sequence[str] = ("sha1",)) -> list[Publication]:
        """Say of every CRL of this CA, and of its OCSP responses, how stale it is.

        Responses are those that were made beforehand for certIDs by *digests*.
        """
        return publications_of(self._with_registry(), self._issuer(), digests)

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

    def _report_ocsp(self, error: Exception) -> None:
        self._logger.error("OCSP: %s", error, exc_info=error, extra=fields("ocsp_failed"))
