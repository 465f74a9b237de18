"""`tiny-ca ocsp`."""

import sys
from base64 import b64encode
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tiny_ca.adapters.inbound.cli.opening import opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, COMMON, Change, Common
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.adapters.inbound.cli.reading import check_writable, content_of
from tiny_ca.adapters.inbound.cli.rehearsed import Rehearsed
from tiny_ca.adapters.inbound.cli.serials import hex_of, meant
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.records import CertificateStatus

__all__ = ["app"]

app = App(name="ocsp", help="OCSP: answer a request, ask for a status.")
_ANSWERS = {CertificateStatus.VALID: "good", CertificateStatus.REVOKED: "revoked"}


@app.command
def answer(
    request: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True, name="REQUEST", help="File with the request, DER; -: stdin."
        ),
    ],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(name=("--out", "-o"), help="File for the answer, DER.")
    ] = None,
    common: Change = CHANGE,
) -> None:
    """Answer an OCSP request.

    A CA's delegate signs, whose certificate is issued when there is none that holds.

    For example:

        tiny-ca ocsp answer request.der -o answer.der
    """
    data = content_of(request)
    printed = Output(common)
    if out is None and sys.stdout.isatty() and not printed.is_json:
        raise InvalidRequest("The answer is no text: say -o FILE.")
    if out is not None:
        check_writable(out)
    with opened(common) as ca:
        if common.dry_run:
            raise Rehearsed("answer the request")
        response = ca.manager.ocsp_responder().respond(data)
    if out is not None:
        out.write_bytes(response)
        told = {"file": out, "octets": len(response)}
        if not printed.document(told):
            printed.line(f"Wrote {out}, {len(response)} octets.")
    elif not printed.document({"octets": len(response), "base64": b64encode(response).decode()}):
        sys.stdout.flush()
        sys.stdout.buffer.write(response)


@app.command
def status(
    which: Annotated[str, Parameter(name="CERT", help="Serial number or common name.")],
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Say what OCSP answers for a certificate: good, revoked or unknown.

    For example:

        tiny-ca ocsp status localhost
    """
    with opened(common) as ca:
        record = meant(ca.manager, which)
        status = ca.manager.get_certificate_status(record.serial_number)
    told = {
        "serial": hex_of(record.serial_number),
        # RFC 6960 §2.2: good means not revoked, and says nothing of the period.
        "ocsp": "good" if status is CertificateStatus.EXPIRED else _ANSWERS.get(status, "unknown"),
        "status": status,
        "revoked": record.revocation_date,
        "reason": record.revocation_reason,
    }
    out = Output(common)
    if not out.document(told):
        out.line(str(told["ocsp"]), "green" if told["ocsp"] == "good" else "red")


@app.command
def presign(*, common: Change = CHANGE) -> None:
    """Sign answers beforehand, for all that is valid or revoked.

    For example:

        tiny-ca ocsp presign
    """
    with opened(common) as ca:
        if common.dry_run:
            raise Rehearsed("sign answers beforehand")
        with working("Signing answers"):
            count = ca.manager.ocsp_responder().presign()
    out = Output(common)
    if not out.document({"signed": count}):
        out.line(f"Signed {count} answers.")
