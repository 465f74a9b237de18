"""The profiles that there are without anybody's doing."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.names import GeneralNameKind
from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage, PublicationURLs
from tiny_ca.domain.profiles import SUBJECT_FIELDS, Profile
from tiny_ca.domain.serial import CertType

__all__ = ["BUILT_IN_PROFILES", "CA_PROFILE", "all_profiles"]

CA_PROFILE = "ca"
"""What intermediate CAs are issued by."""
_SIGNS = frozenset({KeyUsage.DIGITAL_SIGNATURE})
_HOSTS = frozenset({GeneralNameKind.DNS, GeneralNameKind.IP, GeneralNameKind.URI})
_SERVER_AUTH, _CLIENT_AUTH = ExtendedKeyUsage.SERVER_AUTH, ExtendedKeyUsage.CLIENT_AUTH


def _table(*profiles: Profile) -> Mapping[str, Profile]:
    table = {profile.name: profile for profile in profiles}
    if len(table) < len(profiles):
        raise InvalidRequest("Two profiles have one name.")
    return MappingProxyType(table)


BUILT_IN_PROFILES = _table(
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
    # RFC 8550 §4.4.4: S/MIME; §3: the mailbox is an alternative name.
    Profile(
        name="user",
        cert_type=CertType.USER,
        max_validity=timedelta(days=825),
        extended_key_usage=(ExtendedKeyUsage.EMAIL_PROTECTION, _CLIENT_AUTH),
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
        name=CA_PROFILE,
        cert_type=CertType.CA,
        default_validity=timedelta(days=1825),
        key_usage=frozenset({KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN}),
        subject_from_csr=SUBJECT_FIELDS - {"email"},
        san_kinds=frozenset(),
        is_ca=True,
        path_length=0,
    ),
)
"""By name."""


def all_profiles(own: Iterable[Profile]) -> Mapping[str, Profile]:
    """Give the built-in profiles and one's own, which take the place of their namesakes.

    Raises `InvalidRequest` if two of one's own share a name, if one has none, or if the
    profile of intermediate CAs is no CA's.
    """
    profiles = {**BUILT_IN_PROFILES, **_table(*own)}
    if "" in profiles:
        raise InvalidRequest("A profile has a name.")
    if not profiles[CA_PROFILE].is_ca:
        raise InvalidRequest(f"The profile {CA_PROFILE!r} is for CAs: give yours another name.")
    return MappingProxyType(profiles)
