"""CAs: make them, open them, stand under them, take them in."""

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography import x509

from tiny_ca.application import (
    bootstrap,
    import_ca,
    import_history,
    intermediate,
    once,
    open_issuer,
    rollover,
)
from tiny_ca.application.constraints import NameConstraintsConfig
from tiny_ca.application.issuance import present
from tiny_ca.application.requests import CAConfig
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.history import HistorySource
from tiny_ca.ports.issuer import Issuer, is_self_issued
from tiny_ca.ports.progress import Progress

__all__ = ["Authorities"]


class Authorities(Face):
    """The operations on certificate authorities."""

    def create_self_signed_ca(
        self,
        config: CAConfig,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        is_overwrite: bool = False,
        *,
        idempotency_key: str | None = None,
    ) -> tuple[Path, Path]:
        """Make a root; the manager issues under it from then on.

        Gives the paths of `[cert_path/]<uuid_str>/ca.pem` and `ca.key`.  With *is_overwrite*
        a valid certificate of the same common name is superseded.  Raises
        `NotUniqueCertOwner`, `FileAlreadyExists`, `InvalidRangeTimeCertificate`, `UnsafePath`.
        """
        services = self._ready()
        outcome = once.once(
            services,
            idempotency_key,
            ("root", config.fingerprint(), cert_path, uuid_str, is_overwrite),
            lambda retry_key: bootstrap.create_root(
                services,
                config,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                retry_key=retry_key,
            ),
        )
        certificate, key = outcome.artefacts.certificate, present(outcome.artefacts.private_key)
        self.factory = services.crypto.issuer(certificate, key)
        self._log("ca_created", "Created CA", certificate)
        return outcome.paths[".pem"], outcome.paths[".key"]

    def open_ca(self, common_name: str | None = None) -> None:
        """Load the CA that an earlier `create_self_signed_ca` left, and issue under it.

        By its common name, or the only valid one there is.  Raises `CertNotFound`,
        `StorageError` if its files are gone or encrypted otherwise, `ErrorLoadCert`.
        """
        self.factory = open_issuer.open_issuer(self._with_registry(), common_name)

    def under(self, ca: str | int | Issuer) -> Self:
        """Give a manager that does the same under another CA, on the same storage and registry.

        *ca* is the common name of a valid CA, the serial number of its certificate (a CA that
        was rolled over shares its name), or an issuer of your own.  Closing either manager
        closes the connections of both; they open again when used.  Raises as `open_ca`.
        """
        services = self._with_registry()
        bound = copy(self)
        if isinstance(ca, (str, int)):
            bound.factory = open_issuer.open_issuer(services, ca)
        else:
            bound.factory = ca
        return bound

    def issue_intermediate_ca(
        self,
        common_name: str | CAConfig,
        key_size: int = 4096,
        days_valid: int = 1825,
        valid_from: datetime | None = None,
        path_length: int | None = 0,
        organization: str | None = None,
        country: str | None = None,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        *,
        key_algorithm: KeyAlgorithm | KeyAlgorithmName = KeyAlgorithm.RSA,
        name_constraints: NameConstraintsConfig | None = None,
        is_overwrite: bool = False,
        idempotency_key: str | None = None,
    ) -> tuple[x509.Certificate, PrivateKey]:
        """Issue a CA's certificate, with a new key, under this CA; `under` then stands under it.

        *path_length*: how many CAs may follow below it, `None` for any number.
        *name_constraints*: which names it may vouch for.  A `CAConfig` in place of the common
        name says all of that, and the arguments up to *country* are then left alone.  The
        files are `[cert_path/]<uuid_str>/ca.pem` and so on.  Raises `ProfileViolation` when
        this CA may have none below it, and as `issue_certificate`.
        """
        config = common_name
        if not isinstance(config, CAConfig):
            config = CAConfig(
                common_name=config,
                organization=organization,
                country=country,
                key_algorithm=key_algorithm,
                key_size=key_size,
                days_valid=days_valid,
                valid_from=valid_from,
                path_length=path_length,
                name_constraints=name_constraints,
            )
        services, issuer, wanted = self._ready(), self._issuer(), config
        outcome = once.once(
            services,
            idempotency_key,
            ("ca", issuer.issuer_id, config.fingerprint(), cert_path, uuid_str, is_overwrite),
            lambda retry_key: intermediate.issue_intermediate(
                services,
                issuer,
                wanted,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                retry_key=retry_key,
            ),
        )
        self._log("ca_issued", "Issued CA", outcome.artefacts.certificate)
        return outcome.artefacts.certificate, present(outcome.artefacts.private_key)

    def cross_sign_ca(
        self,
        cert: x509.Certificate,
        days_valid: int | None = None,
        *,
        path_length: int | None = None,
        name_constraints: NameConstraintsConfig | None = None,
        cert_path: str | Path | None = None,
    ) -> x509.Certificate:
        """Certify another CA under this one: who trusts this one trusts what that one issues.

        Its name and key are taken over, nothing else.  `None` for *days_valid*: until the other
        certificate ends.  Limit it by *path_length* and *name_constraints*.  Raises
        `InvalidRequest` for what is no CA's certificate, `WeakKey`, `ProfileViolation`.
        """
        outcome = intermediate.cross_sign(
            self._with_registry(),
            self._issuer(),
            cert,
            lifetime=days_valid,
            path_length=path_length,
            name_constraints=None if name_constraints is None else name_constraints.planned,
            folder=cert_path,
        )
        self._log("ca_cross_signed", "Cross-signed", outcome.artefacts.certificate)
        return outcome.artefacts.certificate

    def rollover_ca(self, config: CAConfig) -> rollover.Rollover:
        """Give this CA a new key: a new certificate of the same name, beside the old one.

        The manager issues under the new one from then on; `under(old.serial_number)` stands
        under the old one, which has to go on publishing CRLs until what it issued has ended.
        A root gets link certificates for those who trust only the old or only the new one.
        An intermediate is issued by the CA above it, or that one's successor, whose key the
        storage has to hold.
        Of its subject, *config* repeats the common name alone, or what else it has as well.
        Raises `InvalidRequest` for another name.
        """
        services, old = self._with_registry(), self._issuer()
        parent = None
        if not is_self_issued(old.certificate):
            parent = open_issuer.open_parent(services, old.certificate)
        result = rollover.roll_over(services, old, parent, config)
        certificate, key = (
            result.outcome.artefacts.certificate,
            result.outcome.artefacts.private_key,
        )
        self.factory = services.crypto.issuer(certificate, present(key))
        self._log("ca_rolled_over", "Rolled over to", certificate)
        return result

    def request_ca(self, config: CAConfig) -> x509.CertificateSigningRequest:
        """Make a CA's key and give the request for a CA elsewhere, such as an offline root.

        The key waits in the storage; `import_ca` takes the answer.  The request says subject
        and key: what else holds, the other CA decides.
        """
        csr = import_ca.request_ca(self._ready(), config)
        subject = csr.subject.rfc4514_string()
        self._logger.info(
            "Requested the CA %s", subject, extra=fields("ca_requested", subject=subject)
        )
        return csr

    def import_ca(
        self,
        cert: x509.Certificate,
        private_key: PrivateKey | None = None,
        *,
        chain: Sequence[x509.Certificate] = (),
        cert_path: str | Path | None = None,
    ) -> None:
        """Take in a CA whose certificate was signed elsewhere, and issue under it.

        Its key is *private_key* or the one that `request_ca` made; without either the
        certificate is recorded, so that chains can be built through it, and the manager goes
        on under the CA that it has.  *chain* are CAs above it, to be recorded as well.  Raises
        `ErrorLoadCert` for what is no CA's certificate, or another one's key.
        """
        issuer = import_ca.import_ca(
            self._with_registry(), cert, private_key, chain=chain, folder=cert_path
        )
        if issuer is not None:
            self.factory = issuer
        self._log("ca_imported", "Imported", cert)

    def import_history(
        self,
        source: HistorySource,
        *,
        cert_path: str | Path | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> import_history.HistoryImport:
        """Take in a CA with all that it has issued and revoked: `OpenSSLFolder` and others.

        What was revoked stays revoked, with date, reason and invalidity date, and CRL numbers
        go on (RFC 5280 §5.2.3).  Everything is checked before anything is written; then it is
        recorded in batches, and the CAs last.  Calling it again finishes what was interrupted,
        adds what is new, and else changes nothing.  Private keys that are there are stored,
        under *cert_path*.  The manager issues under the CA from then on, if its key is there
        (of several, the first root).  With *dry_run* nothing is written, and the result says what
        would be.  *progress* is told how many certificates are checked, and then recorded.
        Raises `HistoryError`s that name the line or file, and `ErrorLoadCert`.
        """
        report, issuer = import_history.import_history(
            self._with_registry(), source, cert_path, dry_run=dry_run, progress=progress
        )
        if issuer is not None:
            self.factory = issuer
        self._logger.info(
            "%s a history: %d new certificates, %d known",
            "Checked" if dry_run else "Imported",
            len(report.recorded),
            report.known,
            extra=fields(
                "history_imported",
                new=len(report.recorded),
                known=report.known,
                is_dry_run=dry_run,
            ),
        )
        return report
