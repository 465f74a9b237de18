"""What is asked for, and what those who would sign it may sign."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.name_constraints import DistinguishedName, NameConstraints
from tiny_ca.domain.names import CertificateInfo, GeneralName, SubjectName, general_name_of_host
from tiny_ca.domain.plan import PlannedConstraints
from tiny_ca.domain.profiles import Profile, flag_profile
from tiny_ca.domain.serial import CertType

__all__ = ["Authority", "IssuanceRequest", "RootRequest"]

_PLAIN = flag_profile()
_NOTHING = CertificateInfo()


@dataclass(frozen=True, slots=True)
class RootRequest:
    """A self-signed CA certificate that somebody asks for."""

    subject: SubjectName
    key: KeySpec = KeySpec()
    lifetime: timedelta | int = 3650
    """How long, a whole number of seconds; an `int` is days."""
    valid_from: datetime | None = None
    path_length: int | None = None
    name_constraints: PlannedConstraints | None = None


@dataclass(frozen=True, slots=True)
class IssuanceRequest:
    """A certificate that somebody asks an issuer for; names are in A-label form."""

    common_name: str
    profile: Profile = _PLAIN
    key: KeySpec = KeySpec()
    cert_type: CertType | None = None
    """`None`: the profile's."""
    lifetime: timedelta | int | None = None
    """How long; an `int` is days; `None`: as long as the profile's usual."""
    valid_from: datetime | None = None
    subject: CertificateInfo = _NOTHING
    """What the subject says beside its common name; what is `None` is the issuer's."""
    email: str | None = None
    names: tuple[GeneralName, ...] = ()
    host_name: str | None = None
    """The common name as a host's name, A-labels for an IDN; `None`: as it stands."""
    is_strict: bool = False
    """Refuse, rather than cut, a period that ends after the issuer's."""
    name_constraints: PlannedConstraints | None = None
    """Of a CA."""
    written_subject: DistinguishedName | None = None
    """The subject as it will be written, where that is another certificate's."""

    def host(self, common_name: str) -> GeneralName | None:
        """Give the DNS name or IP address that the subject's common name is, if it is one."""
        is_asked = common_name == self.common_name
        return general_name_of_host((is_asked and self.host_name) or common_name)


@dataclass(frozen=True, slots=True)
class Authority:
    """What an issuer, and those above it, let it issue."""

    info: CertificateInfo
    validity: Validity
    path_length: int | None = None
    """How many CAs may follow below it; `None`: any number (RFC 5280 §4.2.1.9)."""
    name_constraints: tuple[NameConstraints, ...] = ()
    name: DistinguishedName | None = None
    """Its own."""
    certificates: tuple[tuple[str, int], ...] = ()
    """Its own and those above it, by their issuers' ids and serial numbers."""
