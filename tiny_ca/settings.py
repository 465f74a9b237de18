"""Settings: arguments, `TINY_CA_*` in the environment, a TOML file, in that order."""

import os
from logging import getLogger
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tiny_ca.application.profiles import ProfileConfig, profiles_of
from tiny_ca.domain.built_in_profiles import all_profiles
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName
from tiny_ca.domain.lint import LintSeverity
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.profiles import Profile
from tiny_ca.domain.publication_urls import publication_urls

__all__ = ["DEFAULT_LOGGER", "DT_STR_FORMAT", "Settings"]

DEFAULT_LOGGER = getLogger("tiny_ca")
DT_STR_FORMAT = "%Y-%m-%d %H:%M:%S"

_PREFIX = "TINY_CA_"
_OF_THE_TESTS = {f"{_PREFIX}REQUIRE_ALL"}


class Settings(BaseSettings):
    """What `open_ca` makes a certificate authority from.

    In the environment a field is its name in capitals after `TINY_CA_`.  Raises
    `pydantic.ValidationError`, a `ValueError`, also for a key of the file or a `TINY_CA_*`
    variable that is no field, and `InvalidRequest` for a file that is not there or not TOML.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    config_file: Path | None = None
    """A TOML file of the fields below."""
    base_folder: Path = Path("certs")
    """The folder of certificates and keys."""
    db_url: str | None = None
    """SQLAlchemy's URL of the registry; `None`: `registry.db` in *base_folder*."""
    key_passphrase: SecretStr | None = Field(default=None, min_length=1)
    """Encrypts the private keys that are written, and opens the CA's."""
    common_name: str | None = None
    """Of the CA; it is created if the registry has none.  `None`: the only one there is."""
    organization: str | None = None
    country: str | None = None
    """Two capital letters of ISO 3166-1."""
    key_algorithm: KeyAlgorithm | KeyAlgorithmName = KeyAlgorithm.RSA
    """Of a CA that is created."""
    key_size: int = 4096
    """Of a CA that is created, for RSA, in bits."""
    days_valid: int = 3650
    """Of a CA that is created, in days."""
    crl_urls: tuple[str, ...] = ()
    delta_crl_urls: tuple[str, ...] = ()
    crl_shards: int = 1
    """With 2 or more, the URLs of CRLs have a `{shard}` in them: see `PublicationURLs`."""
    ocsp_urls: tuple[str, ...] = ()
    issuer_urls: tuple[str, ...] = ()
    publication_url: str | None = None
    """Where the app of `tiny_ca.adapters.inbound.http` is mounted, such as
    `http://pki.example/pki`: in place of the URLs above, with *crl_shards*."""
    lint: LintSeverity | None = None
    """From which severity on pkilint's findings keep a certificate from being signed: `info`,
    `notice`, `warning`, `error` or `fatal`; `None`: it is not asked."""
    lint_ignore: tuple[str, ...] = ()
    """Codes of findings that do not."""
    opentelemetry: bool = False
    """Whether operations make spans and metrics by OpenTelemetry's global providers."""
    profiles: dict[str, ProfileConfig] = {}
    """Kinds of certificates by name, beside the built-in ones or in their place."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the file that the arguments or the environment name, below both."""
        arguments = (
            init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        )
        # The names of variables are taken in any case, this one too.
        environment = {name.upper(): value for name, value in os.environ.items()}
        file = arguments.get("config_file") or environment.get(f"{_PREFIX}CONFIG_FILE")
        if file is not None and not Path(file).is_file():
            raise InvalidRequest(f"There is no settings file at {file}.")
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"The settings file {file} can't be read: {error}") from error

    @model_validator(mode="after")
    def _refuse_stray_variables(self) -> Self:
        # pydantic-settings ignores them, and a misspelt passphrase must not go unnoticed.
        known = {f"{_PREFIX}{name.upper()}" for name in type(self).model_fields} | _OF_THE_TESTS
        strays = {name for name in os.environ if name.upper().startswith(_PREFIX)}
        strays -= {name for name in strays if name.upper() in known}
        if strays:
            raise ValueError(
                f"{', '.join(sorted(strays))} in the environment is no setting of tiny_ca; "
                f"known are {', '.join(sorted(known))}."
            )
        return self

    @model_validator(mode="after")
    def _check_urls(self) -> Self:
        by_hand = (self.crl_urls, self.delta_crl_urls, self.ocsp_urls, self.issuer_urls)
        if self.publication_url is not None and any(by_hand):
            raise ValueError("give publication_url, or the URLs one by one, not both")
        _ = self.urls
        return self

    @model_validator(mode="after")
    def _check_profiles(self) -> Self:
        all_profiles(self.own_profiles)
        return self

    @property
    def own_profiles(self) -> tuple[Profile, ...]:
        """The kinds of certificates that are set."""
        return profiles_of(self.profiles)

    @property
    def registry_url(self) -> str:
        """SQLAlchemy's URL of the registry."""
        return self.db_url or f"sqlite:///{self.base_folder / 'registry.db'}"

    @property
    def passphrase(self) -> bytes | None:
        """The passphrase of private keys, as bytes."""
        secret = self.key_passphrase
        return None if secret is None else secret.get_secret_value().encode()

    @property
    def urls(self) -> PublicationURLs:
        """What goes into the certificates that are issued."""
        if self.publication_url is not None:
            return publication_urls(self.publication_url, crl_shards=self.crl_shards)
        return PublicationURLs(
            crl=self.crl_urls,
            ocsp=self.ocsp_urls,
            issuer=self.issuer_urls,
            delta=self.delta_crl_urls,
            crl_shards=self.crl_shards,
        )
