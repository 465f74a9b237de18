"""Who signs OCSP responses for an issuer, and which issuers there are to answer for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.chain import check_on_record
from tiny_ca.application.issuance import location_of, new_location, present, run_issuance
from tiny_ca.application.issue import order
from tiny_ca.application.query import find, find_all
from tiny_ca.application.services import Services
from tiny_ca.application.stored import load_files
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import StorageError, TinyCAError, ValidationCertError
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.ocsp import CertState, IssuerKeyHash, KeptResponse
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.domain.requests import IssuanceRequest
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.issuer import Issuer, own_issuer_id
from tiny_ca.ports.ocsp import OCSPCodec, OCSPSigner, OCSPSigningIssuer, ResponseStore

__all__ = ["RESPONDER_NAME", "RESPONDER_PROFILE", "IssuerTable", "Signers", "States"]

RESPONDER_PROFILE = "ocsp-responder"
RESPONDER_NAME = "OCSP Responder"
_FOLDER = "ocsp"
_TRY_AGAIN = timedelta(minutes=1)
_CAS = CertificateFilter(cert_types=frozenset({CertType.CA}))

OwnIssuer = Callable[[], Issuer | None]


class IssuerTable:
    """The CAs on record by the hashes that certIDs call them by; a CA's name and key never change.

    Read when an unknown one is asked for, if there are others than at the last time.
    """

    def __init__(self, services: Services, codec: OCSPCodec, own: OwnIssuer) -> None:
        self._services = services
        self._codec = codec
        self._own = own
        self._ids: dict[IssuerKeyHash, str] = {}
        self._hashes: dict[tuple[str, str], IssuerKeyHash] = {}
        self._newest: int | None = None

    def ids_of(self, issuers: Sequence[IssuerKeyHash]) -> list[str | None]:
        """Give the issuers' ids; `None` for one that is not on record."""
        found = [self._ids.get(each) for each in issuers]
        if None in found:
            self._refresh()
            found = [self._ids.get(each) for each in issuers]
        return found

    def known(self, issuer: IssuerKeyHash) -> str | None:
        """Give the id of an issuer that was read already; nothing is read."""
        return self._ids.get(issuer)

    def all_ids(self) -> set[str]:
        """Give the id of every CA on record."""
        self._refresh()
        return set(self._ids.values())

    def hashes_of(self, issuer_id: str, digest: str) -> IssuerKeyHash:
        """Give what certIDs call an issuer that `ids_of` or `all_ids` gave."""
        return self._hashes[issuer_id, digest]

    def _refresh(self) -> None:
        own = self._own()
        certificates = [] if own is None else [(own.issuer_id, own.certificate)]
        newest = next(iter(find(self._services, _CAS, 1)), None)
        if newest is not None and (newest.position is None or newest.position != self._newest):
            records = list(find_all(self._services, _CAS))
            for record in records:
                if record.certificate_pem is not None:
                    ca = x509.load_pem_x509_certificate(record.certificate_pem.encode())
                    certificates.append((own_issuer_id(ca), ca))
            # What is being issued has its place already, and will need another look.
            is_settled = all(record.status is not CertificateStatus.PENDING for record in records)
            self._newest = newest.position if is_settled else None
        new = {
            (issuer_id, digest): hashes
            for issuer_id, ca in certificates
            for digest, hashes in self._codec.issuer_hashes(ca).items()
        }
        self._hashes = {**self._hashes, **new}
        self._ids = {hashes: issuer_id for (issuer_id, _), hashes in self._hashes.items()}


class States:
    """What is on record of certificates; *store* is the registry, if it keeps responses."""

    def __init__(self, services: Services) -> None:
        registry = services.registry
        self._registry = registry
        self.store = registry if isinstance(registry, ResponseStore) else None

    def of(
        self, issuer_id: str, serial_number: int, digest: str | None = None
    ) -> tuple[CertState | None, KeptResponse | None]:
        """Give a certificate's state and its response, as `ResponseStore.cert_state` does."""
        if self.store is not None:
            return self.store.cert_state(issuer_id, serial_number, digest)
        record = self._registry.get_by_serial(serial_number, issuer_id)
        if record is None:
            return None, None
        return CertState(
            record.serial_number,
            record.status,
            record.not_after,
            record.revocation_date,
            record.revocation_reason,
        ), None


@dataclass(frozen=True, slots=True)
class _Chosen:
    signer: OCSPSigner
    renew_at: datetime
    delegate: int | None = None
    """The serial number of a delegated certificate."""


