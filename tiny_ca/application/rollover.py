"""A new key for a CA: the old certificate and the new one stay valid side by side."""

from dataclasses import replace
from typing import NamedTuple

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME, order_root
from tiny_ca.application.intermediate import cross_sign, order_cross, order_intermediate
from tiny_ca.application.issuance import Outcome, new_location, present, run_issuance
from tiny_ca.application.requests import CAConfig
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidRequest
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
    CRLs until all that it issued has ended.  Raises `InvalidRequest` if *config* has another
    name, `ValidationCertError` for a CA that is revoked, and, before anything is written, as
    `cross_sign` for a CA that can't be linked.
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
    folder = record.cert_path
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
    # What would keep the old key from linking, or from being linked, is found before all else.
    order_cross(services, old, old.certificate, not_after=end)
    [outcome] = run_issuance(services, [wanted])
    certificate, key = outcome.artefacts.certificate, outcome.artefacts.private_key
    new = services.crypto.issuer(certificate, present(key))
    links = [
        cross_sign(services, signer, signed.certificate, not_after=end, folder=folder)
        for signer, signed in ((old, new), (new, old))
    ]
    return Rollover(outcome, *(link.artefacts.certificate for link in links))
