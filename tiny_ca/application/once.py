"""Carry a request out once, however often it is repeated."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import timedelta

from cryptography import x509

from tiny_ca.application.issuance import Outcome
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import (
    IdempotencyConflict,
    IdempotencyKeyTaken,
    InvalidRequest,
    StorageError,
    ValidationCertError,
)
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, RetryKey

__all__ = ["once", "once_for_all"]

_TAKE_OVER_AFTER = timedelta(seconds=10)
"""How old a pending row of the same request is when its process is taken for dead."""
_POLL_SECONDS = 0.05


def once(
    services: Services,
    idempotency_key: str | None,
    request: tuple[object, ...],
    carry_out: Callable[[RetryKey | None], Outcome],
    *,
    needs_key: bool = True,
) -> Outcome:
    """Give the outcome of the first call with this key; without one, carry the request out.

    *request* is everything that the outcome depends on, as JSON can write it.  While another
    process is carrying the same request out, this one waits.  Raises `IdempotencyConflict`
    when the key belongs to another request, `StorageError` when the first certificate's
    private key is not held though it *needs_key*, `ValidationCertError` when it was revoked
    before it was signed.
    """
    [outcome] = once_for_all(
        services,
        idempotency_key,
        [request],
        lambda keys: [carry_out(keys[0])],
        needs_key=needs_key,
    )
    return outcome


def once_for_all(
    services: Services,
    idempotency_key: str | None,
    requests: Sequence[tuple[object, ...]],
    carry_out: Callable[[Sequence[RetryKey | None]], list[Outcome]],
    *,
    needs_key: bool = True,
) -> list[Outcome]:
    """Do as `once` does for requests that are carried out all or none."""
    if idempotency_key is None:
        return carry_out([None] * len(requests))
    if not 1 <= len(idempotency_key) <= 255:
        raise InvalidRequest("An idempotency key has 1-255 characters.")
    canonical = json.dumps(requests, sort_keys=True, default=str)
    request_hash = hashlib.sha256(canonical.encode()).hexdigest()
    keys = [
        RetryKey(f"{idempotency_key}:{place}" if place else idempotency_key, request_hash)
        for place in range(len(requests))
    ]
    while True:
        # All rows are written in one transaction: the first stands for them.
        if _is_carried_out(services, keys[0]):
            return [_outcome_of(services, key, needs_key=needs_key) for key in keys]
        try:
            return carry_out(keys)
        except IdempotencyKeyTaken:
            continue


def _is_carried_out(services: Services, retry_key: RetryKey) -> bool:
    """Wait for whoever is at it, and take over from whoever is dead."""
    while (record := _record_of(services, retry_key)) is not None:
        if record.status is not CertificateStatus.PENDING:
            return True
        if services.clock.now() - record.created_at >= _TAKE_OVER_AFTER:
            services.registry.abandon(record.issuer_id, record.serial_number)
        else:
            services.clock.sleep(_POLL_SECONDS)
    return False


def _record_of(services: Services, retry_key: RetryKey) -> CertificateRecord | None:
    record = services.registry.get_by_idempotency_key(retry_key.key)
    if record is not None and record.request_hash != retry_key.request_hash:
        raise IdempotencyConflict(retry_key.key)
    return record


def _outcome_of(services: Services, retry_key: RetryKey, *, needs_key: bool) -> Outcome:
    record = _record_of(services, retry_key)
    if record is None or record.certificate_pem is None or record.location is None:
        raise ValidationCertError(
            f"The certificate of {retry_key.key!r} was revoked before it was signed: "
            "ask for a new one under a new idempotency key."
        )
    if any(one.serial_number == record.serial_number for one in services.storage.leftovers()):
        # The process that issued it died before it published.
        services.storage.publish(record.location)
    artefacts = services.storage.load(record.location)
    if artefacts.certificate != x509.load_pem_x509_certificate(record.certificate_pem.encode()):
        raise StorageError(f"The files of {record.serial_number} were replaced by later ones.")
    if needs_key and artefacts.private_key is None:
        raise StorageError(
            f"The storage does not hold the private key of {record.serial_number} any more."
        )
    return Outcome(artefacts, artefacts.paths)
