"""What a certificate will say, decided before a key is made or anything is written."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from tiny_ca.domain.crl import Shard
from tiny_ca.domain.errors import InvalidRangeTimeCertificate, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import Validity, plan_validity
from tiny_ca.domain.names import (
    CertificateInfo,
    GeneralName,
    SubjectName,
    general_name_of_host,
    unique,
)
from tiny_ca.domain.serial import CertType, encode_serial_number

__all__ = [
    "CertificatePlan",
    "ExtendedKeyUsage",
    "KeyUsage",
    "LeafRequest",
    "PublicationURLs",
    "RootRequest",
    "plan_leaf",
    "plan_root",
]

_SHARD = "{shard}"


class KeyUsage(Enum):
    """The bits of the key usage extension that are issued (RFC 5280 §4.2.1.3)."""

    DIGITAL_SIGNATURE = "digital_signature"
    KEY_ENCIPHERMENT = "key_encipherment"
    KEY_CERT_SIGN = "key_cert_sign"
    CRL_SIGN = "crl_sign"


class ExtendedKeyUsage(Enum):
    """Key purposes, by object identifier (RFC 5280 §4.2.1.12)."""

    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


@dataclass(frozen=True, slots=True)
class PublicationURLs:
    """Where relying parties find this issuer's CRL, OCSP responder and certificate.

    RFC 5280 §4.2.1.13 (CRL distribution points), §4.2.1.15 (delta CRLs) and §4.2.2.1
    (authority information access).  With *crl_shards*, 2..1024, the URLs in *crl* and *delta*
    have a `{shard}` in them, which becomes `3-of-8` or the like by the serial number; the
    complete CRL is published beside, for certificates from before.  Raises `InvalidRequest`
    for URLs with `{shard}` that have no shards, or the other way round.
    """

    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    delta: tuple[str, ...] = ()
    crl_shards: int = 1

    def __post_init__(self) -> None:
        is_sharded = self.crl_shards != 1
        if is_sharded:
            Shard(0, self.crl_shards)
        wrong = [url for url in (*self.crl, *self.delta) if (_SHARD in url) is not is_sharded]
        if wrong or (is_sharded and not self.crl):
            raise InvalidRequest(
                f"With crl_shards={self.crl_shards}, the URLs of CRLs have "
                f"{'a' if is_sharded else 'no'} {_SHARD} in them: {', '.join(wrong) or 'none'}."
            )

    def of_shard(self, shard: Shard | None) -> "PublicationURLs":
        """Give the URLs with the shard in its place; without one, of the complete CRL."""
        if self.crl_shards == 1:
            return self if shard is None else replace(self, crl=(), delta=())
        if shard is None:
            return replace(self, crl=(), delta=(), crl_shards=1)
        crl, delta = (
            tuple(url.replace(_SHARD, str(shard)) for url in urls)
            for urls in (self.crl, self.delta)
        )
        return replace(self, crl=crl, delta=delta, crl_shards=1)

    def of(self, serial_number: int) -> "PublicationURLs":
        """Give the URLs that a certificate is to have."""
        if self.crl_shards == 1:
            return self
        return self.of_shard(Shard.of(serial_number, self.crl_shards))


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """Everything that will be signed, but for the public key and its issuer's name."""

    subject: SubjectName
    serial_number: int
    cert_type: CertType
    key: KeySpec
    validity: Validity
    key_usage: frozenset[KeyUsage]
    extended_key_usage: tuple[ExtendedKeyUsage, ...] = ()
    subject_alternative_names: tuple[GeneralName, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    urls: PublicationURLs = PublicationURLs()
    is_shortened: bool = False

    def with_random_bits(self, random_bits: int) -> "CertificatePlan":
        """The same plan under a fresh serial number, after a collision."""
        name = self.subject.common_name.lower()
        return replace(self, serial_number=encode_serial_number(name, self.cert_type, random_bits))


@dataclass(frozen=True, slots=True)
class RootRequest:
    """A self-signed CA certificate that somebody asks for."""

    subject: SubjectName
    key: KeySpec = KeySpec()
    days_valid: int = 3650
    valid_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeafRequest:
    """An end-entity certificate that somebody asks for; names are in A-label form."""

    common_name: str
    cert_type: CertType = CertType.SERVICE
    key: KeySpec = KeySpec()
    days_valid: int = 365
    valid_from: datetime | None = None
    email: str | None = None
    is_server: bool = False
    is_client: bool = False
    names: tuple[GeneralName, ...] = ()
    host_name: str | None = None
    """The common name as a host's name, A-labels for an IDN; `None`: as it stands."""
    is_strict: bool = False
    """Refuse, rather than cut, a period that ends after the issuer's."""


def plan_root(request: RootRequest, now: datetime, random_bits: int) -> CertificatePlan:
    """Plan a self-signed CA certificate.  Raises as `plan_validity` does."""
    return CertificatePlan(
        subject=request.subject,
        serial_number=encode_serial_number(
            request.subject.common_name.lower(), CertType.CA, random_bits
        ),
        cert_type=CertType.CA,
        key=request.key,
        validity=plan_validity(request.valid_from, request.days_valid, now),
        key_usage=frozenset({KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}),
        is_ca=True,
    )


def plan_leaf(
    request: LeafRequest,
    *,
    issuer: CertificateInfo,
    issuer_validity: Validity,
    now: datetime,
    random_bits: int,
    urls: PublicationURLs = PublicationURLs(),
) -> CertificatePlan:
    """Plan an end-entity certificate under an issuer.

    Raises `InvalidName`, or `InvalidRangeTimeCertificate` for a period that `plan_validity`
    refuses, that starts after its issuer's end, or that *is_strict* keeps from being cut.
    """
    asked = plan_validity(request.valid_from, request.days_valid, now)
    validity = asked.within(issuer_validity)
    is_shortened = validity != asked
    if validity.not_after <= max(validity.not_before, now) or (is_shortened and request.is_strict):
        raise InvalidRangeTimeCertificate(asked.not_before, validity.not_after, now)
    key_usage = {KeyUsage.DIGITAL_SIGNATURE}
    if request.key.algorithm is KeyAlgorithm.RSA:
        # RFC 8410 §5, RFC 8813 §3 and RFC 9881 §5: only RSA keys encipher keys.
        key_usage.add(KeyUsage.KEY_ENCIPHERMENT)
    purposes = {
        ExtendedKeyUsage.SERVER_AUTH: request.is_server,
        ExtendedKeyUsage.CLIENT_AUTH: request.is_client,
    }
    return CertificatePlan(
        subject=SubjectName(
            common_name=request.common_name,
            organization=issuer.organization,
            country=issuer.country,
            email=request.email,
        ),
        serial_number=encode_serial_number(
            request.common_name.lower(), request.cert_type, random_bits
        ),
        cert_type=request.cert_type,
        key=request.key,
        validity=validity,
        key_usage=frozenset(key_usage),
        extended_key_usage=tuple(purpose for purpose, asked_for in purposes.items() if asked_for),
        subject_alternative_names=_alternative_names(request),
        urls=urls,
        is_shortened=is_shortened,
    )


def _alternative_names(request: LeafRequest) -> tuple[GeneralName, ...]:
    names = list(request.names)
    if request.is_server:
        # RFC 9525 §6.3: clients read the subject alternative names, never the common name.
        host = general_name_of_host(request.host_name or request.common_name)
        names[:0] = [host] if host else []
    if request.email is not None:
        # RFC 5280 §4.1.2.6: an address in the subject belongs into the SAN as well.
        names.append(GeneralName.email(request.email))
    return unique(names)
