"""What a certificate will say, decided before a key is made or anything is written."""

import re
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from tiny_ca.domain.crl import Shard
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.name_constraints import NameSubtree
from tiny_ca.domain.names import DirectoryBase, GeneralName, SubjectName
from tiny_ca.domain.serial import CertType, encode_serial_number

__all__ = [
    "CertificatePlan",
    "ExtendedKeyUsage",
    "KeyUsage",
    "PlannedConstraints",
    "PublicationURLs",
]

_SHARD = "{shard}"


# RFC 3986 §3.1; what comes after the scheme is for those who fetch it.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+\Z")


class KeyUsage(Enum):
    """The bits of the key usage extension that are issued (RFC 5280 §4.2.1.3)."""

    DIGITAL_SIGNATURE = "digital_signature"
    CONTENT_COMMITMENT = "content_commitment"
    KEY_ENCIPHERMENT = "key_encipherment"
    KEY_CERT_SIGN = "key_cert_sign"
    CRL_SIGN = "crl_sign"


class ExtendedKeyUsage(StrEnum):
    """Key purposes, by object identifier (RFC 5280 §4.2.1.12)."""

    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
    CODE_SIGNING = "1.3.6.1.5.5.7.3.3"
    EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"
    TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
    OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"


@dataclass(frozen=True, slots=True)
class PublicationURLs:
    """Where relying parties find this issuer's CRL, OCSP responder and certificate.

    RFC 5280 §4.2.1.13 (CRL distribution points), §4.2.1.15 (delta CRLs) and §4.2.2.1
    (authority information access).  With *crl_shards*, 2..1024, the URLs in *crl* and *delta*
    have a `{shard}` in them, which becomes `3-of-8` or the like by the serial number; the
    complete CRL is published beside, for certificates from before.  Raises `InvalidRequest`
    for what is no absolute URI in ASCII (§4.2.1.6), and for URLs with `{shard}` that have no
    shards, or the other way round.
    """

    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    delta: tuple[str, ...] = ()
    crl_shards: int = 1

    def __post_init__(self) -> None:
        for url in (*self.crl, *self.ocsp, *self.issuer, *self.delta):
            if not _URL.match(url):
                raise InvalidRequest(f"{url!r} is no URL in ASCII, such as http://pki.test/ca.crl.")
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

    def of_issuer(self, issuer_id: str) -> "PublicationURLs":
        """Give the URLs of one issuer: `{issuer_id}` in them becomes its id."""
        if self == _NOWHERE:
            return self
        crl, ocsp, issuer, delta = (
            tuple(url.replace("{issuer_id}", issuer_id) for url in urls)
            for urls in (self.crl, self.ocsp, self.issuer, self.delta)
        )
        return replace(self, crl=crl, ocsp=ocsp, issuer=issuer, delta=delta)


_NOWHERE = PublicationURLs()


@dataclass(frozen=True, slots=True)
class PlannedConstraints:
    """The name constraints that a CA certificate will have (RFC 5280 §4.2.1.10).

    Subtrees of DNS names, addresses, mailboxes and URIs, and the beginnings of subjects.
    """

    permitted: tuple[NameSubtree | DirectoryBase, ...] = ()
    excluded: tuple[NameSubtree | DirectoryBase, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """Everything that will be signed, but for the public key and its issuer's name."""

    subject: SubjectName
    serial_number: int
    cert_type: CertType
    key: KeySpec
    validity: Validity
    key_usage: frozenset[KeyUsage]
    extended_key_usage: tuple[str, ...] = ()
    is_extended_key_usage_critical: bool = False
    subject_alternative_names: tuple[GeneralName, ...] = ()
    policies: tuple[str, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    name_constraints: PlannedConstraints | None = None
    urls: PublicationURLs = PublicationURLs()
    no_rev_avail: bool = False
    ocsp_no_check: bool = False
    profile: str | None = None
    claims_name: bool = True
    is_shortened: bool = False

    def with_random_bits(self, random_bits: int) -> "CertificatePlan":
        """The same plan under a fresh serial number, after a collision."""
        name = self.subject.common_name.lower()
        return replace(self, serial_number=encode_serial_number(name, self.cert_type, random_bits))
