"""The CA that signs, and one that is like it."""

from typing import TYPE_CHECKING, Any

from tiny_ca.domain.errors import CertNotFound, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithmName
from tiny_ca.domain.names import SUBJECT_ATTRIBUTES

if TYPE_CHECKING:
    from cryptography import x509

    from tiny_ca.application.constraints import NameConstraintsConfig
    from tiny_ca.application.requests import CAConfig
    from tiny_ca.lifecycle import CertLifecycleManager
    from tiny_ca.ports.issuer import Issuer

__all__ = ["config_like", "issuer_of", "subject_of"]

_FIELDS = {
    "DNSName": "dns",
    "IPAddress": "ip",
    "RFC822Name": "email",
    "UniformResourceIdentifier": "uri",
}


def issuer_of(manager: "CertLifecycleManager") -> "Issuer":
    """Give the CA that a manager stands under.  Raises `CertNotFound` if it is none."""
    if manager.factory is None:
        raise CertNotFound("Say which CA with --ca.")
    return manager.factory


def subject_of(certificate: "x509.Certificate") -> dict[str, str]:
    """Give the subject's attributes by the names that requests have for them."""
    written = {each.oid.dotted_string: str(each.value) for each in certificate.subject}
    return {name: written[oid] for name, oid in SUBJECT_ATTRIBUTES if oid in written}


def config_like(
    certificate: "x509.Certificate", key: KeyAlgorithmName, days: int | None
) -> "CAConfig":
    """Ask for a CA that is limited as this one is; without *days* it lives as long.

    Raises `InvalidRequest` for limits that the command line has no words for.
    """
    from cryptography import x509

    from tiny_ca.application.requests import CAConfig

    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    subject = {name: value for name, value in subject_of(certificate).items() if name != "email"}
    period = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    said = {
        "key_algorithm": key,
        "days_valid": max(1, period.days) if days is None else days,
        "path_length": basic.path_length,
        "name_constraints": _constraints_of(certificate),
    }
    return CAConfig.model_validate({**subject, **said})


def _constraints_of(certificate: "x509.Certificate") -> "NameConstraintsConfig | None":
    from cryptography import x509

    from tiny_ca.application.constraints import NameConstraintsConfig

    try:
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    said: dict[str, list[Any]] = {}
    for which, subtrees in (
        ("permitted", limits.permitted_subtrees),
        ("excluded", limits.excluded_subtrees),
    ):
        for each in subtrees or ():
            form = _FIELDS.get(type(each).__name__)
            if form is None:
                raise InvalidRequest(
                    "This CA is limited by directory names: roll it over in Python."
                )
            said.setdefault(f"{which}_{form}", []).append(each.value)
    return NameConstraintsConfig.model_validate(said)
