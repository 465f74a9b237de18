"""Names: of subjects (RFC 5280 §4.1.2.6), of what they are reached by (§4.2.1.6), of files."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from tiny_ca.domain.errors import InvalidName, UnsafePath

__all__ = [
    "SUBJECT_ATTRIBUTES",
    "CertificateInfo",
    "DirectoryBase",
    "GeneralName",
    "GeneralNameKind",
    "SubjectName",
    "dns_name",
    "email_address",
    "file_name_of",
    "folder_path",
    "general_name_of_host",
    "ip_address",
    "path_segment",
    "unique",
    "uri",
]

# RFC 1034 §3.5 and RFC 1123 §2.1: letters, digits, hyphens; neither end a hyphen; 1-63.
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
# RFC 5321 §4.1.2, Dot-string.
_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*\Z", re.ASCII)
# RFC 3986 §3 and Appendix A, with an authority: RFC 5280 §4.2.1.6 wants a host in it.
_URI = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[\w.~!$&'()*+,;=:%-]*@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]*)?([/?#][\w.~!$&'()*+,;=:@/?#%-]*)?\Z",
    re.ASCII,
)
_PATH = re.compile(r"[/\\:]")
_NOT_IN_FILE_NAMES = re.compile(r"[^\w .@+-]")
SUBJECT_ATTRIBUTES = (
    ("country", "2.5.4.6"),
    ("state", "2.5.4.8"),
    ("locality", "2.5.4.7"),
    ("organization", "2.5.4.10"),
    ("organizational_unit", "2.5.4.11"),
    ("common_name", "2.5.4.3"),
    ("email", "1.2.840.113549.1.9.1"),
)
"""The attributes of a subject with their object identifiers, in the order that they are written."""
# RFC 5280 Appendix A.1: ub-common-name, ub-organization-name; ub-emailaddress-length.
_UPPER_BOUNDS = {
    "common_name": 64,
    "organization": 64,
    "organizational_unit": 64,
    "locality": 128,
    "state": 128,
    "email": 255,
}


def dns_name(text: str) -> str:
    """Give *text* in lower case if it is a DNS name in ASCII, else raise `InvalidName`.

    LDH labels of 1-63, 253 characters in all, `*` alone as the leftmost label and only above
    two others; an IP address is no DNS name (RFC 5280 §4.2.1.6, RFC 9525 §6.3).
    """
    labels = text.split(".")
    is_wildcard = labels[0] == "*" and len(labels) > 2
    hosts = labels[1:] if is_wildcard else labels
    if len(text) > 253 or not all(_LABEL.match(label) for label in hosts):
        raise InvalidName(
            f"{text!r} is not a DNS name: use labels of 1-63 letters, digits and inner hyphens, "
            "at most 253 characters, with '*' only as the whole leftmost label."
        )
    if hosts[-1].isdigit():
        # RFC 3696 §2: no top-level domain is all digits, so this is an address or a mistake.
        raise InvalidName(f"{text!r} is not a DNS name: give an IP address as one.")
    return text.lower()


def ip_address(text: str) -> str:
    """Give the canonical form of an IPv4 or IPv6 address, else raise `InvalidName`."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidName(f"{text!r} is not an IP address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise InvalidName(f"{text!r} has a zone, which means nothing outside its host.")
    return str(address)


def email_address(text: str) -> str:
    """Give *text* if it is an ASCII mailbox (RFC 5280 §4.2.1.6), else raise `InvalidName`."""
    local_part, _, domain = text.rpartition("@")
    if not _LOCAL_PART.match(local_part) or len(local_part) > 64 or domain.startswith("*"):
        raise InvalidName(f"{text!r} is not an e-mail address of the form name@domain.")
    return f"{local_part}@{dns_name(domain)}"


def uri(text: str) -> str:
    """Give *text* if it is an absolute URI with a host, such as a SPIFFE ID's.

    Raises `InvalidName` otherwise (RFC 5280 §4.2.1.6).
    """
    _host_of_uri(text)
    return text


def _host_of_uri(text: str) -> "GeneralName":
    parts = _URI.match(text)
    if parts is None or len(text) > 2048:
        raise InvalidName(f"{text[:80]!r} is not an absolute URI with a host, in ASCII.")
    host = general_name_of_host(parts[2].strip("[]"))
    if host is None or host.value.startswith("*"):
        raise InvalidName(f"{text[:80]!r} has no DNS name or IP address for a host.")
    return host


class GeneralNameKind(Enum):
    """The kinds of subject alternative names that are issued (RFC 5280 §4.2.1.6)."""

    DNS = "dns"
    IP = "ip"
    EMAIL = "email"
    URI = "uri"


