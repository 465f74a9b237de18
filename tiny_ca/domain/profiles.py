"""Profiles: what kinds of certificates there are, and what each may say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.name_rules import NameRules
from tiny_ca.domain.names import GeneralNameKind
from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.serial import CertType

__all__ = [
    "BUILT_IN_PROFILES",
    "SUBJECT_FIELDS",
    "Profile",
    "UnplannedRequests",
    "all_profiles",
    "flag_profile",
    "profile_table",
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


class UnplannedRequests(StrEnum):
    """What becomes of extensions and attributes that a CSR asks for beyond the profile."""

    IGNORE = "ignore"
    REFUSE = "refuse"


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
        problems = [text for text, is_there in self._contradictions() if is_there]
        if problems:
            raise InvalidRequest(f"The profile {self.name!r} contradicts itself: {problems[0]}.")

    def _contradictions(self) -> Iterable[tuple[str, bool]]:
        longest, zero = self.max_validity, timedelta(0)
        durations = [self.default_validity, self.backdate, *([longest] if longest else [])]
        unknown = (
            self.required_subject | set(self.fixed_subject) | self.subject_from_csr
        ) - SUBJECT_FIELDS
        yield "no key algorithm is allowed", not self.key_algorithms
        yield f"no such attribute of a subject: {', '.join(sorted(unknown))}", bool(unknown)
        yield "durations are whole seconds", any(each.microseconds for each in durations)
        yield "default_validity is not positive", self.default_validity <= zero
        yield "backdate is negative", self.backdate < zero
        is_longer = longest is not None and not self.backdate < longest >= self.default_validity
        yield "default_validity or backdate is longer than max_validity", is_longer
        yield "min_rsa_bits is 2048..8192", not 2048 <= self.min_rsa_bits <= 8192
        yield "path_length is 0 or more", self.path_length is not None and self.path_length < 0
        yield "only a CA has a path_length", self.path_length is not None and not self.is_ca
        # RFC 5280 §4.2.1.9: keyCertSign and cA go together.
        may_sign = KeyUsage.KEY_CERT_SIGN in self.key_usage
        yield "keyCertSign and is_ca go together", may_sign is not self.is_ca
        yield "cert_type CA and is_ca go together", (self.cert_type is CertType.CA) != self.is_ca
        # RFC 9608 §3: not in CA certificates.
        yield "a CA can be revoked, so no_rev_avail is not for it", self.no_rev_avail and self.is_ca

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


_CLASSICAL = tuple(algorithm for algorithm in KeyAlgorithm if "ml-dsa" not in algorithm)
_SIGNS = frozenset({KeyUsage.DIGITAL_SIGNATURE})
_HOSTS = frozenset({GeneralNameKind.DNS, GeneralNameKind.IP, GeneralNameKind.URI})
_SERVER_AUTH, _CLIENT_AUTH = ExtendedKeyUsage.SERVER_AUTH, ExtendedKeyUsage.CLIENT_AUTH


def profile_table(*profiles: Profile) -> Mapping[str, Profile]:
    """Give profiles by name.  Raises `InvalidRequest` if two share one."""
    table = {profile.name: profile for profile in profiles}
    if len(table) < len(profiles):
        raise InvalidRequest("Two profiles have one name.")
    return MappingProxyType(table)


BUILT_IN_PROFILES = profile_table(
    # 825 days: what Apple's and others' clients accept of a server, of private CAs, too.
    Profile(
        name="server",
        max_validity=timedelta(days=825),
        extended_key_usage=(_SERVER_AUTH,),
        san_kinds=_HOSTS,
        is_san_required=True,
    ),
    Profile(
        name="client",
        max_validity=timedelta(days=825),
        extended_key_usage=(_CLIENT_AUTH,),
        key_usage=_SIGNS,
    ),
    Profile(
        name="mtls",
        max_validity=timedelta(days=825),
        extended_key_usage=(_SERVER_AUTH, _CLIENT_AUTH),
        san_kinds=_HOSTS,
        is_san_required=True,
    ),
    # RFC 9608: nobody asks whether it is revoked; the next one comes before this one ends.
    Profile(
        name="short-lived",
        default_validity=timedelta(days=1),
        max_validity=timedelta(days=7),
        extended_key_usage=(_SERVER_AUTH, _CLIENT_AUTH),
        san_kinds=_HOSTS,
        is_san_required=True,
        claims_name=False,
        no_rev_avail=True,
    ),
    Profile(
        name="device",
        cert_type=CertType.DEVICE,
        max_validity=timedelta(days=3650),
        extended_key_usage=(_CLIENT_AUTH,),
        key_usage=_SIGNS,
    ),
    # RFC 8550 §4.4.4: S/MIME.
    Profile(
        name="user",
        cert_type=CertType.USER,
        max_validity=timedelta(days=825),
        extended_key_usage=(ExtendedKeyUsage.EMAIL_PROTECTION, _CLIENT_AUTH),
        required_subject=frozenset({"email"}),
        san_kinds=frozenset({GeneralNameKind.EMAIL}),
        is_san_required=True,
    ),
    Profile(
        name="code-signing",
        max_validity=timedelta(days=1187),
        extended_key_usage=(ExtendedKeyUsage.CODE_SIGNING,),
        key_usage=_SIGNS,
        san_kinds=frozenset({GeneralNameKind.EMAIL, GeneralNameKind.URI}),
    ),
    # RFC 3161 §2.3: this purpose alone, and critical.
    Profile(
        name="timestamping",
        max_validity=timedelta(days=4100),
        extended_key_usage=(ExtendedKeyUsage.TIME_STAMPING,),
        is_extended_key_usage_critical=True,
        key_usage=_SIGNS,
        san_kinds=frozenset({GeneralNameKind.URI}),
    ),
    # RFC 6960 §4.2.2.2.1: short-lived, since nobody checks whether it is revoked.
    Profile(
        name="ocsp-responder",
        cert_type=CertType.INTERNAL,
        default_validity=timedelta(days=7),
        max_validity=timedelta(days=90),
        extended_key_usage=(ExtendedKeyUsage.OCSP_SIGNING,),
        key_usage=_SIGNS,
        san_kinds=frozenset(),
        urls=PublicationURLs(),
        claims_name=False,
        ocsp_no_check=True,
    ),
    Profile(
        name="ca",
        cert_type=CertType.CA,
        default_validity=timedelta(days=1825),
        key_usage=frozenset({KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}),
        subject_from_csr=SUBJECT_FIELDS - {"email"},
        san_kinds=frozenset(),
        is_ca=True,
        path_length=0,
    ),
)
"""What there is without anybody's doing."""


def all_profiles(own: Iterable[Profile]) -> Mapping[str, Profile]:
    """Give the built-in profiles and one's own, which take the place of their namesakes."""
    return MappingProxyType({**BUILT_IN_PROFILES, **profile_table(*own)})


def flag_profile(*, is_server: bool = False, is_client: bool = False) -> Profile:
    """Give the profile of a request that names none and says by flags what it is for."""
    flags = {_SERVER_AUTH: is_server, _CLIENT_AUTH: is_client}
    return Profile(
        name="",
        extended_key_usage=tuple(purpose for purpose, is_set in flags.items() if is_set),
    )
