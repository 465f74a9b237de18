"""OCSP: reading requests, signing responses, and keeping those that were signed beforehand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from cryptography import x509

from tiny_ca.domain.ocsp import (
    CertID,
    CertState,
    IssuerKeyHash,
    KeptResponse,
    KeptResponses,
    OCSPRequest,
    ResponseStatus,
    SingleAnswer,
)
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["OCSPCodec", "OCSPSigner", "OCSPSigningIssuer", "PromptStore", "ResponseStore"]


class OCSPSigner(Protocol):
    """Who signs responses: a CA, or whom it has delegated that to (RFC 6960 §4.2.2.2)."""

    @property
    def certificate(self) -> x509.Certificate:
        """The signer's own."""
        ...

    @property
    def not_after(self) -> datetime:
        """When the signer's certificate ends: aware UTC."""
        ...

    def sign(
        self, answers: Sequence[SingleAnswer], produced_at: datetime, nonce: bytes | None = None
    ) -> bytes:
        """Give a whole OCSPResponse in DER.  Raises `SigningError`."""
        ...


@runtime_checkable
class OCSPSigningIssuer(Protocol):
    """An issuer whose own key can sign responses; others need a delegated certificate."""

    def ocsp_signer(self) -> OCSPSigner:
        """Give the signer."""
        ...


class OCSPCodec(Protocol):
    """Reads requests and writes responses."""

    def read_request(self, request_der: bytes) -> OCSPRequest:
        """Read a request of 16 KiB and 100 certIDs at most, nonces of 1..128 octets.

        Takes hostile input.  Raises `MalformedDER` for what is none (RFC 6960 §4.1.1), and for
        a critical extension that is not known here (§4.4).
        """
        ...

    def error(self, status: ResponseStatus) -> bytes:
        """Give an unsigned response that says why there is no answer (§2.3)."""
        ...

    def delegate(self, certificate: x509.Certificate, key: PrivateKey) -> OCSPSigner:
        """Give the signer whose certificate a CA has issued; its responses include it."""
        ...

    def cert_id(self, digest: str, issuer: IssuerKeyHash, serial_number: int) -> CertID:
        """Give a certID; *digest*, `sha1` or `sha256`, has made the issuer's hashes."""
        ...

    def issuer_hashes(self, issuer: x509.Certificate) -> Mapping[str, IssuerKeyHash]:
        """Give what certIDs call an issuer, for `sha1` and `sha256`."""
        ...


@runtime_checkable
class ResponseStore(Protocol):
    """A registry that reads states fast, and keeps responses beside its rows.

    Without one, states come from `Registry.get_by_serial`, and nothing is signed beforehand.
    Every method raises `RegistryError` when the database fails.
    """

    def cert_state(
        self, issuer_id: str, serial_number: int, digest: str | None = None
    ) -> tuple[CertState | None, KeptResponse | None]:
        """Give a certificate's state and, if *digest* is given, the response kept for it.

        Read at one moment.  A response is given only as long as it tells of this very state:
        whoever changed it, from that commit on there is none.
        """
        ...

    def states_to_sign(
        self,
        issuer_id: str,
        digest: str,
        at: datetime,
        signed_before: datetime,
        limit: int,
        after: int = 0,
    ) -> tuple[list[CertState], int | None]:
        """Give valid and revoked certificates that are not over and have no response that counts.

        One counts that tells of their state, and was signed at *signed_before* or later.  The
        oldest *limit* after the position *after*, and where to go on; `None`: that was all.
        """
        ...

    def kept_responses(self, issuer_id: str, digest: str, at: datetime) -> KeptResponses:
        """Say of the certificates that `states_to_sign` is about how many have a response."""
        ...

    def keep_responses(self, issuer_id: str, digest: str, kept: Sequence[KeptResponse]) -> None:
        """Keep responses, each in place of the one before; all or none."""
        ...


@runtime_checkable
class PromptStore(Protocol):
    """A `ResponseStore` that an event loop can read without a worker thread.

    Without one, every request is answered in a worker.
    """

    def cert_state_at_once(
        self, issuer_id: str, serial_number: int, digest: str
    ) -> tuple[CertState | None, KeptResponse | None] | None:
        """Give what `cert_state` gives, without waiting for a lock, another thread or a peer.

        `None`: it can't be said at once, or not at all; `cert_state` then says what is wrong.
        Never raises, and never gives what was read before the call.
        """
        ...
