"""`tiny-ca list`, `tiny-ca expiring` and `tiny-ca show`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output, day
from tiny_ca.adapters.inbound.cli.serials import hex_of, meant
from tiny_ca.domain.catalogue import cert_type_of, status_of
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateRecord

__all__ = ["expiring", "list_certificates", "show", "table_of", "told_of_record"]

_FILES = {"pem": "certificate", "key": "private key", "csr": "request"}


def list_certificates(
    name: Annotated[
        str | None, Parameter(name="NAME", help="Common name; `*` stands for any characters.")
    ] = None,
    /,
    *,
    exact_name: Annotated[
        str | None, Parameter(help="Common name, in place of NAME; `*` in it is an asterisk.")
    ] = None,
    status: Annotated[
        str | None, Parameter(help="valid, revoked, expired, pending or abandoned.")
    ] = None,
    kind: Annotated[str | None, Parameter(help="service, device, user, internal or ca.")] = None,
    issuer: Annotated[str | None, Parameter(help="Id of the issuer, as --json gives it.")] = None,
    limit: Annotated[int, Parameter(help="How many at the most; 0: all.")] = 100,
    common: Common = COMMON,
) -> None:
    """List certificates, newest first.

    For example:

        tiny-ca list --status valid
        tiny-ca list '*.internal' --limit 0 --json
    """
    if limit < 0:
        raise InvalidRequest("--limit is 0 or more.")
    out = Output(common)
    chosen: dict[str, Any] = {
        "status": None if status is None else status_of(status),
        "key_type": None if kind is None else cert_type_of(kind),
        "issuer_id": issuer,
        "common_name": name,
        "exact_name": exact_name,
    }
    with opened(common) as ca:
        manager = ca.manager
        records = (
            manager.list_certificates(**chosen, limit=limit + 1)
            if limit
            else list(manager.iter_certificates(**chosen))
        )
    has_more = bool(limit) and len(records) > limit
    shown = records[:limit] if limit else records
    if not out.document([told_of_record(each) for each in shown]):
        table_of(shown, out)
        if has_more:
            out.line(f"... and more: --limit 0 lists all, --limit {limit * 10} more.")


def expiring(
    *,
    days: Annotated[int, Parameter(help="How soon.")] = 30,
    limit: Annotated[int, Parameter(help="How many at the most; 0: all.")] = 0,
    common: Common = COMMON,
) -> None:
    """List the valid certificates that end soon, soonest first.

    For example:

        tiny-ca expiring --days 14
    """
    out = Output(common)
    with opened(common) as ca:
        records = ca.manager.get_expiring_soon(days, limit=limit or None)
    if not out.document([told_of_record(each) for each in records]):
        table_of(records, out)


def table_of(records: list[CertificateRecord], out: Output) -> None:
    """Print a table of records."""
    now = datetime.now(UTC)
    out.table(
        ("NAME", "STATUS", "KIND", "UNTIL", "SERIAL"),
        (
            (
                each.common_name,
                each.status_at(now),
                each.profile or each.cert_type.name.lower(),
                day(each.not_after),
                hex_of(each.serial_number),
            )
            for each in records
        ),
    )


def told_of_record(record: CertificateRecord) -> dict[str, Any]:
    """Give what is told of a row of the registry."""
    return {
        "serial": hex_of(record.serial_number),
        "common_name": record.common_name,
        "status": record.status_at(datetime.now(UTC)),
        "kind": record.cert_type.name.lower(),
        "profile": record.profile,
        "not_before": record.not_before,
        "not_after": record.not_after,
        "issued": record.created_at,
        "issuer_id": record.issuer_id,
        "revoked": record.revocation_date,
        "reason": record.revocation_reason,
    }


def show(
    which: Annotated[str, Parameter(name="CERT", help="Serial number or common name.")],
    /,
    *,
    pem: Annotated[
        bool, Parameter(help="Print the certificate itself, with those above it.")
    ] = False,
    common: Common = COMMON,
) -> None:
    """Show a certificate on record.

    For example:

        tiny-ca show localhost
        tiny-ca show localhost --pem > chain.pem
    """
    out = Output(common)
    with opened(common) as ca:
        record = meant(ca.manager, which)
        told = {**told_of_record(record), **_certificate_of(ca, record)}
    if pem and told["pem"] is None:
        raise InvalidRequest(f"{which} was never signed: there is no certificate of it.")
    if out.document(told):
        return
    if pem:
        out.lines(told["pem"])
    else:
        _tell(told, out)


def _certificate_of(ca: Opened, record: CertificateRecord) -> dict[str, Any]:
    files = ca.files_of(record)
    if record.certificate_pem is None:
        return {"files": files, "pem": None}
    details = ca.manager.inspect_certificate(record.certificate_pem)
    return {
        "names": [*details.san_dns, *details.san_ip, *details.san_email, *details.san_uri],
        "subject": details.subject,
        "issuer": details.issuer,
        "key": details.public_key_algorithm,
        "fingerprint_sha256": details.fingerprint_sha256,
        "files": files,
        "pem": record.certificate_pem,
    }


def _tell(told: dict[str, Any], out: Output) -> None:
    out.line(told["common_name"], "bold")
    revoked = told["revoked"]
    out.fields(
        [
            ("status", told["status"]),
            ("revoked", None if revoked is None else f"{day(revoked)}, {told['reason'].value}"),
            ("serial", told["serial"]),
            ("subject", told.get("subject")),
            ("names", ", ".join(told.get("names", ()))),
            ("issuer", told.get("issuer")),
            ("from", day(told["not_before"])),
            ("until", day(told["not_after"])),
            ("profile", told["profile"]),
            ("key", told.get("key")),
            ("sha256", told.get("fingerprint_sha256")),
            *((_FILES[end], path) for end, path in told["files"].items()),
        ]
    )
