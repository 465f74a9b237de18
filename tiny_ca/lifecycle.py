"""`CertLifecycleManager`: the synchronous face, one method a use-case."""

from collections.abc import Sequence
from datetime import timedelta
from logging import Logger, getLogger
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from cryptography import x509

from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.adapters.outbound.db import AsyncDBHandler
from tiny_ca.adapters.outbound.memory import NoRegistry
from tiny_ca.adapters.outbound.storage import AsyncLocalStorage, LocalStorage
from tiny_ca.adapters.outbound.system import SystemClock, SystemEntropy
from tiny_ca.application import (
    bootstrap,
    issue,
    join,
    once,
    open_issuer,
    publish_crl,
    recover,
    revoke,
    rotate,
    verify,
)
from tiny_ca.application.join import PreparedCertificate
from tiny_ca.application.recover import PENDING_LIMIT, Recovery
from tiny_ca.application.requests import CAConfig, ClientConfig
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import DBNotInitedError, StorageError
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.lifecycle_backup import BackupOperations
from tiny_ca.ports.clock import Clock
from tiny_ca.ports.crypto import Crypto, PrivateKey
from tiny_ca.ports.entropy import Entropy
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Artefacts, Storage

__all__ = ["CertLifecycleManager", "Issued"]

T = TypeVar("T")

Issued = tuple[x509.Certificate, PrivateKey, x509.CertificateSigningRequest]


