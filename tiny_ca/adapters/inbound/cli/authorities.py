"""`tiny-ca ca`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tiny_ca.adapters.inbound.cli.histories import import_history
from tiny_ca.adapters.inbound.cli.issuers import config_like, issuer_of
from tiny_ca.adapters.inbound.cli.listing import told_of_record
from tiny_ca.adapters.inbound.cli.opening import Opened, making, opened, settings_for_new
from tiny_ca.adapters.inbound.cli.options import CHANGE, COMMON, Change, Common
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.adapters.inbound.cli.passphrases import password_of
from tiny_ca.adapters.inbound.cli.reading import certificates_in, check_writable, content_of
from tiny_ca.adapters.inbound.cli.serials import hex_of
from tiny_ca.domain.keys import KeyAlgorithmName

if TYPE_CHECKING:
    from cryptography import x509

    from tiny_ca.application.constraints import NameConstraintsConfig

__all__ = ["app"]

app = App(name="ca", help="CAs: list, intermediate, request, import, import-history, rollover.")
app.command(import_history)
_Key = Annotated[KeyAlgorithmName, Parameter(help="Of the CA.")]
_Days = Annotated[int, Parameter(help="Validity of the CA.")]
_Name = Annotated[str, Parameter(name="NAME", help="Common name of the CA.")]


@app.command(name="list")
def list_cas(*, common: Common = COMMON) -> None:
    """List the CAs on record.

    For example:

        tiny-ca ca list
    """
    out = Output(common)
    with opened(common) as ca:
        told = [
            {**told_of_record(each), "has_key": "key" in ca.files_of(each)}
            for each in ca.manager.iter_certificates(key_type="ca")
        ]
    if not out.document(told):
        out.table(
            ("NAME", "STATUS", "KEY", "UNTIL", "SERIAL"),
            [
                (
                    each["common_name"],
                    each["status"],
                    "here" if each["has_key"] else "",
                    day(each["not_after"]),
                    each["serial"],
                )
                for each in told
            ],
        )


@app.command
def intermediate(
    name: _Name,
    /,
    *,
    days: _Days = 1825,
    key: _Key = "p-256",
    path_length: Annotated[int, Parameter(help="How many CAs may follow below it.")] = 0,
    permit_dns: Annotated[
        tuple[str, ...], Parameter(help="A domain that it may vouch for; can be repeated.")
    ] = (),
    permit_ip: Annotated[
        tuple[str, ...], Parameter(help="A network that it may vouch for; can be repeated.")
    ] = (),
    organization: str | None = None,
    country: str | None = None,
    common: Change = CHANGE,
) -> None:
    """Issue a CA below this one, with a new key.

    `tiny-ca issue --ca NAME` issues under it from then on.

    For example:

        tiny-ca ca intermediate Services --permit-dns corp.internal
    """
    from tiny_ca.application.requests import CAConfig

    config = CAConfig(
        common_name=name,
        days_valid=days,
        key_algorithm=key,
        path_length=path_length,
        organization=organization,
        country=country,
        name_constraints=_constraints(permit_dns, permit_ip),
    )
    with opened(common, signs=True) as ca:
        with working("Making the CA's key"):
            certificate, _ = ca.manager.issue_intermediate_ca(config)
        told = _told(ca, certificate)
    _tell("Issued the CA", told, Output(common))


@app.command
def request(
    name: _Name,
    /,
    *,
    key: _Key = "p-256",
    out: Annotated[Path, Parameter(name=("--out", "-o"), help="File for the request, PEM.")],
    organization: str | None = None,
    country: str | None = None,
    common: Change = CHANGE,
) -> None:
    """Make a CA's key, and a request that another CA is to sign, such as an offline root.

    The key waits in the folder; `tiny-ca ca import` takes the answer.

    For example:

        tiny-ca ca request Issuing -o issuing.csr
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from tiny_ca.application.requests import CAConfig

    check_writable(out)
    config = CAConfig(
        common_name=name, key_algorithm=key, organization=organization, country=country
    )
    settings = settings_for_new(common)
    printed = Output(common)
    told = {"common_name": name, "folder": settings.base_folder, "file": out}
    if common.dry_run:
        if not printed.document({"dry_run": True, **told}):
            printed.line(f"Would make a key in {settings.base_folder} and write {out}.")
        return
    with making(settings, common) as ca, working("Making the CA's key"):
        csr = ca.manager.request_ca(config)
    out.write_bytes(csr.public_bytes(Encoding.PEM))
    if not printed.document(told):
        printed.line(f"Wrote {out}; its key waits in {settings.base_folder}.", "green")


