"""`ports.path.PathValidator` over pyca/cryptography's certificates and signatures."""

from cryptography import x509

from tiny_ca.adapters.outbound.crypto.path.budget import Budget, OutOfBudget
from tiny_ca.adapters.outbound.crypto.path.crls import CRLs
from tiny_ca.adapters.outbound.crypto.path.links import Link, Role
from tiny_ca.adapters.outbound.crypto.path.names import check_names
from tiny_ca.adapters.outbound.crypto.path.profiles import RULES
from tiny_ca.adapters.outbound.crypto.path.rules import apply
from tiny_ca.adapters.outbound.crypto.path.search import Path, Search
from tiny_ca.adapters.outbound.crypto.path.walk import check_purpose, walk
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.paths import PathRequest
from tiny_ca.ports.path import PathMaterial

__all__ = ["CryptographyPathValidator"]


class CryptographyPathValidator:
    """Builds paths by subject and signature, and validates each by RFC 5280 §6.

    Not by `cryptography.x509.verification`, which takes no CRLs, and no Ed25519, Ed448 and
    ML-DSA.
    """

    def validate(
        self, certificate: x509.Certificate, request: PathRequest, material: PathMaterial
    ) -> list[x509.Certificate]:
        """Give a valid path, or raise `ValidationCertError` that says why there is none."""
        path = _Validation(request, material).path_of(certificate)
        return [link.certificate for link in path]


class _Validation:
    """One request: its budget, and what its search has learnt."""

    def __init__(self, request: PathRequest, material: PathMaterial) -> None:
        self._request = request
        self._on_record = material.on_record
        self._budget = Budget(request.limits)
        self._crls = (
            None if material.crls is None else CRLs(material.crls, request.at, self._budget)
        )
        self._search = Search(
            material.roots,
            material.intermediates,
            max_intermediates=request.max_intermediates,
            check=self._check,
            budget=self._budget,
        )
        self._refused: dict[tuple[Link, Link], ValidationCertError | None] = {}

    def path_of(self, certificate: x509.Certificate) -> Path:
        target = Link(certificate, Role.TARGET, is_anchor=self._search.is_root(certificate))
        self._check_validity(target)
        check_names(target, self._request.names)
        check_purpose(target, self._request.purpose)
        self._check(target)
        refusal: ValidationCertError | None = None
        for path in self._search.paths_from(target):
            self._budget.spend("paths")
            try:
                walk(path, self._request, self._budget)
                self._check_revocation(path)
            except OutOfBudget:
                raise
            except ValidationCertError as error:
                refusal = refusal or error
                continue
            return path
        if refusal is not None:
            raise refusal
        raise ValidationCertError(self._no_path(target))

    def _no_path(self, target: Link) -> str:
        reasons = " ".join(list(dict.fromkeys(self._search.refusals))[:5])
        return (
            f"No path leads from {target.name} to a trusted root: pass its issuers in "
            f"intermediates, and the root in roots. {reasons}"
        )

    def _check(self, link: Link) -> None:
        """Check a certificate by itself.  Raises `ValidationCertError`."""
        self._check_validity(link)
        apply(RULES[self._request.conformance], link)

    def _check_validity(self, link: Link) -> None:
        if not link.validity.contains(self._request.at):
            raise ValidationCertError(
                f"The certificate {link.name} is valid from "
                f"{link.validity.not_before.isoformat()} to "
                f"{link.validity.not_after.isoformat()}, not at {self._request.at.isoformat()}."
            )

    def _check_revocation(self, path: Path) -> None:
        for link, issuer in zip(path, (*path[1:], path[-1]), strict=True):
            key = link, issuer
            if key not in self._refused:
                self._refused[key] = self._revocation(link, issuer)
            if (refusal := self._refused[key]) is not None:
                raise refusal

    def _revocation(self, link: Link, issuer: Link) -> ValidationCertError | None:
        try:
            is_known = self._on_record is not None and self._on_record(link.certificate)
            if is_known or link.is_anchor:
                return None
            if self._crls is not None:
                self._crls.check(link, issuer)
            elif self._on_record is not None:
                return ValidationCertError(
                    f"The registry does not know {link.name}: pass crls= for what other CAs keep."
                )
        except OutOfBudget:
            raise
        except ValidationCertError as error:
            return error
        return None
