"""`tiny-ca crl`."""

from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.application.publish_crl import PublishedCRL
from tiny_ca.domain.errors import InvalidRequest

__all__ = ["crl", "tell", "told_of"]


def crl(
    *,
    days: Annotated[float, Parameter(help="How long it holds.")] = 7,
    shard: Annotated[int | None, Parameter(help="Of this shard, from 0.")] = None,
    delta: Annotated[
        bool, Parameter(help="Only what changed since the last complete one.")
    ] = False,
    common: Change = CHANGE,
) -> None:
    """Sign a CRL and put it into its files.

    They are FOLDER/crl.pem and crl.der, each replaced in one step.

    For example:

        tiny-ca crl --days 7
    """
    if days <= 0:
        raise InvalidRequest("--days is more than 0.")
    valid_for = timedelta(seconds=round(days * 86400))
    out = Output(common)
    with opened(common, signs=True) as ca:
        if common.dry_run:
            told = _planned(ca)
        else:
            with working("Signing the CRL"):
                told = told_of(ca.manager.publish_crl(valid_for, shard=shard, is_delta=delta))
    if not out.document(told):
        tell(told, out)


def _planned(ca: Opened) -> dict[str, Any]:
    factory = ca.manager.factory
    issuer_id = None if factory is None else factory.issuer_id
    count = sum(1 for _ in ca.manager.iter_certificates(status="revoked", issuer_id=issuer_id))
    last = ca.manager.crl_stamps().get("crl")
    return {"dry_run": True, "revoked": count, "last": None if last is None else last.number}


def told_of(published: PublishedCRL) -> dict[str, Any]:
    """Give what is told of a CRL that was published."""
    return {
        "name": published.scope.name,
        "number": published.stamp.number,
        "revoked": published.count,
        "this_update": published.stamp.this_update,
        "next_update": published.stamp.next_update,
        "pem": published.path,
        "der": published.path.with_suffix(".der"),
    }


def tell(told: dict[str, Any], out: Output) -> None:
    """Tell people of a CRL."""
    if told.get("dry_run"):
        last = "none is out" if told["last"] is None else f"number {told['last']} is out"
        out.line(f"Would sign a CRL of {told['revoked']} revoked certificates; {last}.")
        return
    until = day(told["next_update"])
    out.line(f"Published CRL {told['number']}: {told['revoked']} revoked, until {until}", "green")
    out.fields([("pem", told["pem"]), ("der", told["der"])])
