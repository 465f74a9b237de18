"""Building paths: depth first, the likeliest issuers first, within a budget (RFC 4158)."""

from collections.abc import Callable, Iterable, Iterator

from cryptography import x509

from tiny_ca.adapters.outbound.crypto.path.budget import Budget
from tiny_ca.adapters.outbound.crypto.path.links import Link, Role, check_signature
from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain.errors import ValidationCertError

__all__ = ["Path", "Search"]

Path = tuple[Link, ...]

_LONGEST = 64
"""Certificates in a path at most, self-issued ones included."""


class Search:
    """Finds the paths from one certificate to the roots, and remembers why others are none."""

    def __init__(
        self,
        roots: Iterable[x509.Certificate],
        intermediates: Iterable[x509.Certificate],
        *,
        max_intermediates: int,
        check: Callable[[Link], None],
        budget: Budget,
    ) -> None:
        self._max_intermediates = max_intermediates
        self._check = check
        self._budget = budget
        self._links: dict[tuple[x509.Certificate, Role], Link | None] = {}
        self._signatures: dict[tuple[Link, Link], bool] = {}
        self.refusals: list[str] = []
        self._roots = self._by_subject(roots)
        self._intermediates = self._by_subject(intermediates)

    def is_root(self, certificate: x509.Certificate) -> bool:
        """Whether *certificate* is one of the roots itself."""
        return any(certificate in group for group in self._roots.values())

    def paths_from(self, target: Link) -> Iterator[Path]:
        """Give the paths of *target* up to a root, each signed all along.

        Raises `OutOfBudget`.
        """
        if target.is_anchor:
            yield (target,)
        yield from self._longer((target,))

    def _longer(self, path: Path) -> Iterator[Path]:
        for issuer in self._issuers(path):
            if issuer.is_anchor:
                yield (*path, issuer)
            elif len(path) < _LONGEST and self._may_follow(path, issuer):
                yield from self._longer((*path, issuer))

    def _issuers(self, path: Path) -> Iterator[Link]:
        """Give who signed the last certificate of *path* and is not in it yet."""
        last, entities = path[-1], {link.entity for link in path}
        candidates = [(one, Role.ROOT) for one in self._roots.get(last.issuer, ())]
        candidates += [(one, Role.INTERMEDIATE) for one in self._intermediates.get(last.issuer, ())]
        self._budget.spend("steps", len(candidates))
        if not candidates:
            self.refusals.append(f"The issuer of {last.name} is among neither.")
        elif last.is_self_issued and not last.is_anchor:
            self.refusals.append(f"{last.name} is its own issuer, and not in roots.")
        links = [link for one, role in candidates if (link := self._link(one, role)) is not None]
        # A stable sort: roots stay first among equals.
        links.sort(key=lambda link: link.key_identifier != last.issuer_key_identifier)
        for link in links:
            if link.entity not in entities and self._is_signed(last, link):
                yield link

    def _may_follow(self, path: Path, issuer: Link) -> bool:
        intermediates = sum(not link.is_self_issued for link in (*path[1:], issuer))
        if intermediates > self._max_intermediates:
            self.refusals.append(
                f"A path has more than {self._max_intermediates} intermediates: raise "
                "max_intermediates if it may."
            )
            return False
        return True

    def _link(self, certificate: x509.Certificate, role: Role) -> Link | None:
        """Read a candidate, once; `None` if it can issue nothing here."""
        key = certificate, role
        if key not in self._links:
            self._links[key] = self._read(certificate, role)
        return self._links[key]

    def _read(self, certificate: x509.Certificate, role: Role) -> Link | None:
        try:
            link = Link(certificate, role, is_anchor=role is Role.ROOT)
            self._check(link)
        except ValidationCertError as error:
            self.refusals.append(error.message)
            return None
        return link

    def _is_signed(self, link: Link, issuer: Link) -> bool:
        key = link, issuer
        if key not in self._signatures:
            self._budget.spend("signatures")
            self._signatures[key] = False
            try:
                check_signature(link, issuer)
                self._signatures[key] = True
            except ValidationCertError as error:
                self.refusals.append(error.message)
        return self._signatures[key]

    def _by_subject(
        self, certificates: Iterable[x509.Certificate]
    ) -> dict[bytes, dict[x509.Certificate, None]]:
        """Group certificates by subject, each once, in order."""
        groups: dict[bytes, dict[x509.Certificate, None]] = {}
        for one in certificates:
            try:
                groups.setdefault(one.subject.public_bytes(), {})[one] = None
            except UNREADABLE as error:
                self.refusals.append(
                    f"The subject of {one.serial_number:#x} can't be read: {error}"
                )
        return groups
