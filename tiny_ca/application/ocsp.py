"""Answer OCSP requests: octets in, octets out."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta

from tiny_ca.application.ocsp_signers import IssuerTable, OwnIssuer, Signers, States
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidRequest, MalformedDER, RegistryError, StorageError
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.ocsp import (
    CertID,
    CertState,
    KeptResponse,
    OCSPReply,
    OCSPRequest,
    ResponseStatus,
    ResponseTimes,
    answer,
    reply_of,
)
from tiny_ca.ports.ocsp import OCSPCodec, OCSPSigner, PromptStore, ResponseStore

__all__ = ["OCSPResponder"]

_AT_ONCE = 1000
_LONGEST_SERIAL_NUMBER = 1 << 160
_SHORT = 256
"""Octets: longer than a request for one certificate, and read in no time."""


class OCSPResponder:
    """Answers for every certificate of the CAs on record whose key, or a delegate's, is held here.

    `CertLifecycleManager.ocsp_responder` makes one; keep it: what never changes is read once.
    Thread-safe.
    """

    def __init__(
        self,
        services: Services,
        codec: OCSPCodec,
        own: OwnIssuer,
        *,
        times: ResponseTimes,
        is_delegated: bool,
        report: Callable[[Exception], object],
    ) -> None:
        self._services = services
        self._codec = codec
        self._times = times
        self._report = report
        self._states = States(services)
        self._store = self._states.store
        self._prompt = services.registry if isinstance(services.registry, PromptStore) else None
        self._issuers = IssuerTable(services, codec, own)
        self._signers = Signers(
            services, codec, own, self._states, is_delegated=is_delegated, report=report
        )

    def respond(self, request_der: bytes) -> bytes:
        """Give the response in DER, whatever the request is: never an exception.

        Unsigned errors (RFC 6960 §2.3): `malformedRequest`, also for more than 16 KiB or 100
        certIDs, a nonce that has not 1..128 octets, and unknown critical extensions;
        `unauthorized` (RFC 5019 §2.2.3) when no CA here is meant, or one that can delegate no
        more, since it is over or revoked; `tryLater` when registry or storage fail;
        `internalError`.  Certificates of other CAs than the first one's are `unknown`: one
        signer does not speak for two.
        """
        return self.reply(request_der).der

    def reply(self, request_der: bytes) -> OCSPReply:
        """Give the response as `respond` does, and how long it may be kept."""
        observing = self._services.observing
        if observing is None:
            return self._attempt(request_der)[0]
        running = observing.begin("ocsp_reply")
        reply, error = self._attempt(request_der)
        running.end(error)
        return reply

    def reply_at_once(self, request_der: bytes) -> OCSPReply | None:
        """Give a response that was made beforehand, from an event loop; wait for nothing.

        `None`: there is none that holds, or it can't be read at once, or something is wrong;
        `reply`, in a worker thread, says what.
        """
        observing = self._services.observing
        begun = 0.0 if observing is None else observing.now()
        try:
            reply = self._kept_reply(request_der)
        except Exception:  # noqa: BLE001  # whatever it is, `reply` comes upon it and reports it
            return None
        if observing is not None and reply is not None:
            observing.begin("ocsp_reply", begun).end(None)
        return reply

    def _kept_reply(self, request_der: bytes) -> OCSPReply | None:
        if self._prompt is None or len(request_der) > _SHORT:
            return None
        single = self._codec.read_request(request_der).single
        issuer_id = None if single is None else self._issuers.known(single.issuer)
        if single is None or issuer_id is None or not _is_possible(single.serial_number):
            return None
        now = utc_seconds(self._services.clock.now())
        found = self._prompt.cert_state_at_once(issuer_id, single.serial_number, single.digest)
        return None if found is None else _reply_from(found[1], now)

    def _attempt(self, request_der: bytes) -> tuple[OCSPReply, Exception | None]:
        """Give the response, and why it is an error if the request was not to blame."""
        try:
            return self._reply(request_der), None
        except MalformedDER:
            return self._error(ResponseStatus.MALFORMED_REQUEST), None
        except (RegistryError, StorageError) as error:
            self._report(error)
            return self._error(ResponseStatus.TRY_LATER), error
        except Exception as error:  # noqa: BLE001  # §2.3: internalError is for whatever it is
            self._report(error)
            return self._error(ResponseStatus.INTERNAL_ERROR), error

    def _error(self, status: ResponseStatus) -> OCSPReply:
        return OCSPReply(self._codec.error(status))

    def _reply(self, request_der: bytes) -> OCSPReply:
        request = self._codec.read_request(request_der)
        now = utc_seconds(self._services.clock.now())
        issuer_ids = self._issuers.ids_of([each.issuer for each in request.cert_ids])
        issuer_id = next((each for each in issuer_ids if each is not None), None)
        if issuer_id is None:
            return self._error(ResponseStatus.UNAUTHORIZED)
        single = request.single
        if single is None:
            states = [
                self._state(issuer_id, cert_id)[0] if each == issuer_id else None
                for each, cert_id in zip(issuer_ids, request.cert_ids, strict=True)
            ]
        else:
            state, kept = self._state(issuer_id, single, single.digest)
            reply = _reply_from(kept, now)
            if reply is not None:
                return reply
            states = [state]
        signer = self._signers.signer(issuer_id, now)
        if signer is None:
            return self._error(ResponseStatus.UNAUTHORIZED)
        return self._signed(signer, request, states, now)

    def _signed(
        self,
        signer: OCSPSigner,
        request: OCSPRequest,
        states: list[CertState | None],
        now: datetime,
    ) -> OCSPReply:
        answers = [
            answer(cert_id, state, now, signer.not_after, self._times)
            for cert_id, state in zip(request.cert_ids, states, strict=True)
        ]
        der = signer.sign(answers, now, request.nonce)
        if request.nonce is not None:
            return OCSPReply(der)
        return reply_of(der, now, min(each.next_update for each in answers), now)

    def _state(
        self, issuer_id: str, cert_id: CertID, digest: str | None = None
    ) -> tuple[CertState | None, KeptResponse | None]:
        if not _is_possible(cert_id.serial_number):
            return None, None
        return self._states.of(issuer_id, cert_id.serial_number, digest)

    def presign(
        self,
        digest: str = "sha1",
        *,
        fresh_for: timedelta | None = None,
        issuer_id: str | None = None,
    ) -> int:
        """Sign responses beforehand, for all that is valid or revoked; give how many.

        Of one issuer's certificates, or of every one's.

        A certificate is left out while a response tells of its state, unless that is older
        than half its life, or has less than *fresh_for* left.  They answer requests without a
        nonce whose certIDs are made with *digest*, `sha1` (what clients use) or `sha256`.  In
        batches of 1000, each one transaction; calling it again does the rest.  Raises
        `InvalidRequest` when the registry keeps no responses, `RegistryError`, and what
        making a delegated certificate does.
        """
        if self._store is None:
            raise InvalidRequest("This registry keeps no OCSP responses.")
        if digest not in {"sha1", "sha256"}:
            raise InvalidRequest(f"certIDs are made with sha1 or sha256, not {digest!r}.")
        left = self._times.validity / 2 if fresh_for is None else fresh_for
        observing = self._services.observing
        with nullcontext() if observing is None else observing.operation("ocsp_presign"):
            return sum(
                self._presign_for(self._store, each, digest, left)
                for each in sorted(self._issuers.all_ids())
                if issuer_id in {None, each}
            )

    def _presign_for(
        self, store: ResponseStore, issuer_id: str, digest: str, left: timedelta
    ) -> int:
        count = 0
        following: int | None = 0
        while following is not None:
            now = utc_seconds(self._services.clock.now())
            signer = self._signers.signer(issuer_id, now)
            if signer is None:
                return count
            signed_before = now - self._times.validity + left
            states, following = store.states_to_sign(
                issuer_id, digest, now, signed_before, _AT_ONCE, following
            )
            kept = [self._kept(signer, issuer_id, digest, state, now) for state in states]
            store.keep_responses(issuer_id, digest, kept)
            count += len(kept)
        return count

    def _kept(
        self, signer: OCSPSigner, issuer_id: str, digest: str, state: CertState, now: datetime
    ) -> KeptResponse:
        hashes = self._issuers.hashes_of(issuer_id, digest)
        cert_id = self._codec.cert_id(digest, hashes, state.serial_number)
        single = answer(cert_id, state, now, signer.not_after, self._times)
        der = signer.sign([single], now)
        return KeptResponse(state, single.this_update, single.next_update, der)


def _is_possible(serial_number: int) -> bool:
    # RFC 5280 §4.1.2.2: 1..20 octets; no other was ever issued.
    return 0 < serial_number < _LONGEST_SERIAL_NUMBER


def _reply_from(kept: KeptResponse | None, now: datetime) -> OCSPReply | None:
    if kept is None or not kept.this_update <= now < kept.next_update:
        return None
    return reply_of(kept.der, kept.this_update, kept.next_update, now)