class Signers:
    """One signer an issuer: the CA itself, or a certificate that it issues to this responder.

    A delegated certificate comes from the one pipeline, by the profile `ocsp-responder`; its
    key is kept in the storage, and shared with other processes.  At half its life it is
    replaced, and when it is revoked.  When the former fails it serves to its end, and *report*
    is told.
    """

    def __init__(
        self,
        services: Services,
        codec: OCSPCodec,
        own: OwnIssuer,
        states: States,
        *,
        is_delegated: bool,
        report: Callable[[Exception], object],
    ) -> None:
        self._services = services
        self._codec = codec
        self._own = own
        self._states = states
        self._is_delegated = is_delegated
        self._report = report
        self._chosen: dict[str, _Chosen] = {}
        self._turn = Lock()

    def signer(self, issuer_id: str, now: datetime) -> OCSPSigner | None:
        """Give who signs for an issuer; `None`: nobody, since its key is not held here.

        Nor, with a delegated certificate, for a CA that is over or revoked, and issues none.
        Raises what opening the issuer or issuing a delegated certificate does.
        """
        chosen = self._current(issuer_id)
        if chosen is not None and now < chosen.renew_at:
            return chosen.signer
        is_usable = chosen is not None and now <= chosen.signer.not_after
        # While one thread makes the next certificate, the others go on with this one.
        if self._turn.acquire(blocking=not is_usable):
            try:
                chosen = self._choose(issuer_id, now)
            finally:
                self._turn.release()
        return None if chosen is None else chosen.signer

    def _current(self, issuer_id: str) -> _Chosen | None:
        """Give who signed last, unless that certificate was revoked since."""
        chosen = self._chosen.get(issuer_id)
        if chosen is None or chosen.delegate is None:
            return chosen
        state, _ = self._states.of(issuer_id, chosen.delegate)
        return chosen if state is None or state.revocation is None else None

    def _choose(self, issuer_id: str, now: datetime) -> _Chosen | None:
        chosen = self._current(issuer_id)
        if chosen is not None and now < chosen.renew_at:
            # Another thread made it while this one waited.
            return chosen
        made = None if self._is_delegated else self._by_itself(issuer_id)
        made = made or self._delegated(issuer_id, now)
        if made is None or now > made.signer.not_after:
            return None
        self._chosen[issuer_id] = made
        return made

    def _by_itself(self, issuer_id: str) -> _Chosen | None:
        issuer = self._open(issuer_id)
        if not isinstance(issuer, OCSPSigningIssuer):
            return None
        signer = issuer.ocsp_signer()
        return _Chosen(signer, signer.not_after)

    def _delegated(self, issuer_id: str, now: datetime) -> _Chosen | None:
        on_record = self._on_record(issuer_id, now)
        if on_record is not None and now < on_record.renew_at:
            return on_record
        try:
            issuer = self._open(issuer_id)
            if on_record is None and (issuer is None or not self._can_issue(issuer, now)):
                return None
            issued = None if issuer is None else self._issue(issuer, now)
        except TinyCAError as error:
            if on_record is None:
                raise
            self._report(error)
            issued = None
        if issued is None and on_record is not None:
            return replace(on_record, renew_at=now + _TRY_AGAIN)
        return issued

    def _can_issue(self, issuer: Issuer, now: datetime) -> bool:
        """Whether a CA is not over, and not revoked."""
        try:
            check_on_record(self._services, issuer.certificate)
        except ValidationCertError:
            return False
        return now < issuer.certificate.not_valid_after_utc

    def _on_record(self, issuer_id: str, now: datetime) -> _Chosen | None:
        """Give the newest certificate whose key the storage has, of this or another process."""
        wanted = CertificateFilter(
            status=CertificateStatus.VALID,
            cert_types=frozenset({CertType.INTERNAL}),
            issuer_id=issuer_id,
            common_name=RESPONDER_NAME,
        )
        for record in find(self._services, wanted, 5):
            if record.profile != RESPONDER_PROFILE or record.location is None:
                continue
            try:
                held = self._services.storage.load(record.location)
            except StorageError:
                # Not published yet, or held elsewhere: a storage that fails fails the issue, too.
                continue
            if held.private_key is not None:
                return self._chosen_of(held.certificate, held.private_key)
        return None

    def _issue(self, issuer: Issuer, now: datetime) -> _Chosen:
        services = self._services
        profile = services.policy.profile(RESPONDER_PROFILE)
        key = services.crypto.key_spec(issuer.certificate.public_key())
        request = IssuanceRequest(
            common_name=RESPONDER_NAME,
            profile=profile,
            # What reads the CA's signatures reads these.
            key=KeySpec() if key.algorithm is KeyAlgorithm.RSA else key,
            lifetime=min(profile.default_validity, issuer.certificate.not_valid_after_utc - now),
        )
        location = new_location(services, "ocsp", _FOLDER, None)
        wanted = replace(order(services, issuer, request, location), with_csr=False)
        [outcome] = run_issuance(services, [wanted])
        return self._chosen_of(
            outcome.artefacts.certificate, present(outcome.artefacts.private_key)
        )

    def _chosen_of(self, certificate: x509.Certificate, key: PrivateKey) -> _Chosen:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        half = utc_seconds(begin + (end - begin) / 2)
        signer = self._codec.delegate(certificate, key)
        return _Chosen(signer, half, certificate.serial_number)

    def _open(self, issuer_id: str) -> Issuer | None:
        """Load a CA whose key the storage holds, or give the manager's; `None`: neither."""
        own = self._own()
        if own is not None and own.issuer_id == issuer_id:
            return own
        for record in reversed(self._services.registry.issuer_certificates(issuer_id)):
            location = location_of(self._services, record, CA_FILE_NAME)
            if location is None:
                continue
            held = load_files(self._services, record, location)
            if held.private_key is not None:
                return self._services.crypto.issuer(held.certificate, held.private_key)
        return None
