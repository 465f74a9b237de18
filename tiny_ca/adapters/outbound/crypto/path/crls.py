"""Revocation by CRLs (RFC 5280 §6.3.3): complete ones, that the certificate's issuer signed."""

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from tiny_ca.adapters.outbound.crypto.path.budget import Budget, OutOfBudget
from tiny_ca.adapters.outbound.crypto.path.links import Link
from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.lifetime import Validity

__all__ = ["CRLs"]

_NO_REV_AVAIL = x509.ObjectIdentifier("2.5.29.56")
_PROCESSED = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    }
)


class CRLs:
    """What a caller has of CRLs, of any issuers."""

    def __init__(
        self, crls: Iterable[x509.CertificateRevocationList], at: datetime, budget: Budget
    ) -> None:
        self._at = at
        self._budget = budget
        self._by_issuer: dict[bytes, list[x509.CertificateRevocationList]] = {}
        for crl in crls:
            try:
                self._by_issuer.setdefault(crl.issuer.public_bytes(), []).append(crl)
            except UNREADABLE as error:
                raise ValidationCertError(f"A CRL can't be read: {error}") from error

    def check(self, link: Link, issuer: Link) -> None:
        """Check that a CRL of *issuer* that is current covers *link*, and does not list it.

        One that is not current, or can't be used, is none.  Without any, a certificate with
        noRevAvail passes (RFC 9608 §4).  Raises `ValidationCertError`.
        """
        newest: dict[bytes, tuple[int, x509.CertificateRevocationList]] = {}
        problems = []
        for crl in self._by_issuer.get(link.issuer, ()):
            try:
                number, scope = self._use(crl, link, issuer)
            except OutOfBudget:
                # The CRL that is not read might be the one that lists it.
                raise
            except ValidationCertError as error:
                problems.append(error.message)
                continue
            if scope not in newest or newest[scope][0] < number:
                newest[scope] = number, crl
        for _, crl in newest.values():
            entry = crl.get_revoked_certificate_by_serial_number(link.certificate.serial_number)
            if entry is not None:
                raise ValidationCertError(
                    f"The certificate {link.name} is revoked, since "
                    f"{entry.revocation_date_utc.isoformat()}."
                )
        if not newest and (link.is_ca or _NO_REV_AVAIL not in link.extensions):
            reason = f": {' '.join(problems)}" if problems else ""
            raise ValidationCertError(
                f"No current CRL says whether {link.name} is revoked{reason or '.'}"
            )

    def _use(
        self, crl: x509.CertificateRevocationList, link: Link, issuer: Link
    ) -> tuple[int, bytes]:
        """Give number and scope of a CRL.  Raises `ValidationCertError` if it is of no use."""
        try:
            extensions = {one.oid: one for one in crl.extensions}
            is_strong = _is_strong(crl)
        except UNREADABLE as error:
            raise ValidationCertError(f"A CRL can't be read: {error}") from error
        # §5.2: a delta CRL, which is one by a critical extension, says nothing by itself.
        for oid, extension in extensions.items():
            if extension.critical and oid not in _PROCESSED:
                raise ValidationCertError(
                    f"A CRL has the critical extension {oid.dotted_string}, not known here."
                )
        number = extensions.get(ExtensionOID.CRL_NUMBER)
        if number is None or number.critical:
            raise ValidationCertError("A CRL has no number, or a critical one (§5.2.3).")
        self._check_current(crl)
        point = extensions.get(ExtensionOID.ISSUING_DISTRIBUTION_POINT)
        if point is not None:
            _check_scope(point.value, link)
        if not is_strong:
            raise ValidationCertError("A CRL is signed with a broken hash.")
        self._check_signature(crl, issuer)
        scope = b"" if point is None else point.value.public_bytes()
        return number.value.crl_number, scope

    def _check_current(self, crl: x509.CertificateRevocationList) -> None:
        # §5.1.2.5: a CRL says when the next one comes, and counts until then.
        this_update, next_update = crl.last_update_utc, crl.next_update_utc
        if next_update is None or not Validity(this_update, next_update).contains(self._at):
            until = "ever" if next_update is None else next_update.isoformat()
            raise ValidationCertError(
                f"A CRL counts from {this_update.isoformat()} to {until}, not at "
                f"{self._at.isoformat()}."
            )

    def _check_signature(self, crl: x509.CertificateRevocationList, issuer: Link) -> None:
        usage = issuer.get(x509.KeyUsage)
        if usage is not None and not usage.crl_sign:
            # §6.3.3 (f)
            raise ValidationCertError(f"The key of {issuer.name} may not sign CRLs.")
        self._budget.spend("signatures")
        try:
            is_valid = crl.is_signature_valid(issuer.public_key)  # type: ignore[arg-type]
        except UNREADABLE:
            is_valid = False
        if not is_valid:
            raise ValidationCertError(f"The key of {issuer.name} did not sign a CRL of its name.")


def _is_strong(crl: x509.CertificateRevocationList) -> bool:
    algorithm = crl.signature_hash_algorithm
    return algorithm is None or algorithm.digest_size >= 28


def _check_scope(point: x509.IssuingDistributionPoint, link: Link) -> None:
    """Check that a CRL that is not of everything covers *link* (§6.3.3 (b))."""
    is_partial = (
        point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs
    )
    if is_partial or (link.is_ca and point.only_contains_user_certs):
        raise ValidationCertError(f"A CRL is not of all certificates like {link.name}.")
    if point.only_contains_ca_certs and not link.is_ca:
        raise ValidationCertError("A CRL is of CA certificates alone.")
    if point.relative_name is not None:
        raise ValidationCertError("A CRL names its distribution point by a relative name.")
    if point.full_name is not None and not set(point.full_name) & _points_of(link):
        raise ValidationCertError(f"A CRL is of another distribution point than {link.name}.")


def _points_of(link: Link) -> set[x509.GeneralName]:
    """Give the distribution points whose CRLs cover *link* for all reasons."""
    return {
        name
        for point in link.get(x509.CRLDistributionPoints) or ()
        if point.crl_issuer is None and point.reasons is None
        for name in point.full_name or ()
    }
