"""What CRLs that are newer than a backup know, and it does not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from tiny_ca.domain.errors import BackupError
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.ports.issuer import own_issuer_id

__all__ = ["Authority", "NewerCRL", "newer_crls"]

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA of the backup, and the number of the CRL that its registry has published last."""

    certificate: x509.Certificate
    published_crl_number: int


@dataclass(frozen=True, slots=True)
class NewerCRL:
    """A CRL that counts more than the backup."""

    issuer_id: str
    crl: x509.CertificateRevocationList
    number: int
    is_complete: bool
    """Neither a delta CRL nor one for a part of the certificates (RFC 5280 §5.2.4, §5.2.5)."""
    not_after: datetime
    """The end of its issuer: no certificate is valid longer."""

    @property
    def stamp(self) -> CRLStamp:
        """Which CRL of its issuer it is."""
        next_update = self.crl.next_update_utc or self.crl.last_update_utc
        return CRLStamp(self.number, self.crl.last_update_utc, next_update)

    def entries(self) -> Iterable[CRLEntry]:
        """Give what it shows as revoked."""
        for revoked in self.crl:
            reason = _reason_of(revoked)
            # RFC 5280 §5.3.1: in a delta CRL it says that a hold was released.
            if reason is not CRLReason.REMOVE_FROM_CRL:
                yield CRLEntry(revoked.serial_number, revoked.revocation_date_utc, reason)


def _reason_of(revoked: x509.RevokedCertificate) -> CRLReason:
    try:
        reason = revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return CRLReason.UNSPECIFIED
    return CRLReason(reason.value)


def newer_crls(
    crls: Iterable[x509.CertificateRevocationList], authorities: Mapping[str, Authority]
) -> dict[str, list[NewerCRL]]:
    """Give what is newer than the backup by issuer: the last complete CRL and what follows it.

    Raises `BackupError` for a CRL that no CA of the backup has signed.
    """
    found: dict[str, dict[int, NewerCRL]] = {}
    for crl in crls:
        authority = _signer_of(crl, authorities)
        issuer_id = own_issuer_id(authority.certificate)
        number = _extension(crl, x509.CRLNumber)
        newer = NewerCRL(
            issuer_id,
            crl,
            0 if number is None else number.crl_number,
            _extension(crl, x509.DeltaCRLIndicator) is None
            and _extension(crl, x509.IssuingDistributionPoint) is None,
            authority.certificate.not_valid_after_utc,
        )
        if newer.number > authority.published_crl_number:
            found.setdefault(issuer_id, {})[newer.number] = newer
    return {issuer_id: _from_the_last_complete(by_number) for issuer_id, by_number in found.items()}


def _from_the_last_complete(by_number: Mapping[int, NewerCRL]) -> list[NewerCRL]:
    """A complete CRL stands for all before it: what it leaves out has expired or was released."""
    ordered = [by_number[number] for number in sorted(by_number)]
    complete = [place for place, one in enumerate(ordered) if one.is_complete]
    return ordered[complete[-1] if complete else 0 :]


def _signer_of(
    crl: x509.CertificateRevocationList, authorities: Mapping[str, Authority]
) -> Authority:
    for authority in authorities.values():
        key = authority.certificate.public_key()
        if crl.issuer == authority.certificate.subject and _is_signed_by(crl, key):
            return authority
    raise BackupError(
        f"No CA of the backup has signed the CRL of {crl.issuer.rfc4514_string()!r} from "
        f"{crl.last_update_utc.isoformat()}: restore beside another CRL, or check the backup."
    )


def _is_signed_by(crl: x509.CertificateRevocationList, key: object) -> bool:
    try:
        return crl.is_signature_valid(key)  # type: ignore[arg-type]  # a CA's key
    except TypeError:
        # Of another kind than the signature.
        return False


def _extension(crl: x509.CertificateRevocationList, kind: type[E]) -> E | None:
    try:
        return crl.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
