"""What a use-case works with: one of each port, and the rules to issue by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiny_ca.application.observing import Observing
from tiny_ca.domain.built_in_profiles import BUILT_IN_PROFILES
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.plan import PublicationURLs
from tiny_ca.domain.profiles import Profile
from tiny_ca.ports.clock import Clock
from tiny_ca.ports.crypto import Crypto
from tiny_ca.ports.entropy import Entropy
from tiny_ca.ports.linter import Linter
from tiny_ca.ports.path import PathValidator
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Storage

__all__ = ["Policy", "Services"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the certificates of this installation are like."""

    urls: PublicationURLs = PublicationURLs()
    """`{issuer_id}` in them stands for the issuer's id."""
    profiles: Mapping[str, Profile] = field(default_factory=lambda: BUILT_IN_PROFILES)

    def profile(self, name: str) -> Profile:
        """Give the profile of this name.  Raises `InvalidRequest` that says which there are."""
        try:
            return self.profiles[name]
        except KeyError:
            known = ", ".join(sorted(self.profiles))
            raise InvalidRequest(f"There is no profile {name!r}; there are: {known}.") from None


@dataclass(frozen=True, slots=True)
class Services:
    """One of each port, and the policy."""

    clock: Clock
    entropy: Entropy
    crypto: Crypto
    paths: PathValidator
    registry: Registry
    storage: Storage
    policy: Policy = Policy()
    linter: Linter | None = None
    """Looks at what is about to be signed."""
    observing: Observing | None = None
    """Whoever sees what is done."""
