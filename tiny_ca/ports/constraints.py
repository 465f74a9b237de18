"""What a CA's certificate lets it issue, as the domain compares it."""

from collections.abc import Iterable, Iterator
from typing import Any

from cryptography import x509

from tiny_ca.domain.errors import InvalidName, ValidationCertError
from tiny_ca.domain.name_constraints import (
    DistinguishedName,
    NameConstraints,
    NameForm,
    NameSubtree,
    canonical_attribute,
)

__all__ = ["distinguished_name", "name_constraints_of", "path_length_of"]

_FORMS: dict[type[x509.GeneralName], NameForm] = {
    x509.DNSName: NameForm.DNS,
    x509.IPAddress: NameForm.IP,
    x509.RFC822Name: NameForm.EMAIL,
    x509.UniformResourceIdentifier: NameForm.URI,
    x509.DirectoryName: NameForm.DIRECTORY,
}


def path_length_of(certificate: x509.Certificate) -> int | None:
    """Give how many CAs may follow below *certificate*; `None`: any number (RFC 5280 §4.2.1.9)."""
    found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    return found.value.path_length


def name_constraints_of(certificate: x509.Certificate) -> NameConstraints | None:
    """Give a CA certificate's name constraints (RFC 5280 §4.2.1.10), if it has any.

    Forms of names that are never issued are left out.  Raises `ValidationCertError` when
    they are malformed.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    try:
        return NameConstraints(
            tuple(_subtrees(found.permitted_subtrees or ())),
            tuple(_subtrees(found.excluded_subtrees or ())),
        )
    except InvalidName as error:
        raise ValidationCertError(f"The CA's name constraints are malformed: {error}") from error


def _subtrees(bases: Iterable[x509.GeneralName]) -> Iterator[NameSubtree]:
    for base in bases:
        form, value = _FORMS.get(type(base)), base.value
        if isinstance(value, x509.Name):
            value = distinguished_name(value)
        if form is not None:
            yield NameSubtree(form, value)


def distinguished_name(name: x509.Name) -> DistinguishedName:
    """Give a name as it is compared with others (RFC 5280 §7.1)."""
    return tuple(frozenset(_pair(each) for each in part) for part in name.rdns)


def _pair(attribute: x509.NameAttribute[Any]) -> tuple[str, str]:
    value = attribute.value
    text = value.hex() if isinstance(value, bytes) else value
    return attribute.oid.dotted_string, canonical_attribute(text)
