"""`tiny-ca issue`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.live import check_live, told_of
from tiny_ca.adapters.inbound.cli.names import NOTHING_MORE, Wanted, config_of
from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.adapters.inbound.cli.usage import next_steps
from tiny_ca.domain.errors import InvalidRequest, NotUniqueCertOwner

if TYPE_CHECKING:
    from tiny_ca.application.preview import Preview
    from tiny_ca.application.requests import ClientConfig
    from tiny_ca.domain.records import CertificateRecord

__all__ = ["issue", "issue_for", "tell_issued", "tell_preview"]


def issue(
    *names: Annotated[
        str,
        Parameter(
            name="NAME",
            help="DNS names, addresses, mailboxes, URIs; the first is the common name.",
        ),
    ],
    wanted: Wanted = NOTHING_MORE,
    replace: Annotated[
        bool, Parameter(help="Supersede the active certificate of the same common name.")
    ] = False,
    if_needed: Annotated[
        bool,
        Parameter(help="Only if there is none for these names, or it is due: else, show that."),
    ] = False,
    common: Change = CHANGE,
) -> None:
    """Issue a certificate with a new key.

    FOLDER/live/NAME/ leads to its files, always the newest ones: fullchain.pem, privkey.pem,
    cert.pem and chain.pem. With a passphrase, which those would not have, it does not.

    For example:

        tiny-ca issue localhost 127.0.0.1
        tiny-ca issue alice -p client --days 90
        tiny-ca issue localhost --if-needed
    """
    if replace and if_needed:
        raise InvalidRequest("--replace and --if-needed exclude each other.")
    out = Output(common)
    with opened(common, signs=True) as ca:
        config = config_of(ca.settings, names, wanted)
        if if_needed:
            told = _ensured(ca, config)
        elif common.dry_run:
            check_live(ca, config.common_name)
            old = ca.manager.find_certificate(config.common_name) if replace else None
            tell_preview(ca.manager.plan(config), out, supersedes=old)
            return
        else:
            told = issue_for(ca, config, replace=replace)
    if not out.document(told):
        tell_issued(told, out, "Issued" if told.get("made", True) else "There is")


def issue_for(ca: Opened, config: "ClientConfig", *, replace: bool = False) -> dict[str, Any]:
    """Issue a certificate and give what is told of it."""
    check_live(ca, config.common_name)
    with working(f"Issuing {config.common_name}"):
        certificate, _, _ = ca.manager.issue_certificate(config, is_overwrite=replace)
    return told_of(ca, certificate)


def _ensured(ca: Opened, config: "ClientConfig") -> dict[str, Any]:
    check_live(ca, config.common_name)
    before = ca.manager.find_certificate(config.common_name)
    with working(f"Issuing {config.common_name}"):
        issued = ca.manager.ensure_certificate(config)
    is_made = before is None or before.serial_number != issued.serial_number
    return {**told_of(ca, issued.certificate), "made": is_made}


def tell_issued(told: dict[str, Any], out: Output, what: str = "Issued") -> None:
    """Tell people what was issued, and what to do with it."""
    files = {**told["files"], **told["live"]}
    certificate, key = (
        files.get(live, files.get(stored))
        for live, stored in (("fullchain", "pem"), ("privkey", "key"))
    )
    out.line(f"{what} {told['common_name']}, until {day(told['not_after'])}", "green")
    out.fields(
        [
            ("serial", told["serial"]),
            ("names", ", ".join(told["names"])),
            ("certificate", certificate),
            ("key", key),
            ("root", told["root"]),
        ]
    )
    if certificate and key:
        is_server = told["profile"] in {"server", "mtls", "short-lived"}
        steps = next_steps(_host_of(told), certificate, key, told["root"], is_server=is_server)
        out.line("")
        out.lines(steps)


def _host_of(told: dict[str, Any]) -> str:
    """Give a host that clients can ask for: as in the certificate, so IDNs as A-labels."""
    name: str = told["common_name"]
    hosts = [each for each in told["names"] if "/" not in each and "@" not in each]
    if name in hosts and not name.startswith("*"):
        return name
    plain = [each for each in hosts if not each.startswith("*")]
    return next(iter([*plain, *hosts]), name).replace("*", "www", 1)


def tell_preview(
    preview: "Preview", out: Output, *, supersedes: "CertificateRecord | None" = None
) -> None:
    """Tell what would be issued.

    Raises `NotUniqueCertOwner` if the name's active certificate alone is in its way, unless it
    *supersedes* that, `InvalidRequest` for anything else.
    """
    plan, problems = preview.plan, preview.problems
    others = tuple(each for each in problems if "active certificate" not in each)
    if plan is None or others:
        raise InvalidRequest("; ".join(problems if supersedes is None else others))
    if problems and supersedes is None:
        raise NotUniqueCertOwner(str(plan.subject.common_name))
    names = [each.value for each in plan.subject_alternative_names]
    told = {
        "dry_run": True,
        "common_name": plan.subject.common_name,
        "names": names,
        "profile": plan.profile,
        "not_before": plan.validity.not_before,
        "not_after": plan.validity.not_after,
        "key": plan.key.algorithm,
        "supersedes": None if supersedes is None else hex_of(supersedes.serial_number),
    }
    if not out.document(told):
        out.line(f"Would issue {plan.subject.common_name}, until {day(plan.validity.not_after)}")
        out.fields(
            [
                ("names", ", ".join(names)),
                ("profile", plan.profile),
                ("key", told["key"]),
                ("supersedes", told["supersedes"]),
            ]
        )
