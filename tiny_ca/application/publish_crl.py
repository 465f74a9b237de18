"""Sign a CRL and put it in place of the last one."""

from datetime import timedelta

from cryptography import x509

from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidRangeTimeCertificate, RegistryError, TinyCAError
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.records import CRLStamp
from tiny_ca.ports.issuer import Issuer

__all__ = ["CRL_FILE_NAME", "publish_crl"]

CRL_FILE_NAME = "crl"


def publish_crl(
    services: Services, issuer: Issuer, days_valid: int = 1
) -> x509.CertificateRevocationList:
    """Sign a complete CRL of *issuer*'s certificates, 1 or more days valid, and publish it.

    The number is drawn first and never used again, so that numbers rise even over failures.
    Raises `RegistryError` when a CRL with a higher number was published meanwhile.
    """
    this_update = utc_seconds(services.clock.now())
    try:
        next_update = this_update + timedelta(days=days_valid)
    except OverflowError:
        next_update = this_update
    if next_update <= this_update:
        raise InvalidRangeTimeCertificate(this_update, next_update, this_update)
    number = services.registry.next_crl_number(issuer.issuer_id)
    stamp = CRLStamp(number, this_update, next_update)
    entries = list(services.registry.revoked(issuer.issuer_id))
    crl = issuer.sign_crl(stamp, entries)
    staged = services.storage.stage_crl(crl, CRL_FILE_NAME)
    try:
        is_published = services.registry.publish_crl(issuer.issuer_id, stamp, staged.swap)
    except BaseException as error:
        try:
            staged.discard()
        except TinyCAError as second:
            error.add_note(f"Left for recover(): {second}")
        raise
    if not is_published:
        staged.discard()
        raise RegistryError(
            f"A CRL with a higher number than {number} was published meanwhile; it stays."
        )
    return crl
