"""Name constraints: which names a CA may vouch for (RFC 5280 §4.2.1.10)."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from tiny_ca.domain.errors import InvalidName, ValidationCertError
from tiny_ca.domain.names import dns_name, email_address

__all__ = [
    "ConstrainedName",
    "DistinguishedName",
    "NameConstraints",
    "NameForm",
    "NameSubtree",
    "canonical_attribute",
]

DistinguishedName = tuple[frozenset[tuple[str, str]], ...]
"""Relative distinguished names, most significant first: pairs of a type's object identifier
and its value as `canonical_attribute` gives it."""

_URI_HOST = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^@/?#]*@)?([^:/?#@]+)(?::[0-9]*)?(?:[/?#].*)?\Z", re.DOTALL
)


class NameForm(Enum):
    """The forms of general names (RFC 5280 §4.2.1.6)."""

    DNS = "DNS name"
    IP = "IP address"
    EMAIL = "e-mail address"
    URI = "URI"
    DIRECTORY = "distinguished name"
    OTHER_NAME = "otherName"
    REGISTERED_ID = "registeredID"


@dataclass(frozen=True, slots=True)
class ConstrainedName:
    """A name that a certificate presents: text as it stands there, an address, or a DN."""

    form: NameForm
    value: str | IPv4Address | IPv6Address | DistinguishedName
    compared: str | None = field(init=False, repr=False, compare=False)
    """The DNS name, mailbox or host of a text that has one."""

    def __post_init__(self) -> None:
        text = self.value if isinstance(self.value, str) else ""
        object.__setattr__(self, "compared", _compared(self.form, text))

    def __str__(self) -> str:
        if isinstance(self.value, tuple):
            parts = ("+".join(text for _, text in sorted(part)) for part in self.value)
            return f"{self.form.value} {', '.join(parts)}"[:120]
        return f"{self.form.value} {str(self.value)[:80]!r}"


@dataclass(frozen=True, slots=True)
class NameSubtree:
    """A base and all names below it.

    A DNS base holds itself and every name with labels added; the host of an e-mail or URI base
    holds itself alone, or, with a leading period, every name with labels added.  An empty text
    holds all names of the form.  A leading period before a DNS base, which RFC 5280 does not
    have, asks for one label at least.  Raises `InvalidName` for a base that is malformed.
    """

    form: NameForm
    base: str | IPv4Network | IPv6Network | DistinguishedName

    def __post_init__(self) -> None:
        if isinstance(self.base, str) and self.form in _HOST_FORMS:
            object.__setattr__(self, "base", _text_base(self.form, self.base))

    def contains(self, name: ConstrainedName) -> bool:
        """Whether all that *name* stands for lies in the subtree.

        Raises `InvalidName` when that can't be told: the name is malformed, or of a form
        whose constraints are not processed.
        """
        match name.value, self.base:
            case (
                (IPv4Address() | IPv6Address() as address),
                (IPv4Network() | IPv6Network() as net),
            ):
                return address in net
            case tuple(names), tuple(bases):
                return names[: len(bases)] == bases
            case str(), str(base) if self.form in _HOST_FORMS and name.compared is not None:
                return _text_within(self.form, name.compared, base)
        raise InvalidName(f"the {name} can't be held against name constraints")

    def touches(self, name: ConstrainedName) -> bool:
        """Whether any of what *name* stands for lies in the subtree.  Raises as `contains`.

        `*.example.com` stands for `bar.example.com`, too.
        """
        if self.contains(name):
            return True
        if self.form is not NameForm.DNS or not isinstance(self.base, str):
            return False
        label, _, parent = self.base.partition(".")
        return bool(label) and name.compared == f"*.{parent}"


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """What one CA certificate constrains: subtrees that are permitted, and that are excluded."""

    permitted: tuple[NameSubtree, ...] = ()
    excluded: tuple[NameSubtree, ...] = ()

    def comparisons(self, names: int) -> int:
        """How much work `check` is at most for so many names."""
        return names * (len(self.permitted) + len(self.excluded))

    def check(self, names: Iterable[ConstrainedName]) -> None:
        """Check that every name is permitted and none is excluded (RFC 5280 §6.1.3 (b), (c)).

        A form without a permitted subtree is not limited to any.  Raises
        `ValidationCertError` that says which name is out, or can't be judged.
        """
        permitted, excluded = _by_form(self.permitted), _by_form(self.excluded)
        for name in names:
            allowed, denied = permitted.get(name.form, ()), excluded.get(name.form, ())
            try:
                is_excluded = any(subtree.touches(name) for subtree in denied)
                is_permitted = not allowed or any(subtree.contains(name) for subtree in allowed)
            except InvalidName as error:
                # §4.2.1.10: either process the constraint or reject the certificate.
                raise ValidationCertError(f"A CA's name constraints forbid it: {error}.") from error
            if is_excluded or not is_permitted:
                verb = "exclude" if is_excluded else "do not permit"
                raise ValidationCertError(
                    f"A CA's name constraints {verb} the {name} (RFC 5280 §4.2.1.10)."
                )


def canonical_attribute(text: str) -> str:
    """Give an attribute's value as it is compared: case and white space aside (§7.1)."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


_HOST_FORMS = frozenset({NameForm.DNS, NameForm.EMAIL, NameForm.URI})


def _by_form(subtrees: Iterable[NameSubtree]) -> dict[NameForm, list[NameSubtree]]:
    forms: dict[NameForm, list[NameSubtree]] = {}
    for subtree in subtrees:
        forms.setdefault(subtree.form, []).append(subtree)
    return forms


def _text_base(form: NameForm, base: str) -> str:
    """Give the canonical form of a DNS, e-mail or URI base."""
    if not base:
        return base
    if form is NameForm.EMAIL and "@" in base:
        return email_address(base)
    host = base.removeprefix(".")
    if host.startswith("*"):
        raise InvalidName(f"{base!r} is no base of name constraints: they have no wildcards.")
    return base[: len(base) - len(host)] + dns_name(host)


def _compared(form: NameForm, text: str) -> str | None:
    """Give what of a name's text is compared; `None` if it is malformed or nothing is."""
    try:
        match form:
            case NameForm.DNS:
                return dns_name(text)
            case NameForm.EMAIL:
                return email_address(text)
            case NameForm.URI:
                match = _URI_HOST.match(text)
                return None if match is None or match[1][0] == "*" else dns_name(match[1])
    except InvalidName:
        pass
    return None


def _text_within(form: NameForm, text: str, base: str) -> bool:
    if not base or text == base:
        return True
    if form is NameForm.DNS and base[0] != ".":
        return text.endswith(f".{base}")
    host = text.rpartition("@")[2]
    return host == base or (base[0] == "." and host.endswith(base))