@app.command(name="import")
def import_ca(
    file: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True,
            name="FILE",
            help="Certificate, PEM, or PKCS #12; -: standard input.",
        ),
    ],
    /,
    *,
    chain: Annotated[
        tuple[str, ...], Parameter(help="File of CAs above it; can be repeated.")
    ] = (),
    password_file: Annotated[Path | None, Parameter(help="File with the password of FILE.")] = None,
    ask_password: Annotated[bool, Parameter(help="Ask for the password of FILE.")] = False,
    common: Change = CHANGE,
) -> None:
    """Take in a CA: PEM (its certificate, its key, those above it) or PKCS #12.

    Without its key, and if none was made by `tiny-ca ca request`, chains can be built through
    it. A folder without a registry gets one.

    For example:

        tiny-ca ca import issuing.pem --chain root.pem
        tiny-ca ca import old-ca.p12 --ask-password
    """
    from tiny_ca.adapters.outbound.crypto import CryptographyBundles

    above = [each for name in chain for each in certificates_in(name)]
    password = password_of(password_file, is_asked=ask_password)
    bundle = CryptographyBundles().read(content_of(file), password)
    settings = settings_for_new(common)
    with making(settings, common) as ca:
        ca.manager.import_ca(bundle.certificate, bundle.key, chain=[*bundle.others, *above])
        told = _told(ca, bundle.certificate)
    _tell("Imported the CA", told, Output(common))


@app.command
def rollover(
    *,
    days: Annotated[
        int | None, Parameter(help="Validity of the new one; by default as long as the old one's.")
    ] = None,
    key: _Key = "p-256",
    common: Change = CHANGE,
) -> None:
    """Give this CA a new key: a new certificate of the same name, beside the old one.

    The new one issues from then on. The old one goes on publishing CRLs, `tiny-ca publish`
    does both, until all that it issued has ended. A root gets link certificates.

    For example:

        tiny-ca ca rollover --key p-384
    """
    with opened(common, signs=True) as ca:
        old = issuer_of(ca.manager).certificate
        with working("Making the CA's key"):
            ca.manager.rollover_ca(config_like(old, key, days))
        told = _told(ca, issuer_of(ca.manager).certificate)
        told["old_serial"] = hex_of(old.serial_number)
    _tell("Rolled over to the CA", told, Output(common))


def _told(ca: Opened, certificate: "x509.Certificate") -> dict[str, Any]:
    record = ca.manager.find_certificate(certificate.serial_number)
    files = {} if record is None else ca.files_of(record)
    return {
        "common_name": None if record is None else record.common_name,
        "serial": hex_of(certificate.serial_number),
        "not_after": certificate.not_valid_after_utc,
        "signs": "key" in files,
        "files": files,
    }


def _tell(what: str, told: dict[str, Any], out: Output) -> None:
    if out.document(told):
        return
    out.line(f"{what} {told['common_name']}, until {day(told['not_after'])}", "green")
    out.fields(
        [
            ("serial", told["serial"]),
            ("certificate", told["files"].get("pem")),
            ("key", told["files"].get("key") or "not here: others sign with it"),
        ]
    )


def _constraints(dns: tuple[str, ...], ip: tuple[str, ...]) -> "NameConstraintsConfig | None":
    from tiny_ca.application.constraints import NameConstraintsConfig

    if not dns and not ip:
        return None
    return NameConstraintsConfig.model_validate({"permitted_dns": dns, "permitted_ip": ip})
