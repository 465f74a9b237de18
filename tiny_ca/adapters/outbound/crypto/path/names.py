"""From X.509 names to those that the domain constrains and matches."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509
from cryptography.x509.oid import NameOID

from tiny_ca.adapters.outbound.crypto.path.links import EMPTY_NAME, Link
from tiny_ca.domain.errors import InvalidName, ValidationCertError
from tiny_ca.domain.name_constraints import (
    ConstrainedName,
    NameConstraints,
    NameForm,
    NameSubtree,
)
from tiny_ca.domain.names import GeneralName, GeneralNameKind
from tiny_ca.domain.paths import Conformance, host_matches
from tiny_ca.ports.constraints import distinguished_name

__all__ = ["check_names", "constrained_names", "name_constraints"]

# RFC 9598 §3: an e-mail address outside ASCII, which e-mail constraints bind as well (§6).
_SMTP_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")


def check_names(link: Link, wanted: Iterable[GeneralName]) -> None:
    """Check that a certificate has every one of *wanted* (RFC 9525 §6.3, RFC 5280 §4.2.1.6).

    The common name is not looked at.  Raises `ValidationCertError`.
    """
    names = link.get(x509.SubjectAlternativeName) or ()
    for name in wanted:
        if not any(_is_of(name, presented) for presented in names):
            raise ValidationCertError(
                f"The certificate {link.name} does not name {name.value!r}: its names are "
                f"{', '.join(repr(str(one.value)) for one in list(names)[:10]) or 'none'}."
            )


def _is_of(name: GeneralName, presented: x509.GeneralName) -> bool:
    match name.kind, presented:
        case GeneralNameKind.DNS, x509.DNSName():
            return host_matches(presented.value, name.value)
        case GeneralNameKind.IP, x509.IPAddress():
            return str(presented.value) == name.value
        case GeneralNameKind.EMAIL, x509.RFC822Name():
            local_part, _, host = presented.value.rpartition("@")
            return f"{local_part}@{host.lower()}" == name.value
    return False


def constrained_names(link: Link) -> list[ConstrainedName]:
    """Give all names of a certificate that constraints bind (RFC 5280 §4.2.1.10)."""
    subject = link.certificate.subject
    names = [
        ConstrainedName(NameForm.EMAIL, str(attribute.value))
        for attribute in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    ]
    if link.subject != EMPTY_NAME:
        names.append(ConstrainedName(NameForm.DIRECTORY, distinguished_name(subject)))
    names.extend(map(_constrained_name, link.get(x509.SubjectAlternativeName) or ()))
    return names


def _constrained_name(name: x509.GeneralName) -> ConstrainedName:
    value: object = name.value
    match name:
        case x509.DirectoryName():
            value = distinguished_name(name.value)
        case x509.OtherName() if name.type_id == _SMTP_UTF8_MAILBOX:
            return ConstrainedName(NameForm.EMAIL, name.value.decode(errors="replace"))
        case x509.IPAddress() if not isinstance(name.value, (IPv4Network, IPv6Network)):
            return ConstrainedName(NameForm.IP, name.value)
    return ConstrainedName(_FORMS[type(name)], value if isinstance(value, tuple) else str(value))


_FORMS: dict[type[x509.GeneralName], NameForm] = {
    x509.DNSName: NameForm.DNS,
    x509.RFC822Name: NameForm.EMAIL,
    x509.UniformResourceIdentifier: NameForm.URI,
    x509.DirectoryName: NameForm.DIRECTORY,
    x509.IPAddress: NameForm.IP,
    x509.OtherName: NameForm.OTHER_NAME,
    x509.RegisteredID: NameForm.REGISTERED_ID,
}


def name_constraints(link: Link, conformance: Conformance) -> NameConstraints | None:
    """Give a CA's name constraints.  Raises `ValidationCertError` if they are malformed."""
    found = link.get(x509.NameConstraints)
    if found is None:
        return None
    # cryptography reads over minimum and maximum, which §4.2.1.10 rules out.
    if found.public_bytes() not in link.certificate.tbs_certificate_bytes:
        raise ValidationCertError(
            f"The name constraints of {link.name} are limited in depth, or no DER."
        )
    try:
        constraints = NameConstraints(
            tuple(map(_subtree, found.permitted_subtrees or ())),
            tuple(map(_subtree, found.excluded_subtrees or ())),
        )
    except InvalidName as error:
        raise ValidationCertError(
            f"The name constraints of {link.name} are malformed: {error}"
        ) from error
    subtrees = (*constraints.permitted, *constraints.excluded)
    is_lenient = conformance is Conformance.PATH
    if not is_lenient and any(_has_leading_period(subtree) for subtree in subtrees):
        raise ValidationCertError(
            f"The name constraints of {link.name} have a DNS name with a leading period, which "
            "RFC 5280 §4.2.1.10 has not."
        )
    return constraints


def _has_leading_period(subtree: NameSubtree) -> bool:
    return subtree.form is NameForm.DNS and str(subtree.base).startswith(".")


def _subtree(name: x509.GeneralName) -> NameSubtree:
    if isinstance(name, x509.IPAddress) and isinstance(name.value, (IPv4Network, IPv6Network)):
        return NameSubtree(NameForm.IP, name.value)
    constrained = _constrained_name(name)
    if isinstance(constrained.value, str | tuple):
        return NameSubtree(constrained.form, constrained.value)
    raise InvalidName(f"{name.value} is no network")
