"""`tiny-ca verify`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import opened
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output, day
from tiny_ca.adapters.inbound.cli.reading import certificates_in, crls_in, is_file
from tiny_ca.adapters.inbound.cli.serials import hex_of, meant
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.paths import ConformanceName
from tiny_ca.domain.plan import ExtendedKeyUsage

if TYPE_CHECKING:
    from cryptography import x509

    from tiny_ca.lifecycle import CertLifecycleManager

__all__ = ["verify"]


def verify(
    which: Annotated[
        str,
        Parameter(
            name="CERT",
            allow_leading_hyphen=True,
            help="File (-: stdin), where those after the first are intermediates; serial number; "
            "common name.",
        ),
    ],
    /,
    *,
    host: Annotated[str | None, Parameter(help="For this DNS name or address.")] = None,
    email: Annotated[str | None, Parameter(help="For this mailbox.")] = None,
    purpose: Annotated[
        str | None, Parameter(help="server_auth, client_auth, ... or an object identifier.")
    ] = None,
    roots: Annotated[
        str | None,
        Parameter(help="File of trusted roots of others; no CA of one's own is needed then."),
    ] = None,
    crl: Annotated[
        tuple[str, ...], Parameter(help="File of a CRL that has to cover it; can be repeated.")
    ] = (),
    at: Annotated[
        datetime | None, Parameter(help="Moment in UTC, by default now: 2027-01-31T12:00:00.")
    ] = None,
    conformance: Annotated[ConformanceName, Parameter(help="How strictly.")] = "rfc5280",
    common: Common = COMMON,
) -> None:
    """Verify a certificate: its path, period, names, and that it is not revoked.

    Exit code 5: it is not valid. Without --roots, the CA's own registry is asked, too.

    For example:

        tiny-ca verify localhost --host localhost
        tiny-ca verify fullchain.pem --roots roots.pem --host example.org
    """
    from tiny_ca.lifecycle import CertLifecycleManager

    asked: dict[str, Any] = {
        "host": host,
        "email": email,
        "purpose": None if purpose is None else _purpose(purpose),
        "at": None if at is None else _aware(at),
        "crls": [each for name in crl for each in crls_in(name)] or None,
        "conformance": conformance,
    }
    if roots is not None:
        certificate, *others = certificates_in(which)
        path = CertLifecycleManager().verify_chain(
            certificate, intermediates=others, roots=certificates_in(roots), **asked
        )
    else:
        with opened(common) as ca:
            certificate, *others = _certificates(ca.manager, which)
            path = ca.manager.verify_chain(certificate, intermediates=others, **asked)
    _tell(path, Output(common))


def _certificates(manager: "CertLifecycleManager", which: str) -> "list[x509.Certificate]":
    from cryptography import x509

    if is_file(which):
        return certificates_in(which)
    record = meant(manager, which)
    if record.certificate_pem is None:
        raise InvalidRequest(f"{which} was never signed: there is nothing to verify.")
    return [x509.load_pem_x509_certificate(record.certificate_pem.encode())]


def _purpose(text: str) -> str:
    named = {each.name.lower(): each.value for each in ExtendedKeyUsage}
    if text not in named and not text.replace(".", "").isdigit():
        raise InvalidRequest(f"--purpose is one of {', '.join(named)}, or an object identifier.")
    return named.get(text, text)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment


def _tell(path: "Sequence[x509.Certificate]", out: Output) -> None:
    told: list[dict[str, Any]] = [
        {
            "serial": hex_of(each.serial_number),
            "subject": each.subject.rfc4514_string(),
            "not_after": each.not_valid_after_utc,
        }
        for each in path
    ]
    if not out.document({"valid": True, "path": told}):
        out.line("Valid.", "green")
        for each in told:
            out.line(f"  {each['subject']}, until {day(each['not_after'])}")
