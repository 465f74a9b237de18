"""What the property tests draw from."""

import ipaddress
import string
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import GeneralName
from tiny_ca.domain.revocation import CRLReason
from tiny_ca.domain.serial import CertType

NOW = datetime(2030, 6, 15, 12, 30, 45, tzinfo=UTC)

cert_types = st.sampled_from(CertType)
random_bits = st.integers(0, 2**64 - 1)
printable_ascii = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
# Any code point: controls, surrogates, private use and all.
any_text = st.text(st.characters())
control_characters = st.characters(categories=["Cc"])

_ZONES = (
    "Africa/Casablanca",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Kyiv",
    "Pacific/Apia",
)
time_zones = (
    st.just(UTC)
    | st.sampled_from(_ZONES).map(ZoneInfo)
    | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)


def moments(
    earliest: datetime = datetime(1951, 1, 1), latest: datetime = datetime(9985, 1, 1)
) -> st.SearchStrategy[datetime]:
    """Aware datetimes between two naive ones, wall clock of any zone, folds and gaps included."""
    return st.datetimes(earliest, latest, timezones=time_zones)


# Whole UTC seconds around NOW, so that comparisons meet their edges.
near_seconds = st.integers(-40, 40).map(lambda seconds: NOW + timedelta(seconds=seconds))
utc_moments = st.datetimes(
    datetime(1950, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=0))


@st.composite
def validities(draw: st.DrawFn, ends: st.SearchStrategy[datetime] = utc_moments) -> Validity:
    not_before, not_after = sorted((draw(ends), draw(ends)))
    return Validity(not_before, not_after)


# RFC 1034 §3.5 with RFC 1123 §2.1, put together letter by letter rather than by the regular
# expression that is under test.
_ALPHANUMERIC = string.ascii_letters + string.digits
labels = st.one_of(
    st.sampled_from(_ALPHANUMERIC),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(_ALPHANUMERIC),
        st.text(_ALPHANUMERIC + "-", max_size=61),
        st.sampled_from(_ALPHANUMERIC),
    ),
)
_top_level = labels.filter(lambda label: not label.isdigit())
host_names = st.builds(
    lambda above, top: ".".join([*above, top]), st.lists(labels, max_size=4), _top_level
).filter(lambda name: len(name) <= 253)
_wildcard_names = st.builds(
    "*.{}.{}".format, st.lists(labels, min_size=1, max_size=2).map(".".join), _top_level
).filter(lambda name: len(name) <= 253)
dns_names = host_names | _wildcard_names
ip_addresses = st.ip_addresses().filter(
    lambda address: isinstance(address, ipaddress.IPv4Address) or address.scope_id is None
)
_atoms = st.text(_ALPHANUMERIC + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=12)
email_addresses = st.builds(
    "{}@{}".format, st.lists(_atoms, min_size=1, max_size=4).map(".".join), host_names
).filter(lambda address: len(address) <= 255)
general_names = st.one_of(
    dns_names.map(GeneralName.dns),
    ip_addresses.map(lambda address: GeneralName.ip(str(address))),
    email_addresses.map(GeneralName.email),
)

# What people, and people of ill will, type where a name or a path is asked for.
hostile_text = any_text | st.lists(
    st.sampled_from(
        [
            *("..", ".", "/", "\\", "\0", "\n", "\r", "\t", " ", "~", ":", "C:", "*", "-", "@"),
            *("a", "Z", "9", "etc", "\u2028", "\u202e", "\ud800", "\uff0e", "\u2215", "é"),
        ]
    ),
    max_size=8,
).map("".join)

common_names = st.one_of(
    dns_names.filter(lambda name: len(name) <= 64),
    ip_addresses.map(str),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64),
    st.sampled_from(["My Service", "Київ", "例え", "İstanbul", "..", "a/../b"]),
)

reasons_to_revoke = st.sampled_from(
    [reason for reason in CRLReason if reason is not CRLReason.REMOVE_FROM_CRL]
)
