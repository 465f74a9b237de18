"""End-entity certificates: issue, rotate, prepare."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from tiny_ca.application import issue, join, once, rotate
from tiny_ca.application.join import PreparedCertificate
from tiny_ca.application.requests import ClientConfig
from tiny_ca.domain.errors import StorageError
from tiny_ca.lifecycle.base import Face
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.storage import Artefacts

__all__ = ["Issued", "Issuing", "made"]

T = TypeVar("T")

Issued = tuple[x509.Certificate, PrivateKey, x509.CertificateSigningRequest]


class Issuing(Face):
    """The operations that issue end-entity certificates."""

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
        request = config.fingerprint(), cert_path, uuid_str, is_overwrite
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
            [(issuer.issuer_id, one.fingerprint(), cert_path) for one in configs],
            lambda retry_keys: issue.issue_many(
                services, issuer, configs, cert_path, retry_keys=retry_keys
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
            ("rotate", issuer.issuer_id, serial, config.fingerprint()),
            lambda retry_key: rotate.rotate(services, issuer, serial, config, retry_key=retry_key),
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
        return join.prepare_leaf(self._with_registry(), self._issuer(), config, cert_path, uuid_str)

    def _issued(self, what: str, artefacts: Artefacts) -> Issued:
        self._log(what, artefacts.certificate)
        return artefacts.certificate, made(artefacts.private_key), made(artefacts.csr)


def made(value: T | None) -> T:
    """Give what every end-entity issue makes, and an idempotent retry finds in the storage."""
    if value is None:
        raise StorageError("The storage does not hold this certificate's files any more.")
    return value
