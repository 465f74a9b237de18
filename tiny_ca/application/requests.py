"""What callers ask for: validated once, at construction."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import idna
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from tiny_ca.application.constraints import NameConstraintsConfig
from tiny_ca.domain.errors import InvalidName
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName, KeySpec
from tiny_ca.domain.names import (
    CertificateInfo,
    GeneralName,
    SubjectName,
    email_address,
    file_name_of,
    ip_address,
    path_segment,
    uri,
)
from tiny_ca.domain.profiles import Profile
from tiny_ca.domain.requests import IssuanceRequest, RootRequest
from tiny_ca.domain.serial import CertType

__all__ = ["CAConfig", "ClientConfig", "general_names", "host_or_text", "to_a_labels"]


def to_a_labels(text: str) -> str:
    """Give an internationalised name in A-labels (RFC 5891 §4.4); others as they are."""
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidName(f"{text!r} is not an internationalised domain name: {error}") from error


def host_or_text(common_name: str) -> str:
    """Give the A-labels of a common name that is an IDN, and any other one as it is."""
    try:
        return to_a_labels(common_name)
    except InvalidName:
        return common_name


def _as_text(value: object) -> object:
    return value if value is None else str(value)


def _each(check: Callable[[str], str]) -> Any:
    """Make a validator of lists."""
    return lambda values: values and [check(value) for value in values]


def general_names(config: "ClientConfig") -> tuple[GeneralName, ...]:
    """Give the subject alternative names that a request lists."""
    return (
        *(GeneralName.dns(name) for name in config.san_dns or ()),
        *(GeneralName.ip(address) for address in config.san_ip or ()),
        *(GeneralName.email(address) for address in config.san_email or ()),
        *(GeneralName.uri(text) for text in config.san_uri or ()),
    )


class _Config(BaseModel):
    # An unknown field would be a misspelt one.
    model_config = ConfigDict(frozen=True, extra="forbid")

    key_algorithm: KeyAlgorithm | KeyAlgorithmName = KeyAlgorithm.RSA
    """The kind of key; *key_size* is for RSA alone."""
    key_size: int = Field(default=2048, ge=2048, le=8192, multiple_of=8)
    """Length of an RSA key in bits, 2048..8192."""
    valid_from: AwareDatetime | None = None
    """Start of the validity, an aware datetime; `None`: now."""
    organization: str | None = None
    organizational_unit: str | None = None
    country: str | None = None
    """Two capital letters of ISO 3166-1."""
    state: str | None = None
    locality: str | None = None

    @property
    def key_spec(self) -> KeySpec:
        """The key to make."""
        return KeySpec(KeyAlgorithm(self.key_algorithm), self.key_size)

    def fingerprint(self) -> dict[str, Any]:
        """Give what was asked for, for telling a repeated request from another one."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        # What a profile decides when it is left out.
        chosen = {"days_valid", "key_algorithm", "serial_type"} & self.model_fields_set
        return said | ({"said": sorted(chosen)} if said.get("profile") else {})


class CAConfig(_Config):
    """A CA: a self-signed root, or an intermediate one.

    Raises `pydantic.ValidationError`, a `ValueError`.
    """

    common_name: str
    days_valid: int = Field(default=3650, ge=1)
    """Validity in days, 1 or more."""
    path_length: int | None = Field(default=None, ge=0)
    """How many CAs may follow below it; `None`: any number (RFC 5280 §4.2.1.9)."""
    name_constraints: NameConstraintsConfig | None = None
    """Which names it may vouch for (RFC 5280 §4.2.1.10); `None`: any."""

    def model_post_init(self, _context: object) -> None:
        """Check the names together."""
        _ = self.subject

    @property
    def subject(self) -> SubjectName:
        """The subject."""
        return SubjectName(
            self.common_name,
            organization=self.organization,
            organizational_unit=self.organizational_unit,
            country=self.country,
            state=self.state,
            locality=self.locality,
        )

    def to_request(self) -> RootRequest:
        """Give what the domain plans a root from."""
        return RootRequest(
            self.subject,
            self.key_spec,
            self.days_valid,
            self.valid_from,
            self.path_length,
            None if self.name_constraints is None else self.name_constraints.planned,
        )


class ClientConfig(_Config):
    """An end-entity certificate.  Raises `pydantic.ValidationError`, a `ValueError`."""

    common_name: str
    profile: str | None = None
    """The name of a profile; `None`: the flags below say what it is for, and nothing is limited.

    A profile has a validity, a key and a type of its own where the request leaves them out.
    """
    serial_type: CertType = CertType.SERVICE
    days_valid: int = Field(default=365, ge=1)
    """Validity in days, 1 or more; cut to the issuer's end."""
    valid_for: timedelta | None = Field(default=None, ge=timedelta(seconds=1))
    """Validity as a duration of whole seconds, in place of *days_valid*."""
    email: str | None = None
    is_server_cert: bool = False
    is_client_cert: bool = False
    san_dns: list[str] | None = None
    """DNS names; internationalised ones are converted to A-labels."""
    san_ip: list[Annotated[str, BeforeValidator(_as_text)]] | None = None
    san_email: list[str] | None = None
    san_uri: list[str] | None = None
    """Absolute URIs with a host, such as `spiffe://example.org/service`."""
    name: str | None = None
    """The files' name without extension; `None`: made from the common name."""
    strict_validity: bool = False
    """Refuse, rather than cut, a validity that ends after the issuer's."""

    @field_validator("common_name")
    @classmethod
    def _check_common_name(cls, value: str) -> str:
        return SubjectName(value).common_name

    @field_validator("email")
    @classmethod
    def _check_email(cls, value: str | None) -> str | None:
        return value if value is None else email_address(value)

    _check_san_dns = field_validator("san_dns")(
        _each(lambda name: GeneralName.dns(to_a_labels(name)).value)
    )
    _check_san_ip = field_validator("san_ip")(_each(ip_address))
    _check_san_email = field_validator("san_email")(_each(email_address))
    _check_san_uri = field_validator("san_uri")(_each(uri))

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str | None) -> str | None:
        return value if value is None else path_segment(value)

    @model_validator(mode="after")
    def _check_together(self) -> "ClientConfig":
        if self.valid_for is not None and "days_valid" in self.model_fields_set:
            raise ValueError("give days_valid or valid_for, not both")
        if self.profile is not None and (self.is_server_cert or self.is_client_cert):
            raise ValueError("a profile says what a certificate is for: leave the flags out")
        return self

    @property
    def file_name(self) -> str:
        """The files' name without extension."""
        return self.name or file_name_of(self.common_name)

    def to_request(self, profile: Profile) -> IssuanceRequest:
        """Give what the domain plans from."""
        is_free = self.profile is None
        said = self.model_fields_set
        key = self.key_spec
        if not is_free and "key_algorithm" not in said and profile.allows_key(key) is not None:
            key = KeySpec(profile.key_algorithms[0], max(self.key_size, profile.min_rsa_bits))
        days_valid = self.days_valid if is_free or "days_valid" in said else None
        return IssuanceRequest(
            common_name=self.common_name,
            profile=profile,
            cert_type=self.serial_type if is_free or "serial_type" in said else None,
            key=key,
            lifetime=days_valid if self.valid_for is None else self.valid_for,
            valid_from=self.valid_from,
            subject=CertificateInfo(
                self.organization,
                self.organizational_unit,
                self.country,
                self.state,
                self.locality,
            ),
            email=self.email,
            names=general_names(self),
            host_name=host_or_text(self.common_name),
            is_strict=self.strict_validity,
        )
