"""Issue a certificate as part of a transaction that the caller owns."""

from dataclasses import replace
from pathlib import PurePath
from types import TracebackType
from typing import Self

from cryptography import x509

from tiny_ca.application.issuance import Prepared, prepare, publish, tell_of_issue
from tiny_ca.application.issue import order_leaf
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.runner import run_in_worker
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import ReservationLost
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.issuer import Issuer

__all__ = ["PreparedCertificate", "prepare_leaf"]


class PreparedCertificate:
    """A certificate that is signed, and becomes valid with a transaction of the caller's.

    A context manager, sync and async: at its end the certificate is published if it was
    committed, else undone.
    """

    def __init__(self, services: Services, prepared: Prepared) -> None:
        self._services = services
        self._prepared = prepared
        self._is_issued = False

    @property
    def serial_number(self) -> int:
        """The serial number, 1..2^159-1, reserved for good."""
        return self._prepared.reservation.serial_number

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate; nobody should rely on it before it is committed."""
        return self._prepared.artefacts.certificate

    def join(self, within: object) -> None:
        """Make it valid when the transaction of a SQLAlchemy Session or Connection commits.

        The database must be the registry's.  For an `AsyncSession`: `await
        session.run_sync(prepared.join)`.  Raises `ReservationLost`, `RegistryError`,
        `InvalidRequest` when *within* is something else.
        """
        signed = [(self._prepared.reservation, self._prepared.artefacts.certificate)]
        now = utc_seconds(self._services.clock.now())
        self._services.registry.commit(signed, now, within)

    def settle(self) -> None:
        """Publish the files if it was committed, else close its row and remove them."""
        services, reservation = self._services, self._prepared.reservation
        record = services.registry.get_by_serial(self.serial_number)
        if record is not None and record.certificate_pem is not None:
            if not self._is_issued:
                tell_of_issue(services, [reservation])
            publish(services, self._prepared)
            self._is_issued = True
        else:
            services.registry.abandon(reservation.issuer_id, reservation.serial_number)
            services.storage.discard(reservation.location.uuid)

    @property
    def issued(self) -> tuple[x509.Certificate, PrivateKey, x509.CertificateSigningRequest]:
        """Certificate, private key and request.  Raises `ReservationLost` if not committed."""
        artefacts = self._prepared.artefacts
        if not self._is_issued or artefacts.private_key is None or artefacts.csr is None:
            raise ReservationLost("The certificate was not committed: nothing was issued.")
        return artefacts.certificate, artefacts.private_key, artefacts.csr

    def __enter__(self) -> Self:
        """Give the prepared certificate."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle it."""
        self.settle()

    async def __aenter__(self) -> Self:
        """Give the prepared certificate."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle it in a worker thread."""
        await run_in_worker(None, self.settle)


def prepare_leaf(
    services: Services,
    issuer: Issuer,
    config: ClientConfig,
    folder: str | PurePath | None,
    uuid: str | None,
    *,
    predecessor: int | None = None,
) -> PreparedCertificate:
    """Reserve, sign and stage a certificate, in transactions of its own.

    The reservation is durable before the signature, whatever becomes of the caller's
    transaction, and SQLite, which has one writer, is free again before that begins.
    """
    order = order_leaf(services, issuer, config, folder, uuid)
    [prepared] = prepare(services, [replace(order, predecessor=predecessor)])
    return PreparedCertificate(services, prepared)