@dataclass(frozen=True, slots=True)
class GeneralName:
    """One subject alternative name, its value canonical."""

    kind: GeneralNameKind
    value: str

    @classmethod
    def dns(cls, text: str) -> "GeneralName":
        """Make a DNS name; raises `InvalidName`."""
        return cls(GeneralNameKind.DNS, dns_name(text))

    @classmethod
    def ip(cls, text: str) -> "GeneralName":
        """Make an IP address; raises `InvalidName`."""
        return cls(GeneralNameKind.IP, ip_address(text))

    @classmethod
    def email(cls, text: str) -> "GeneralName":
        """Make an e-mail address; raises `InvalidName`."""
        return cls(GeneralNameKind.EMAIL, email_address(text))

    @classmethod
    def uri(cls, text: str) -> "GeneralName":
        """Make a URI; raises `InvalidName`."""
        return cls(GeneralNameKind.URI, uri(text))

    @property
    def host(self) -> "GeneralName":
        """The DNS name or IP address in it: itself, a mailbox's domain or a URI's host."""
        match self.kind:
            case GeneralNameKind.EMAIL:
                return GeneralName(GeneralNameKind.DNS, self.value.rpartition("@")[2])
            case GeneralNameKind.URI:
                return _host_of_uri(self.value)
        return self


@lru_cache(maxsize=1024)
def general_name_of_host(text: str) -> GeneralName | None:
    """Give the DNS name or IP address that *text* is, or `None` when it is neither."""
    # No text is both, and most are names.
    for make in (GeneralName.dns, GeneralName.ip):
        try:
            return make(text)
        except InvalidName:
            continue
    return None


def _length(attribute: str, value: str) -> int:
    # RFC 5280 counts characters; cryptography, which everything is signed with, counts the
    # octets of a common name, and would refuse it after its serial number was reserved.
    return len(value.encode() if attribute == "common_name" else value)


def _check_attributes(name: "SubjectName | DirectoryBase") -> None:
    for attribute, longest in _UPPER_BOUNDS.items():
        value = getattr(name, attribute, None)
        if value is None:
            continue
        is_text = value.isprintable() and bool(value.strip())
        if not is_text or _length(attribute, value) > longest:
            raise InvalidName(
                f"{attribute} is 1-{longest} printable characters, octets of UTF-8 in "
                f"common_name, got {value[:80]!r}."
            )
    if name.country is not None and not re.fullmatch("[A-Z]{2}", name.country):
        # X.520 §6.3.1: a two-letter code of ISO 3166-1.
        raise InvalidName(f"country is two capital letters, got {name.country!r}.")


@dataclass(frozen=True, slots=True)
class SubjectName:
    """A distinguished name of the attributes that tiny_ca issues (RFC 5280 §4.1.2.4).

    Raises `InvalidName` for one that is empty, too long, or holds a control character, for a
    country that is not two capital letters, and for an email that `email_address` refuses.
    """

    common_name: str
    organization: str | None = None
    organizational_unit: str | None = None
    country: str | None = None
    state: str | None = None
    locality: str | None = None
    email: str | None = None

    def __post_init__(self) -> None:
        _check_attributes(self)
        if self.email is not None:
            # RFC 5280 §4.1.2.6: an IA5String, which no other check makes of it.
            email_address(self.email)


@dataclass(frozen=True, slots=True)
class DirectoryBase:
    """The beginning of distinguished names, for name constraints (RFC 5280 §4.2.1.10).

    Attributes come in the order of `SUBJECT_ATTRIBUTES`; names that have others before them
    do not begin so.  Raises `InvalidName` for none, and as `SubjectName`.
    """

    country: str | None = None
    state: str | None = None
    locality: str | None = None
    organization: str | None = None
    organizational_unit: str | None = None

    def __post_init__(self) -> None:
        _check_attributes(self)
        if not any(getattr(self, name, None) for name, _ in SUBJECT_ATTRIBUTES):
            raise InvalidName("The beginning of a distinguished name has one attribute at least.")


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What subjects inherit from the subject of the CA that signs them."""

    organization: str | None = None
    organizational_unit: str | None = None
    country: str | None = None
    state: str | None = None
    locality: str | None = None


def unique(names: Iterable[GeneralName]) -> tuple[GeneralName, ...]:
    """Give *names* in order, each once."""
    return tuple(dict.fromkeys(names))


def file_name_of(common_name: str) -> str:
    """Make a file name of a common name: lower case, anything unusual becomes `_`."""
    return _NOT_IN_FILE_NAMES.sub("_", common_name.lower()).strip(" .") or "_"


def path_segment(text: str) -> str:
    """Give *text* if it can name one file or folder inside another, else raise `UnsafePath`."""
    unusable = not text.isprintable() or _PATH.search(text) or text != text.strip()
    if not text or unusable or text.startswith(".") or len(text.encode()) > 200:
        raise UnsafePath(
            f"{text[:80]!r} can't name a file or folder here: use letters, digits, '-', '_' and "
            "inner '.', at most 200 bytes, without a path."
        )
    return text


def folder_path(text: str) -> str:
    """Give a relative folder path in canonical form, else raise `UnsafePath`."""
    return "/".join(path_segment(segment) for segment in text.rstrip("/").split("/"))
