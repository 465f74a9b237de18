"""`CertificateFactory`: a CA that signs with a private key in memory."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from io import BytesIO
from logging import Logger, getLogger
from typing import Any, BinaryIO, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from tiny_ca.adapters.outbound.crypto.crl import sign_crl, verify_crl
from tiny_ca.adapters.outbound.crypto.keys import generate_private_key
from tiny_ca.adapters.outbound.crypto.loaders import ICALoader, check_ca
from tiny_ca.adapters.outbound.crypto.ocsp import KeySigner
from tiny_ca.adapters.outbound.crypto.signing import Signer, sign_certificate, sign_request
from tiny_ca.domain.crl import CRLPlan, encode_crl_entry
from tiny_ca.domain.crl_reader import CRLReader
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName, KeySpec
from tiny_ca.domain.lifetime import Validity, utc_seconds
from tiny_ca.domain.names import CertificateInfo, GeneralName, SubjectName
from tiny_ca.domain.plan import CertificatePlan
from tiny_ca.domain.planning import plan_issuance, plan_root
from tiny_ca.domain.profiles import flag_profile
from tiny_ca.domain.records import CRLEntry, CRLStamp
from tiny_ca.domain.requests import Authority, IssuanceRequest, RootRequest
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import RANDOM_BITS, CertType
from tiny_ca.ports.constraints import name_constraints_of, path_length_of
from tiny_ca.ports.issuer import own_issuer_id

__all__ = ["CertificateFactory"]

IssuedByFactory = tuple[
    x509.Certificate, CertificateIssuerPrivateKeyTypes, x509.CertificateSigningRequest
]


class _RevokedRow(Protocol):
    @property
    def serial_number(self) -> Any: ...

    @property
    def revocation_date(self) -> datetime | None: ...


class CertificateFactory:
    """One CA: signs certificates and CRLs, and checks what it signed; keeps no record.

    Implements `ports.issuer.Issuer`.  Raises `TypeError` if *ca_loader* is no `ICALoader`,
    and `ErrorLoadCert` if it holds no CA's certificate or another one's key.
    """

    def __init__(self, ca_loader: ICALoader, logger: Logger | None = None) -> None:
        if not isinstance(ca_loader, ICALoader):
            raise TypeError(f"ca_loader must be an ICALoader, got {type(ca_loader).__name__}.")
        check_ca(ca_loader.ca_cert, ca_loader.ca_key)
        self._certificate = ca_loader.ca_cert
        self._key = ca_loader.ca_key
        self._info = ca_loader.base_info
        self._issuer_id = own_issuer_id(self._certificate)
        self._signer = Signer.of(self._key, self._certificate)
        # Clients come again, and a signature that was good stays good.
        self._check_signature = lru_cache(maxsize=1024)(
            partial(_check_signature, self._certificate)
        )
        self._logger = logger or getLogger("tiny_ca")

    @property
    def certificate(self) -> x509.Certificate:
        """The CA's certificate."""
        return self._certificate

    @property
    def issuer_id(self) -> str:
        """The registry's name for this CA: 32 hex digits."""
        return self._issuer_id

    @property
    def info(self) -> CertificateInfo:
        """What subjects inherit from the CA's own subject."""
        return self._info

    @property
    def validity(self) -> Validity:
        """The CA certificate's validity period."""
        ca = self._certificate
        return Validity(ca.not_valid_before_utc, ca.not_valid_after_utc)

    def sign_certificate(
        self, plan: CertificatePlan, public_key: Any, subject: x509.Name | None = None
    ) -> x509.Certificate:
        """Sign what is planned, and check the result.  Raises `SigningError`."""
        return sign_certificate(self._signer, plan, public_key, subject)

    def sign_crl(self, plan: CRLPlan, entries: Iterable[bytes], file: BinaryIO) -> None:
        """Write a signed CRL into an empty *file*.  Raises `SigningError`."""
        sign_crl(self._certificate, self._key, plan, entries, file)

    def verify_crl(self, data: bytes | memoryview) -> CRLReader:
        """Check that this CA signed the CRL *data*, DER.  Raises `ValidationCertError`."""
        return verify_crl(self._certificate, data)

    def ocsp_signer(self) -> KeySigner:
        """Give the signer of OCSP responses by the CA's own key.  Raises `SigningError`."""
        return KeySigner(self._certificate, self._key, is_included=False)

    def verify(self, certificate: x509.Certificate) -> None:
        """Check that this CA signed *certificate*.  Raises `ValidationCertError`."""
        self._check_signature(certificate)

    def validate_cert(self, cert: x509.Certificate) -> None:
        """Check signature and validity period, now.  Raises `ValidationCertError`.

        Revocation is not looked at: `CertLifecycleManager.verify_certificate` does.
        """
        self.verify(cert)
        if not Validity(cert.not_valid_before_utc, cert.not_valid_after_utc).contains(_now()):
            raise ValidationCertError(
                f"The certificate is valid from {cert.not_valid_before_utc.isoformat()} "
                f"to {cert.not_valid_after_utc.isoformat()} only."
            )

    @staticmethod
    def build_self_signed_ca(
        common_name: str = "Internal CA",
        organization: str | None = "My Company",
        country: str | None = "UA",
        key_size: int = 2048,
        days_valid: int = 3650,
        valid_from: datetime | None = None,
        logger: Logger | None = None,
        *,
        key_algorithm: KeyAlgorithm | KeyAlgorithmName = KeyAlgorithm.RSA,
    ) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
        """Make a root and its key, in memory: nothing records them.

        Raises `InvalidRequest` or `InvalidRangeTimeCertificate` before a key is made.
        """
        subject = SubjectName(common_name, organization=organization, country=country)
        request = RootRequest(
            subject, KeySpec(KeyAlgorithm(key_algorithm), key_size), days_valid, valid_from
        )
        plan = plan_root(request, _now(), secrets.randbits(RANDOM_BITS))
        key = generate_private_key(plan.key)
        (logger or getLogger("tiny_ca")).info(
            "Made the root %r",
            common_name,
            extra={"event": "root_made", "serial_number": f"{plan.serial_number:x}"},
        )
        return sign_certificate(Signer.of(key), plan, key.public_key()), key

    def issue_certificate(
        self,
        common_name: str,
        serial_type: CertType = CertType.SERVICE,
        key_size: int = 2048,
        days_valid: int = 365,
        valid_from: datetime | None = None,
        email: str | None = None,
        is_server_cert: bool = False,
        is_client_cert: bool = False,
        san_dns: Iterable[str] | None = None,
        san_ip: Iterable[object] | None = None,
        *,
        key_algorithm: KeyAlgorithm | KeyAlgorithmName = KeyAlgorithm.RSA,
        strict_validity: bool = False,
    ) -> IssuedByFactory:
        """Make a key and a certificate for it, in memory: nothing records it.

        A certificate that no registry knows can't be revoked; `CertLifecycleManager` records
        first.  DNS names are in ASCII here.  Raises `InvalidRequest` or
        `InvalidRangeTimeCertificate` before a key is made.
        """
        request = IssuanceRequest(
            common_name=common_name,
            profile=flag_profile(is_server=is_server_cert, is_client=is_client_cert),
            cert_type=serial_type,
            key=KeySpec(KeyAlgorithm(key_algorithm), key_size),
            lifetime=days_valid,
            valid_from=valid_from,
            email=email,
            names=(
                *(GeneralName.dns(name) for name in san_dns or ()),
                *(GeneralName.ip(str(address)) for address in san_ip or ()),
            ),
            is_strict=strict_validity,
        )
        constraints = name_constraints_of(self._certificate)
        plan = plan_issuance(
            request,
            authority=Authority(
                self._info,
                self.validity,
                path_length_of(self._certificate),
                () if constraints is None else (constraints,),
            ),
            now=_now(),
            random_bits=secrets.randbits(RANDOM_BITS),
        )
        key = generate_private_key(plan.key)
        csr = sign_request(plan.subject, key)
        self._logger.info(
            "Signed %#x for %r, unrecorded",
            plan.serial_number,
            common_name,
            extra={"event": "signed_unrecorded", "serial_number": f"{plan.serial_number:x}"},
        )
        return self.sign_certificate(plan, key.public_key()), key, csr

    def build_crl(
        self, revoked_certs: Iterable[_RevokedRow], days_valid: int = 1, *, crl_number: int = 1
    ) -> x509.CertificateRevocationList:
        """Sign a CRL of the given rows, 1 or more days valid: nothing records its number.

        `CertLifecycleManager.generate_crl` numbers CRLs and keeps to this CA's certificates.
        """
        this_update = utc_seconds(_now())
        entries = (
            CRLEntry(
                int(row.serial_number),
                utc_seconds(row.revocation_date),
                CRLReason(getattr(row, "revocation_reason", None) or CRLReason.UNSPECIFIED),
            )
            for row in revoked_certs
            if row.revocation_date is not None
        )
        stamp = CRLStamp(crl_number, this_update, this_update + timedelta(days=days_valid))
        file = BytesIO()
        self.sign_crl(CRLPlan(stamp), map(encode_crl_entry, entries), file)
        self.verify_crl(file.getvalue())
        return x509.load_der_x509_crl(file.getvalue())


def _check_signature(ca: x509.Certificate, certificate: x509.Certificate) -> None:
    try:
        if certificate.issuer != ca.subject:
            raise ValidationCertError("The certificate's issuer is not this CA.")
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, TypeError, ValueError) as error:
        raise ValidationCertError(f"This CA's key did not sign the certificate: {error}") from error


def _now() -> datetime:
    return datetime.now(UTC)
