"""`tiny-ca inspect`."""

import re
import socket
import ssl
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import opened
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.adapters.inbound.cli.reading import content_of, is_file
from tiny_ca.adapters.inbound.cli.serials import hex_of, meant
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.plan import ExtendedKeyUsage

if TYPE_CHECKING:
    from tiny_ca.ports.inspector import CertificateDetails

__all__ = ["inspect"]

_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})\Z"
)
_PURPOSES = {each.value: each.name.lower() for each in ExtendedKeyUsage}
_SECONDS = 10


def inspect(
    what: Annotated[
        str,
        Parameter(
            name="WHAT",
            allow_leading_hyphen=True,
            help="File (-: stdin), https://..., host:port, serial number, or common name.",
        ),
    ],
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Show what any certificate says, whoever made it.

    Nothing is checked, not even that a server has the key of the one that it shows: see
    `tiny-ca verify`.

    For example:

        tiny-ca inspect certificate.pem
        tiny-ca inspect example.org:443
    """
    from tiny_ca.adapters.outbound.crypto import CryptographyInspector

    details = CryptographyInspector().inspect(_certificate(what, common))
    told = details.model_dump(exclude={"serial_number", "serial_hex"})
    told = {"serial": hex_of(details.serial_number), **told}
    out = Output(common)
    if not out.document(told):
        _tell(details, told, out)


def _certificate(what: str, common: Common) -> bytes:
    if is_file(what) and not what.startswith("https://"):
        return content_of(what)
    address = _address(what)
    if address is not None:
        with working(f"Asking {what}"):
            try:
                return _shown_by(*address)
            except OSError as error:
                raise OSError(error.errno, error.strerror or str(error), what) from error
    with opened(common) as ca:
        record = meant(ca.manager, what)
    if record.certificate_pem is None:
        raise InvalidRequest(f"{what} was never signed: there is nothing to inspect.")
    return record.certificate_pem.encode()


def _address(what: str) -> tuple[str, int] | None:
    if what.startswith("https://"):
        parts = urlsplit(what)
        if not parts.hostname:
            raise InvalidRequest(f"{what} names no host.")
        return parts.hostname, parts.port or 443
    found = _HOST_AND_PORT.match(what)
    return None if found is None else (found["v6"] or found["host"], int(found["port"]))


def _shown_by(host: str, port: int) -> bytes:
    """Give the certificate, DER, that a TLS server shows.  Raises `OSError`."""
    # Whatever it shows is wanted, above all what does not verify.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), _SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=host) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
    if shown is None:
        raise InvalidRequest(f"{host}:{port} shows no certificate.")
    return shown


def _tell(details: "CertificateDetails", told: dict[str, Any], out: Output) -> None:
    names = [*details.san_dns, *details.san_ip, *details.san_email, *details.san_uri]
    size = "" if details.public_key_size is None else f" {details.public_key_size}"
    out.line(details.subject or "(empty subject)", "bold")
    said = {
        "serial": told["serial"],
        "issuer": details.issuer,
        "names": ", ".join([*names, *details.san_other]),
        "from": day(details.not_valid_before),
        "until": day(details.not_valid_after),
        "key": f"{details.public_key_algorithm}{size}",
        "signature": details.signature_algorithm,
        "CA": "yes" if details.is_ca else None,
        "usage": ", ".join(details.key_usage),
        "purposes": ", ".join(_PURPOSES.get(oid, oid) for oid in details.extended_key_usage),
        "crl": ", ".join(details.crl_urls),
        "ocsp": ", ".join(details.ocsp_urls),
        "sha256": details.fingerprint_sha256,
        "unreadable": "; ".join(details.unreadable),
    }
    out.fields(said.items())
