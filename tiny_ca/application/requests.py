"""What callers ask for: validated once, at construction."""

from typing import Annotated

import idna
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tiny_ca.domain.errors import InvalidName
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName, KeySpec
from tiny_ca.domain.names import (
    GeneralName,
    SubjectName,
    email_address,
    file_name_of,
    ip_address,
    path_segment,
)
from tiny_ca.domain.plan import LeafRequest, RootRequest
from tiny_ca.domain.serial import CertType

__all__ = ["CAConfig", "ClientConfig"]


def _to_a_labels(text: str) -> str:
    """Give an internationalised name in A-labels (RFC 5891 §4.4); others as they are."""
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidName(f"{text!r} is not an internationalised domain name: {error}") from error


def _host_or_text(common_name: str) -> str:
    """Give the A-labels of a common name that is an IDN, and any other one as it is."""
    try:
        return _to_a_labels(common_name)
    except InvalidName:
        return common_name


def _as_text(value: object) -> object:
    return value if value is None else str(value)


class _Config(BaseModel):
    # An unknown field would be a misspelt one.
    model_config = ConfigDict(frozen=True, extra="forbid")

    key_algorithm: KeyAlgorithm | KeyAlgorithmName = KeyAlgorithm.RSA
    """The kind of key; *key_size* is for RSA alone."""
    key_size: int = Field(default=2048, ge=2048, le=8192, multiple_of=8)
    """Length of an RSA key in bits, 2048..8192."""
    valid_from: AwareDatetime | None = None
    """Start of the validity, an aware datetime; `None`: now."""

    @property
    def key_spec(self) -> KeySpec:
        """The key to make."""
        return KeySpec(KeyAlgorithm(self.key_algorithm), self.key_size)


class CAConfig(_Config):
    """A self-signed root.  Raises `pydantic.ValidationError`, a `ValueError`."""

    common_name: str
    organization: str | None = None
    country: str | None = None
    """Two capital letters of ISO 3166-1."""
    days_valid: int = Field(default=3650, ge=1)
    """Validity in days, 1 or more."""

    def model_post_init(self, _context: object) -> None:
        """Check the names together."""
        _ = self.subject

    @property
    def subject(self) -> SubjectName:
        """The subject, and issuer, of the root."""
        return SubjectName(self.common_name, organization=self.organization, country=self.country)

    def to_request(self) -> RootRequest:
        """Give what the domain plans from."""
        return RootRequest(self.subject, self.key_spec, self.days_valid, self.valid_from)


class ClientConfig(_Config):
    """An end-entity certificate.  Raises `pydantic.ValidationError`, a `ValueError`."""

    common_name: str
    serial_type: CertType = CertType.SERVICE
    days_valid: int = Field(default=365, ge=1)
    """Validity in days, 1 or more; cut to the issuer's end."""
    email: str | None = None
    is_server_cert: bool = False
    is_client_cert: bool = False
    san_dns: list[str] | None = None
    """DNS names; internationalised ones are converted to A-labels."""
    san_ip: list[Annotated[str, BeforeValidator(_as_text)]] | None = None
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

    @field_validator("san_dns")
    @classmethod
    def _check_san_dns(cls, value: list[str] | None) -> list[str] | None:
        return value and [GeneralName.dns(_to_a_labels(name)).value for name in value]

    @field_validator("san_ip")
    @classmethod
    def _check_san_ip(cls, value: list[str] | None) -> list[str] | None:
        return value and [ip_address(address) for address in value]

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str | None) -> str | None:
        return value if value is None else path_segment(value)

    @property
    def file_name(self) -> str:
        """The files' name without extension."""
        return self.name or file_name_of(self.common_name)

    def to_request(self) -> LeafRequest:
        """Give what the domain plans from."""
        return LeafRequest(
            common_name=self.common_name,
            cert_type=self.serial_type,
            key=self.key_spec,
            days_valid=self.days_valid,
            valid_from=self.valid_from,
            email=self.email,
            is_server=self.is_server_cert,
            is_client=self.is_client_cert,
            names=(
                *(GeneralName.dns(name) for name in self.san_dns or ()),
                *(GeneralName.ip(address) for address in self.san_ip or ()),
            ),
            host_name=_host_or_text(self.common_name),
            is_strict=self.strict_validity,
        )
