"""A new key for a CA: the old certificate and the new one stay valid side by side."""

from dataclasses import fields, replace
from typing import NamedTuple

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME, order_root
from tiny_ca.application.intermediate import cross_sign, order_cross, order_intermediate
from tiny_ca.application.issuance import Order, Outcome, new_location, present, run_issuance
from tiny_ca.application.requests import CAConfig
from tiny_ca.application.services import Services
from tiny_ca.domain.built_in_profiles import CA_PROFILE
from tiny_ca.domain.errors import InvalidRequest, ProfileViolation
from tiny_ca.domain.name_constraints import ConstrainedName, NameForm
from tiny_ca.domain.names import CertificateInfo
from tiny_ca.ports.constraints import distinguished_name, name_constraints_of
from tiny_ca.ports.issuer import Issuer

__all__ = ["Rollover", "roll_over"]


class Rollover(NamedTuple):
    """What came of a rollover."""

    outcome: Outcome
    """The new CA."""
    new_with_old: x509.Certificate | None
    """The new key, certified by the old one, for those who trust only that (RFC 9810 §4.4.2)."""
    old_with_new: x509.Certificate | None
    """The old key, certified by the new one, for those who trust only that."""


def roll_over(services: Services, old: Issuer, parent: Issuer | None, config: CAConfig) -> Rollover:
    """Make a CA of the same name with a new key, and link it with the old one.

    A root gets two link certificates; a CA below *parent* is certified by that and needs
    none.  The links are issued after the new CA, one by one: should that be cut short,
    `cross_sign` makes the missing one.  The old CA keeps its certificate, and has to publish
    CRLs until all that it issued has ended.  What *config* leaves out of the subject is as it
    was.  Raises `InvalidRequest` if it has another name, `ValidationCertError` for a CA that is
    revoked, and, before anything is written, as `cross_sign` for a CA that can't be linked.
    """
    record = next(
        (
            record
            for record in services.registry.issuer_certificates(old.issuer_id)
            if record.serial_number == old.certificate.serial_number
        ),
        None,
    )
    if record is None or record.common_name != config.common_name:
        raise InvalidRequest(
            "A CA that is on record is rolled over, and it keeps its name: pass its own "
            "common name, and import it first if it comes from elsewhere."
        )
    config, folder = _of_same_name(config, old.info), record.cert_path
    if parent is None:
        wanted = order_root(services, config, new_location(services, CA_FILE_NAME, folder, None))
    else:
        wanted = order_intermediate(services, parent, config, folder)
    wanted = replace(
        wanted,
        predecessor=record.serial_number,
        predecessor_issuer_id=record.issuer_id,
        supersedes=False,
    )
    if parent is not None:
        [outcome] = run_issuance(services, [wanted])
        return Rollover(outcome, None, None)
    end = min(old.certificate.not_valid_after_utc, wanted.plan.validity.not_after)
    # What would keep either key from linking, or from being linked, is found before all else.
    order_cross(services, old, old.certificate, not_after=end)
    _check_new(services, old, wanted)
    [outcome] = run_issuance(services, [wanted])
    certificate, key = outcome.artefacts.certificate, outcome.artefacts.private_key
    new = services.crypto.issuer(certificate, present(key))
    links = [
        cross_sign(services, signer, signed.certificate, not_after=end, folder=folder)
        for signer, signed in ((old, new), (new, old))
    ]
    return Rollover(outcome, *(link.artefacts.certificate for link in links))


def _of_same_name(config: CAConfig, subject: CertificateInfo) -> CAConfig:
    """Give *config* with what it leaves out of the CA's name.  Raises `InvalidRequest`."""
    # Of another name it would be another CA, and links to it no links (RFC 5280 §4.2.1.9).
    said = {field.name: getattr(subject, field.name) for field in fields(subject)}
    for attribute, value in said.items():
        if getattr(config, attribute) not in (None, value):
            raise InvalidRequest(f"A CA keeps its name: its {attribute} is {value!r}.")
    return config.model_copy(update=said)


def _check_new(services: Services, old: Issuer, wanted: Order) -> None:
    """Check that the CA to be can be linked: its key by the profile, its name by its own limits."""
    profile = services.policy.profile(CA_PROFILE)
    if (problem := profile.allows_key(wanted.plan.key)) is not None:
        raise ProfileViolation(profile.name, [problem])
    if wanted.plan.name_constraints is not None:
        limits = name_constraints_of(services.crypto.draft(wanted.plan, None))
        if limits is not None:
            name = distinguished_name(old.certificate.subject)
            limits.check([ConstrainedName(NameForm.DIRECTORY, name)])