class CertLifecycleManager(BackupOperations):
    """One certificate authority: issues, verifies, rotates and revokes, and keeps the record.

    *storage* takes the files (by default `LocalStorage()`), *db_handler* the record; without
    one, what needs it raises `DBNotInitedError`.  *factory* is the CA that signs; it is set by
    `create_self_signed_ca`, or by hand.  *urls* go into the certificates that are issued.
    *clock*, *entropy* and *crypto* are the system's unless given.  Raises `TypeError` for a
    *storage* or *db_handler* that is none.

    Thread-safe.  What an earlier process left unfinished is recovered before the first
    operation.  Every operation raises `TinyCAError`s alone for what goes wrong outside.

    With an *idempotency_key*, 1-255 characters, an operation that issues can be repeated: the
    same request gives the first certificate, with its private key where the storage holds it
    (else `StorageError`); another request under the same key is an `IdempotencyConflict`.
    """

    def __init__(
        self,
        storage: Storage | AsyncLocalStorage | None = None,
        factory: Issuer | None = None,
        db_handler: Registry | AsyncDBHandler | None = None,
        logger: Logger | None = None,
        *,
        urls: PublicationURLs | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        crypto: Crypto | None = None,
    ) -> None:
        storage = LocalStorage() if storage is None else getattr(storage, "blocking", storage)
        if not isinstance(storage, Storage):
            raise TypeError(f"storage must be a Storage, got {type(storage).__name__}.")
        registry = getattr(db_handler, "blocking", db_handler)
        if registry is not None and not isinstance(registry, Registry):
            raise TypeError(f"db_handler must be a Registry, got {type(db_handler).__name__}.")
        self._services = Services(
            clock=clock or SystemClock(),
            entropy=entropy or SystemEntropy(),
            crypto=crypto or CryptographyBackend(),
            registry=NoRegistry() if registry is None else registry,
            storage=storage,
        )
        self._has_registry = registry is not None
        self._handler = db_handler
        self._urls = urls or PublicationURLs()
        self._logger = logger or getLogger("tiny_ca")
        self._factory: Issuer | None = None
        self._recovery = Lock()
        self._is_recovered = False
        if factory is not None:
            self.factory = factory

    @property
    def factory(self) -> Issuer | None:
        """The CA that signs; settable, to any `ports.issuer.Issuer`."""
        return self._factory

    @factory.setter
    def factory(self, value: Issuer) -> None:
        if not isinstance(value, Issuer):
            raise TypeError(f"factory must be an Issuer, got {type(value).__name__}.")
        self._factory = value

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
            ("root", config.model_dump(mode="json"), cert_path, uuid_str, is_overwrite),
            lambda retry_key: bootstrap.create_root(
                services,
                config,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                retry_key=retry_key,
            ),
        )
        certificate, key = outcome.artefacts.certificate, _made(outcome.artefacts.private_key)
        self.factory = services.crypto.issuer(certificate, key)
        self._log("Created CA", certificate)
        return outcome.paths[".pem"], outcome.paths[".key"]

    def open_ca(self, common_name: str | None = None) -> None:
        """Load the CA that an earlier `create_self_signed_ca` left, and issue under it.

        By its common name, or the only valid one there is.  Raises `CertNotFound`,
        `StorageError` if its files are gone or encrypted otherwise, `ErrorLoadCert`.
        """
        self.factory = open_issuer.open_issuer(self._with_registry(), common_name)

    def issue_certificate(
        self,
        config: ClientConfig,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        is_overwrite: bool = False,
        *,
        idempotency_key: str | None = None,
    ) -> Issued:
        """Issue a certificate with a new key: gives certificate, private key and request.

        All or nothing: it is recorded before it is signed, and its files appear at once in
        `[cert_path/]<uuid_str>/`.  With *is_overwrite* the valid certificate of the same
        common name is superseded in the same transaction, and its files are deleted then.
        Raises `ValueError` without a factory, `NotUniqueCertOwner`, `FileAlreadyExists`,
        `InvalidRangeTimeCertificate`, `UnsafePath`.
        """
        services, issuer = self._ready(), self._issuer()
        request = config.model_dump(mode="json"), cert_path, uuid_str, is_overwrite
        outcome = once.once(
            services,
            idempotency_key,
            ("issue", issuer.issuer_id, *request),
            lambda retry_key: issue.issue(
                services,
                issuer,
                config,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                retry_key=retry_key,
                urls=self._urls,
            ),
        )
        return self._issued("Issued", outcome.artefacts)

    def issue_many(
        self,
        configs: Sequence[ClientConfig],
        cert_path: str | Path | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> list[Issued]:
        """Issue certificates with new keys, all or none, in two transactions.

        Gives what `issue_certificate` gives, in the order of *configs*, and raises as it does.
        """
        services, issuer = self._ready(), self._issuer()
        if not configs:
            return []
        outcomes = once.once_for_all(
            services,
            idempotency_key,
            [(issuer.issuer_id, one.model_dump(mode="json"), cert_path) for one in configs],
            lambda retry_keys: issue.issue_many(
                services, issuer, configs, cert_path, retry_keys=retry_keys, urls=self._urls
            ),
        )
        return [self._issued("Issued", outcome.artefacts) for outcome in outcomes]

    def rotate_certificate(
        self, serial: int, config: ClientConfig, *, idempotency_key: str | None = None
    ) -> Issued:
        """Issue the successor of the certificate *serial*, which is superseded as it commits.

        If anything fails, the old certificate is still valid.  The new files go into the same
        *cert_path*.  Raises `CertNotFound`, `ValidationCertError` for a revoked certificate,
        and as `issue_certificate`.
        """
        services, issuer = self._with_registry(), self._issuer()
        outcome = once.once(
            services,
            idempotency_key,
            ("rotate", issuer.issuer_id, serial, config.model_dump(mode="json")),
            lambda retry_key: rotate.rotate(
                services, issuer, serial, config, retry_key=retry_key, urls=self._urls
            ),
        )
        return self._issued(f"Rotated {serial} to", outcome.artefacts)

    def prepare_certificate(
        self,
        config: ClientConfig,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
    ) -> PreparedCertificate:
        """Issue a certificate as part of a transaction of your own.

            with ca.prepare_certificate(config) as prepared:
                with Session(engine) as session, session.begin():
                    session.add(Device(serial_number=str(prepared.serial_number)))
                    prepared.join(session)
            certificate, private_key, csr = prepared.issued

        It is reserved and signed when the block begins, valid when your transaction commits,
        and its files appear when the block ends.  If the transaction did not commit, nothing
        is issued.  If the process dies in between, `recover` publishes or undoes it.  Begin
        the transaction inside the block: SQLite has one writer.
        """
        return join.prepare_leaf(
            self._with_registry(), self._issuer(), config, cert_path, uuid_str, urls=self._urls
        )

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
        is_revoked = revoke.revoke(self._with_registry(), serial, CRLReason(reason.value), within)
        self._logger.info("Revoked %s (%s): %s", serial, reason.value, is_revoked)
        return is_revoked

    def release_certificate(self, serial: int) -> bool:
        """Lift a certificateHold: the certificate is valid again.

        False: the registry does not know it.  Raises `NotOnHold` if it is not on hold.
        """
        return revoke.release(self._with_registry(), serial)

    def generate_crl(self, days_valid: int = 1) -> x509.CertificateRevocationList:
        """Sign a CRL of this CA, 1 or more days valid, and put it into `crl.pem`, atomically.

        Raises `ValueError` without a factory, `DBNotInitedError`, and `RegistryError` when a
        newer CRL was published meanwhile.
        """
        crl = publish_crl.publish_crl(self._with_registry(), self._issuer(), days_valid)
        self._logger.info("Published a CRL of %d certificates", len(crl))
        return crl

    def get_certificate_status(self, serial: int) -> CertificateStatus:
        """Give the status of a certificate; `UNKNOWN` if the registry does not know it."""
        return verify.certificate_status(self._with_registry(), serial)

    def verify_certificate(self, cert: x509.Certificate) -> bool:
        """Check that this CA issued *cert*, that it holds now, and is on record as valid.

        True, or `ValidationCertError`.
        """
        verify.verify(self._with_registry(), self._issuer(), cert)
        return True

    def recover(self, older_than: timedelta = PENDING_LIMIT) -> Recovery:
        """Bring to its end what a process that died left undone; twice changes nothing.

        An issuance that is younger than *older_than* may still be under way and is left alone.
        """
        recovery = recover.recover(self._services, older_than)
        if any(recovery):
            self._logger.warning("Recovered: %s", recovery)
        return recovery

    def close(self) -> None:
        """Close the registry's connections; a later call opens them again."""
        close = getattr(self._handler, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        """Give the manager."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the manager."""
        self.close()

    def _ready(self) -> Services:
        """Give the services, after the first recovery."""
        if not self._is_recovered:
            with self._recovery:
                if not self._is_recovered:
                    self.recover()
                    self._is_recovered = True
        return self._services

    def _with_registry(self) -> Services:
        if not self._has_registry:
            raise DBNotInitedError
        return self._ready()

    def _issuer(self) -> Issuer:
        if self._factory is None:
            raise ValueError(
                "There is no CA to sign with: call create_self_signed_ca, or set factory."
            )
        return self._factory

    def _issued(self, what: str, artefacts: Artefacts) -> Issued:
        self._log(what, artefacts.certificate)
        return artefacts.certificate, _made(artefacts.private_key), _made(artefacts.csr)

    def _log(self, what: str, certificate: x509.Certificate) -> None:
        self._logger.info(
            "%s %s",
            what,
            certificate.subject.rfc4514_string(),
            extra={"serial_number": f"{certificate.serial_number:x}"},
        )


def _made(value: T | None) -> T:
    """Give what every end-entity issue makes, and an idempotent retry finds in the storage."""
    if value is None:
        raise StorageError("The storage does not hold this certificate's files any more.")
    return value
