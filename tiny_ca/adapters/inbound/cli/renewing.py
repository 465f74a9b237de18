"""`tiny-ca sign`, `tiny-ca renew` and `tiny-ca rotate`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.in_time import AT_ONCE, InTime
from tiny_ca.adapters.inbound.cli.issuers import subject_of
from tiny_ca.adapters.inbound.cli.issuing import tell_issued
from tiny_ca.adapters.inbound.cli.keeping import keep
from tiny_ca.adapters.inbound.cli.live import check_live, told_of
from tiny_ca.adapters.inbound.cli.opening import opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.adapters.inbound.cli.reading import check_writable, content_of
from tiny_ca.adapters.inbound.cli.serials import meant
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.domain.records import CertificateRecord

if TYPE_CHECKING:
    from tiny_ca.application.requests import ClientConfig
    from tiny_ca.ports.inspector import CertificateDetails

__all__ = ["renew", "rotate", "sign"]

_Which = Annotated[str, Parameter(name="CERT", help="Serial number or common name.")]
_Days = Annotated[int | None, Parameter(help="Validity; by default as long as the old one's.")]


def sign(
    request: Annotated[
        str,
        Parameter(allow_leading_hyphen=True, name="CSR", help="File with the request; -: stdin."),
    ],
    /,
    *,
    profile: Annotated[
        str, Parameter(name=("--profile", "-p"), help="Its kind: see `tiny-ca profile list`.")
    ] = "server",
    name: Annotated[str | None, Parameter(help="Common name, in place of the request's.")] = None,
    days: Annotated[int | None, Parameter(help="Validity. Otherwise the profile's.")] = None,
    out: Annotated[
        Path | None, Parameter(name=("--out", "-o"), help="Write the certificate here, too.")
    ] = None,
    replace: Annotated[
        bool, Parameter(help="Supersede the active certificate of the same common name.")
    ] = False,
    overlap: Annotated[
        bool, Parameter(help="Let the active one of the same common name be valid until it ends.")
    ] = False,
    common: Change = CHANGE,
) -> None:
    """Sign a request for a key that somebody else keeps.

    Only the key and the names that the profile allows are taken from it.

    For example:

        tiny-ca sign request.csr -o certificate.pem
        tiny-ca sign - -p device < request.csr
    """
    data = content_of(request)
    if out is not None:
        check_writable(out)
    with opened(common, signs=True) as ca:
        certificate = ca.manager.sign_csr(
            data,
            profile,
            common_name=name,
            days_valid=days,
            is_overwrite=replace,
            overlap=overlap,
        )
        chain = ca.manager.export_fullchain(certificate)
        told = told_of(ca, certificate)
    if out is not None:
        out.write_bytes(chain)
        told["out"] = out
    printed = Output(common)
    if not printed.document(told):
        tell_issued(told, printed)


def renew(
    which: _Which,
    /,
    *,
    days: _Days = None,
    in_time: InTime = AT_ONCE,
    common: Change = CHANGE,
) -> int | None:
    """Issue a certificate like an old one: same key, new period.

    The old one stays valid until it ends, and the new one has its name.

    For example:

        tiny-ca renew localhost
        tiny-ca renew localhost --days 90
        tiny-ca renew '*.internal' --daemon --deploy-hook 'systemctl reload nginx'
    """
    if in_time.is_asked:
        if days is not None:
            raise InvalidRequest("What is due is renewed for as long as before: omit --days.")
        return keep(which, in_time, common)
    with opened(common, signs=True) as ca:
        old = meant(ca.manager, which)
        check_live(ca, old.common_name)
        with working("Renewing"):
            certificate = ca.manager.renew_certificate(
                old.serial_number, valid_for=_lifetime(old, days)
            )
        told = told_of(ca, certificate)
    out = Output(common)
    if not out.document(told):
        tell_issued(told, out)
    return None


def rotate(
    which: _Which,
    /,
    *,
    days: _Days = None,
    key: Annotated[KeyAlgorithmName | None, Parameter(help="By default as the old one's.")] = None,
    common: Change = CHANGE,
) -> None:
    """Replace a certificate by one with a new key.

    The old one is superseded in the same step; if anything fails, it is as it was.

    For example:

        tiny-ca rotate localhost
    """
    with opened(common, signs=True) as ca:
        old = meant(ca.manager, which)
        check_live(ca, old.common_name)
        if old.certificate_pem is None:
            raise InvalidRequest(f"{which} was never signed: issue it.")
        details = ca.manager.inspect_certificate(old.certificate_pem)
        config = _config_like(old, details, key, _lifetime(old, days))
        with working("Rotating"):
            certificate, _, _ = ca.manager.rotate_certificate(old.serial_number, config)
        told = told_of(ca, certificate)
    out = Output(common)
    if not out.document(told):
        tell_issued(told, out)


def _lifetime(old: CertificateRecord, days: int | None) -> timedelta:
    if days is None:
        return Validity(old.not_before, old.not_after).duration - timedelta(seconds=1)
    if days < 1:
        raise InvalidRequest("--days is 1 or more.")
    return timedelta(days=days)


def _config_like(
    old: CertificateRecord,
    details: "CertificateDetails",
    key: KeyAlgorithmName | None,
    lifetime: timedelta,
) -> "ClientConfig":
    """Ask for what a certificate says, anew."""
    from tiny_ca.application.requests import ClientConfig

    said: dict[str, Any] = {
        "common_name": old.common_name,
        "serial_type": old.cert_type,
        "name": old.file_name,
        "valid_for": lifetime,
        "san_dns": details.san_dns or None,
        "san_ip": details.san_ip or None,
        "san_email": details.san_email or None,
        "san_uri": details.san_uri or None,
        **_subject_like(old),
        **_key_like(details, key),
        **_purpose_like(old, details),
    }
    return ClientConfig(**{name: value for name, value in said.items() if value is not None})


def _subject_like(old: CertificateRecord) -> dict[str, Any]:
    from cryptography import x509

    if old.certificate_pem is None:
        return {}
    subject = subject_of(x509.load_pem_x509_certificate(old.certificate_pem.encode()))
    return {name: value for name, value in subject.items() if name != "common_name"}


def _key_like(details: "CertificateDetails", key: KeyAlgorithmName | None) -> dict[str, Any]:
    algorithm = key or details.public_key_algorithm
    if algorithm not in list(KeyAlgorithm):
        raise InvalidRequest(f"A key of {algorithm} is not made here: say --key.")
    is_rsa = algorithm == KeyAlgorithm.RSA == details.public_key_algorithm
    return {"key_algorithm": algorithm} | ({"key_size": details.public_key_size} if is_rsa else {})


def _purpose_like(old: CertificateRecord, details: "CertificateDetails") -> dict[str, Any]:
    if old.profile:
        return {"profile": old.profile}
    return {
        "is_server_cert": ExtendedKeyUsage.SERVER_AUTH in details.extended_key_usage,
        "is_client_cert": ExtendedKeyUsage.CLIENT_AUTH in details.extended_key_usage,
    }
