"""Replace a certificate by one with a new key."""

from dataclasses import replace

from tiny_ca.application.find import check_is_issuer, get
from tiny_ca.application.issuance import Outcome, location_of, run_issuance
from tiny_ca.application.issue import order_leaf
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.records import CertificateStatus, RetryKey
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.issuer import Issuer

__all__ = ["rotate"]


def rotate(
    services: Services,
    issuer: Issuer,
    serial_number: int,
    config: ClientConfig,
    *,
    retry_key: RetryKey | None = None,
) -> Outcome:
    """Issue the successor of a valid certificate; the old one is superseded as it is recorded.

    The files go beside the old one's, which stay.  An expired certificate is replaced too.
    Raises `CertNotFound`, `AnotherIssuer`, or `ValidationCertError` for one that is revoked, a
    CA's, or was never handed out; if anything fails, the old certificate is as it was.
    """
    old = get(services, serial_number, issuer)
    status = old.status_at(services.clock.now())
    if status not in (CertificateStatus.VALID, CertificateStatus.EXPIRED):
        raise ValidationCertError(
            f"The certificate {serial_number} is {status} and can't be rotated: issue a new one."
        )
    if old.cert_type is CertType.CA:
        raise ValidationCertError("A CA's certificate is not rotated: roll the CA over.")
    check_is_issuer(old, issuer.certificate)
    location = location_of(services, old, config.file_name)
    folder = old.cert_path if location is None else location.folder
    # An expired certificate needs no revocation, and its name is free for the next one.
    order = replace(
        order_leaf(services, issuer, config, folder),
        predecessor=serial_number if status is CertificateStatus.VALID else None,
        predecessor_issuer_id=old.issuer_id,
        retry_key=retry_key,
    )
    [outcome] = run_issuance(services, [order])
    return outcome
