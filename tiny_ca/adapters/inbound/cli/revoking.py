"""`tiny-ca revoke`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.adapters.inbound.cli.serials import hex_of, meant
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.domain.revocation import release as check_release

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["revoke"]


class Reason(StrEnum):
    """Reasons to revoke (RFC 5280 §5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    CA_COMPROMISE = "ca-compromise"
    AFFILIATION_CHANGED = "affiliation-changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation-of-operation"
    CERTIFICATE_HOLD = "certificate-hold"
    PRIVILEGE_WITHDRAWN = "privilege-withdrawn"
    AA_COMPROMISE = "aa-compromise"

    @property
    def flag(self) -> "x509.ReasonFlags":
        """As the library calls it."""
        from cryptography import x509

        return x509.ReasonFlags[self.name.lower()]


def revoke(
    *which: Annotated[str, Parameter(name="CERT", help="Serial numbers or common names.")],
    reason: Annotated[Reason, Parameter(help="As CRLs say it.")] = Reason.UNSPECIFIED,
    every: Annotated[
        bool,
        Parameter(
            name="--every",
            help="With a common name: all valid certificates of it, such as renewed ones.",
        ),
    ] = False,
    release: Annotated[bool, Parameter(help="Lift a certificate-hold instead.")] = False,
    common: Change = CHANGE,
) -> None:
    """Revoke certificates.

    `tiny-ca crl` tells others. What was revoked before stays as it was.

    For example:

        tiny-ca revoke lost-laptop --reason key-compromise
        tiny-ca revoke 53564c61 --reason certificate-hold
    """
    if not which:
        raise InvalidRequest("Say which certificates: serial numbers or common names.")
    out = Output(common)
    with opened(common) as ca:
        records = [each for text in which for each in _records(ca, text, every=every)]
        if release:
            told = _released(ca, records, dry_run=common.dry_run)
        else:
            told = _revoked(ca, records, reason, dry_run=common.dry_run)
    if not out.document(told):
        _tell(told, out)


def _records(ca: Opened, text: str, *, every: bool) -> list[CertificateRecord]:
    """Give the certificates that *text* means.  Raises `InvalidRequest` if it is not clear."""
    namesakes = list(ca.manager.iter_certificates(status="valid", exact_name=text))
    if every and namesakes:
        return namesakes
    found = meant(ca.manager, text) if len(namesakes) != 1 else namesakes[0]
    if len(namesakes) > 1 and found in namesakes:
        # A renewed certificate stays valid, with the same key: leaving it out would be a trap.
        serials = ", ".join(hex_of(each.serial_number) for each in namesakes)
        raise InvalidRequest(
            f"{len(namesakes)} valid certificates have the name {text!r}: --every revokes all, "
            f"or write serial numbers: {serials}."
        )
    return [found]


def _revoked(
    ca: Opened, records: list[CertificateRecord], reason: Reason, *, dry_run: bool
) -> dict[str, Any]:
    by_issuer: dict[str, list[int]] = {}
    for each in records:
        by_issuer.setdefault(each.issuer_id, []).append(each.serial_number)
    told: dict[str, Any] = {"dry_run": dry_run, "reason": reason, "revoked": [], "already": []}
    with working("Revoking") as progress:
        for issuer_id, serials in by_issuer.items():
            report = ca.manager.revoke_many(
                serials, reason.flag, issuer_id=issuer_id, dry_run=dry_run, progress=progress
            )
            told["revoked"] += map(hex_of, report.revoked)
            told["already"] += map(hex_of, report.already_revoked)
    return told


def _released(ca: Opened, records: list[CertificateRecord], *, dry_run: bool) -> dict[str, Any]:
    for each in records:
        check_release(each.revocation)
    if not dry_run:
        for each in records:
            ca.manager.release_certificate(each.serial_number)
    return {"dry_run": dry_run, "released": [hex_of(each.serial_number) for each in records]}


def _tell(told: dict[str, Any], out: Output) -> None:
    would = "Would be " if told["dry_run"] else ""
    for what in ("revoked", "released"):
        for serial in told.get(what, ()):
            out.line(f"{would}{what}: {serial}" if would else f"{what.capitalize()}: {serial}")
    for serial in told.get("already", ()):
        out.line(f"Was revoked before: {serial}", "dim")
    if told.get("revoked") and not told["dry_run"]:
        out.line("next     tiny-ca crl")
