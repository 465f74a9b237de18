"""`tiny-ca issue`."""

from typing import Annotated, Any

from cryptography import x509
from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.names import NOTHING_MORE, Wanted, config_of
from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.adapters.inbound.cli.usage import next_steps
from tiny_ca.application.preview import Preview
from tiny_ca.application.requests import ClientConfig
from tiny_ca.domain.errors import FileAlreadyExists, InvalidRequest, NotUniqueCertOwner

__all__ = ["issue", "issue_for", "tell_issued", "tell_preview", "told_of"]

_FOLDER = "live"


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
    file_name: Annotated[str | None, Parameter(help="Of the files, without extension.")] = None,
    common: Change = CHANGE,
) -> None:
    """Issue a certificate with a new key.

    Its files appear in FOLDER/live/NAME/, all or none.

    For example:

        tiny-ca issue localhost 127.0.0.1
        tiny-ca issue alice -p client --days 90
    """
    out = Output(common)
    with opened(common, signs=True) as ca:
        config = config_of(ca.settings, names, wanted)
        if file_name is not None:
            config = ClientConfig(**dict(config.model_dump(exclude_unset=True), name=file_name))
        if common.dry_run:
            tell_preview(ca.manager.plan(config), out, may_replace=replace)
            return
        told = issue_for(ca, config, replace=replace)
    if not out.document(told):
        tell_issued(told, out)


def issue_for(ca: Opened, config: ClientConfig, *, replace: bool = False) -> dict[str, Any]:
    """Issue a certificate and give what is told of it."""
    try:
        with working(f"Issuing {config.common_name}"):
            certificate, _, _ = ca.manager.issue_certificate(
                config, cert_path=_FOLDER, uuid_str=config.file_name, is_overwrite=replace
            )
    except FileAlreadyExists as error:
        if ca.manager.find_certificate(config.common_name) is None:
            raise
        raise NotUniqueCertOwner(config.common_name) from error
    return told_of(ca, certificate)


def told_of(ca: Opened, certificate: x509.Certificate) -> dict[str, Any]:
    """Give what is told of a certificate that was issued."""
    manager = ca.manager
    details = manager.inspect_certificate(certificate)
    record = manager.find_certificate(certificate.serial_number)
    root = manager.find_certificate(manager.get_cert_chain(certificate)[-1].serial_number)
    return {
        "serial": hex_of(certificate.serial_number),
        "common_name": details.common_name,
        "names": [*details.san_dns, *details.san_ip, *details.san_email, *details.san_uri],
        "profile": None if record is None else record.profile,
        "not_after": details.not_valid_after,
        "files": {} if record is None else ca.files_of(record),
        "root": None if root is None else ca.files_of(root).get("pem"),
    }


def tell_issued(told: dict[str, Any], out: Output) -> None:
    """Tell people what was issued, and what to do with it."""
    out.line(f"Issued {told['common_name']}, until {day(told['not_after'])}", "green")
    out.fields(
        [
            ("serial", told["serial"]),
            ("names", ", ".join(told["names"])),
            ("certificate", told["files"].get("pem")),
            ("key", told["files"].get("key")),
            ("root", told["root"]),
        ]
    )
    if {"pem", "key"} <= told["files"].keys():
        is_server = told["profile"] in {"server", "mtls", "short-lived"}
        out.line("")
        out.lines(next_steps(told["common_name"], told["files"], told["root"], is_server=is_server))


def tell_preview(preview: Preview, out: Output, *, may_replace: bool = False) -> None:
    """Tell what would be issued.  Raises `InvalidRequest` if something is in its way."""
    plan, problems = preview.plan, preview.problems
    if may_replace and plan is not None:
        problems = tuple(each for each in problems if "active certificate" not in each)
    if plan is None or problems:
        raise InvalidRequest("; ".join(problems))
    names = [each.value for each in plan.subject_alternative_names]
    told = {
        "dry_run": True,
        "common_name": plan.subject.common_name,
        "names": names,
        "profile": plan.profile,
        "not_before": plan.validity.not_before,
        "not_after": plan.validity.not_after,
        "key": plan.key.algorithm,
    }
    if not out.document(told):
        out.line(f"Would issue {plan.subject.common_name}, until {day(plan.validity.not_after)}")
        out.fields([("names", ", ".join(names)), ("profile", plan.profile), ("key", told["key"])])
