"""Profiles: what kinds of certificates there are, and what each may say."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any

from tiny_ca.domain.errors import InvalidName, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import GeneralNameKind, SubjectName
from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.serial import CertType

__all__ = [
    "SUBJECT_FIELDS",
    "Profile",
    "UnplannedRequests",
    "flag_profile",
]

SUBJECT_FIELDS = frozenset(
    {
        "common_name",
        "organization",
        "organizational_unit",
        "country",
        "state",
        "locality",
        "email",
    }
)
"""The attributes of a subject, as `SubjectName` calls them."""


_ANY_NAME = NameRules()
# X.660 §7.6: 0, 1 or 2, and below the first two at most 39.
_OID = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*\Z")


class UnplannedRequests(StrEnum):
    """What becomes of extensions and attributes that a CSR asks for beyond the profile."""

    IGNORE = "ignore"
    REFUSE = "refuse"


_KINDS: Mapping[str, Callable[[Any], object]] = {
    "cert_type": CertType,
    "key_algorithms": lambda values: tuple(KeyAlgorithm(each) for each in values),
    "key_usage": lambda values: frozenset(KeyUsage(each) for each in values),
    "extended_key_usage": tuple,
    "policies": tuple,
    "required_subject": frozenset,
    "subject_from_csr": frozenset,
    "unplanned_requests": UnplannedRequests,
    "san_kinds": lambda values: frozenset(GeneralNameKind(each) for each in values),
}

_CLASSES: Mapping[str, type] = {
    "name": str,
    "default_validity": timedelta,
    "max_validity": timedelta,
    "backdate": timedelta,
    "names": NameRules,
    "urls": PublicationURLs,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of certificate, by name: everything about it that its requester does not choose.

    Durations are whole seconds, more than zero; *max_validity* counts both ends of the period
    (RFC 5280 §4.1.2.5), *backdate* is how far notBefore lies before now.  *key_usage* is cut
    to what the key can do (RFC 8813, 8410, 9881).  Raises `InvalidRequest` for a profile that
    contradicts itself.
    """

    name: str
    """Empty for a request that names none."""
    cert_type: CertType = CertType.SERVICE
    key_algorithms: tuple[KeyAlgorithm, ...] = tuple(KeyAlgorithm)
    """Allowed ones; the first is made when a request does not say."""
    min_rsa_bits: int = 2048
    default_validity: timedelta = timedelta(days=365)
    max_validity: timedelta | None = None
    backdate: timedelta = timedelta(0)
    key_usage: frozenset[KeyUsage] = frozenset(
        {KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT}
    )
    extended_key_usage: tuple[str, ...] = ()
    """Object identifiers; `ExtendedKeyUsage` has names for the usual ones."""
    is_extended_key_usage_critical: bool = False
    policies: tuple[str, ...] = ()
    """Object identifiers of certificate policies (§4.2.1.4)."""
    required_subject: frozenset[str] = frozenset()
    fixed_subject: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the subject says whatever is asked for."""
    subject_from_csr: frozenset[str] = frozenset({"common_name", "email"})
    """The attributes that are taken from a CSR's subject; others are the issuer's, or none."""
    unplanned_requests: UnplannedRequests = UnplannedRequests.IGNORE
    san_kinds: frozenset[GeneralNameKind] = frozenset(GeneralNameKind)
    is_san_required: bool = False
    names: NameRules = _ANY_NAME
    urls: PublicationURLs | None = None
    """Of certificates of this profile; `None`: the manager's."""
    claims_name: bool = True
    """Whether a common name has one active certificate at the most."""
    is_ca: bool = False
    path_length: int | None = None
    no_rev_avail: bool = False
    """Say that nothing will tell of a revocation (RFC 9608): for short-lived certificates."""
    ocsp_no_check: bool = False
    """Say that an OCSP responder's certificate need not be checked itself (RFC 6960 §4.2.2.2.1)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed_subject", MappingProxyType(dict(self.fixed_subject)))
        for name, make in _KINDS.items():
            try:
                # Strings and lists, from those who do without a type checker, would fail when
                # a key is made, or be taken for something else.
                object.__setattr__(self, name, make(getattr(self, name)))
            except (TypeError, ValueError) as error:
                raise InvalidRequest(f"The profile {self.name!r}: {name}: {error}.") from error
        problem = next((text for text, is_there in self._contradictions() if is_there), None)
        if problem is not None:
            raise InvalidRequest(f"The profile {self.name!r} contradicts itself: {problem}.")

    def _contradictions(self) -> Iterator[tuple[str, bool]]:
        yield from self._mistaken_values()
        # The registry keeps the name with the certificate.
        yield (
            "name is 64 printable characters at most",
            len(self.name) > 64 or not self.name.isprintable(),
        )
        yield from self._contradictory_periods()
        yield from self._contradictory_names()
        yield from self._contradictory_keys()
        yield from self._contradictory_purposes()
        yield "path_length is 0 or more", self.path_length is not None and self.path_length < 0
        yield "only a CA has a path_length", self.path_length is not None and not self.is_ca
        yield "cert_type CA and is_ca go together", (self.cert_type is CertType.CA) != self.is_ca
        # RFC 9608 §3: not in CA certificates, nor beside CRLs and responders.
        yield "a CA can be revoked, so no_rev_avail is not for it", self.no_rev_avail and self.is_ca
        urls = self.urls
        tells = urls is not None and bool(urls.crl or urls.delta or urls.ocsp)
        yield "no_rev_avail and URLs of CRLs or responders", self.no_rev_avail and tells

    def _mistaken_values(self) -> Iterator[tuple[str, bool]]:
        """Find what would fail at the first certificate: a dictionary, or a number of days."""
        for name, kind in _CLASSES.items():
            value = getattr(self, name)
            yield f"{name} is a {kind.__name__}, not {value!r}", not isinstance(value, kind | None)

    def _contradictory_periods(self) -> Iterator[tuple[str, bool]]:
        longest, zero = self.max_validity, timedelta(0)
        durations = [self.default_validity, self.backdate, *([longest] if longest else [])]
        yield "durations are whole seconds", any(each.microseconds for each in durations)
        yield "default_validity is not positive", self.default_validity <= zero
        yield "backdate is negative", self.backdate < zero
        is_longer = longest is not None and not self.backdate < longest >= self.default_validity
        yield "default_validity or backdate is longer than max_validity", is_longer

    def _contradictory_names(self) -> Iterator[tuple[str, bool]]:
        unknown = (
            self.required_subject | set(self.fixed_subject) | self.subject_from_csr
        ) - SUBJECT_FIELDS
        yield f"no such attribute of a subject: {', '.join(sorted(unknown))}", bool(unknown)
        yield from ((str(error).rstrip("."), True) for error in self._fixed_subject_errors())
        no_mailbox = GeneralNameKind.EMAIL not in self.san_kinds
        has_mailbox = "email" in self.required_subject | set(self.fixed_subject)
        # RFC 5280 §4.1.2.6: an address in the subject belongs into the SAN as well.
        yield "an email in the subject, and none in san_kinds", has_mailbox and no_mailbox
        yield "is_san_required without san_kinds", self.is_san_required and not self.san_kinds

    def _fixed_subject_errors(self) -> Iterator[InvalidName]:
        try:
            SubjectName(**{"common_name": "any", **self.fixed_subject})
        except InvalidName as error:
            yield error

    def _contradictory_keys(self) -> Iterator[tuple[str, bool]]:
        yield "no key algorithm is allowed", not self.key_algorithms
        bits = self.min_rsa_bits
        yield "min_rsa_bits is 2048..8192, whole octets", not 2048 <= bits <= 8192 or bits % 8 > 0
        # RFC 5280 §4.2.1.3: at least one bit is set.
        without = [each for each in self.key_algorithms if not self.usage_of(KeySpec(each))]
        yield f"no key_usage is left for keys of {', '.join(without)}", bool(without)
        # §4.2.1.9: keyCertSign and cA go together.
        may_sign = KeyUsage.KEY_CERT_SIGN in self.key_usage
        yield "keyCertSign and is_ca go together", may_sign is not self.is_ca

    def _contradictory_purposes(self) -> Iterator[tuple[str, bool]]:
        purposes = self.extended_key_usage
        for which, oids in (("extended_key_usage", purposes), ("policies", self.policies)):
            malformed = [oid for oid in oids if not _OID.match(oid)]
            yield f"{which}: {', '.join(malformed)} is no object identifier", bool(malformed)
            # RFC 5280 §4.2.1.4.
            yield f"{which} has one twice", len(set(oids)) < len(oids)
        is_stamp = ExtendedKeyUsage.TIME_STAMPING in purposes
        is_alone = len(purposes) == 1 and self.is_extended_key_usage_critical
        # RFC 3161 §2.3.
        yield "time stamping is the only purpose, and critical", is_stamp and not is_alone
        is_responder = ExtendedKeyUsage.OCSP_SIGNING in purposes
        yield "ocsp_no_check without OCSP signing", self.ocsp_no_check and not is_responder

    def allows_key(self, key: KeySpec) -> str | None:
        """Say why a key is not allowed; `None` if it is."""
        if key.algorithm not in self.key_algorithms:
            allowed = ", ".join(self.key_algorithms)
            return f"a key of {key.algorithm} is not allowed, only {allowed}"
        if key.algorithm is KeyAlgorithm.RSA and key.rsa_bits < self.min_rsa_bits:
            return f"an RSA key has at least {self.min_rsa_bits} bits here, not {key.rsa_bits}"
        return None

    def usage_of(self, key: KeySpec) -> frozenset[KeyUsage]:
        """Give the key usage for a key: RFC 8410 §5, RFC 8813 §3, RFC 9881 §5.

        Only RSA keys encipher keys.
        """
        if key.algorithm is KeyAlgorithm.RSA:
            return self.key_usage
        return self.key_usage - {KeyUsage.KEY_ENCIPHERMENT}


@cache
def flag_profile(*, is_server: bool = False, is_client: bool = False) -> Profile:
    """Give the profile of a request that names none and says by flags what it is for."""
    flags = {ExtendedKeyUsage.SERVER_AUTH: is_server, ExtendedKeyUsage.CLIENT_AUTH: is_client}
    return Profile(
        name="",
        extended_key_usage=tuple(purpose for purpose, is_set in flags.items() if is_set),
    )
