"""`tiny-ca crl` and `tiny-ca publish`."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.issuers import issuer_of
from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import CHANGE, Change
from tiny_ca.adapters.inbound.cli.output import Output, day, working
from tiny_ca.domain.errors import InvalidRequest, RegistryError, StorageError, TinyCAError

if TYPE_CHECKING:
    from tiny_ca.application.publish_crl import PublishedCRL
    from tiny_ca.application.publish_due import Schedule
    from tiny_ca.lifecycle import CertLifecycleManager

__all__ = ["crl", "publish", "tell", "told_of"]


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
            with working("Signing the CRL") as progress:
                published = ca.manager.publish_crl(
                    valid_for, shard=shard, is_delta=delta, progress=progress
                )
            told = told_of(published)
    if not out.document(told):
        tell(told, out)


def _planned(ca: Opened) -> dict[str, Any]:
    issuer_id = issuer_of(ca.manager).issuer_id
    count = sum(1 for _ in ca.manager.iter_certificates(status="revoked", issuer_id=issuer_id))
    last = ca.manager.crl_stamps().get("crl")
    return {"dry_run": True, "revoked": count, "last": None if last is None else last.number}


def told_of(published: "PublishedCRL") -> dict[str, Any]:
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


def publish(
    *,
    days: Annotated[float, Parameter(help="How long a complete CRL holds.")] = 7,
    delta_hours: Annotated[float, Parameter(help="How long a delta CRL holds.")] = 6,
    ahead_hours: Annotated[float, Parameter(help="How long before its end one is due.")] = 2,
    common: Change = CHANGE,
) -> None:
    """Publish every CRL that is due, of every CA whose key is here.

    Run it from cron or a systemd timer, often: what is not due is left alone. With --ca, of
    that CA alone. What is refused, of whichever CA, keeps nothing else back.

    For example:

        tiny-ca publish --days 7
    """
    periods: dict[str, Any] = {
        "valid_for": timedelta(days=days),
        "delta_valid_for": timedelta(hours=delta_hours),
        "ahead": timedelta(hours=ahead_hours),
    }
    from tiny_ca.application.publish_due import Schedule

    out = Output(common)
    with opened(common, signs=common.ca is not None) as ca:
        managers = _signing(ca, is_chosen=common.ca is not None)
        if common.dry_run:
            told = [one for each in managers for one in _out_now(each, Schedule(**periods))]
        else:
            with working("Publishing CRLs"):
                told = _publish(managers, periods)
    if out.document(told):
        return
    if common.dry_run:
        out.table(("CA", "CRL", "NUMBER", "NEXT UPDATE", "DUE"), map(_row_of, told))
        return
    for each in told:
        tell(each, out)
    if not told:
        out.line("Nothing is due.")


def _publish(
    managers: Iterable["CertLifecycleManager"], periods: dict[str, Any]
) -> list[dict[str, Any]]:
    """Publish what is due of each CA, and tell of it; raise the first error after the last CA."""
    told: list[dict[str, Any]] = []
    failure: TinyCAError | None = None
    for manager in managers:
        try:
            published = manager.publish_due(**periods)
        except (RegistryError, StorageError) as error:
            failure = failure or error
        else:
            told += [{**told_of(each), "ca": _name_of(manager)} for each in published]
    if failure is not None:
        raise failure
    return told


def _signing(ca: Opened, *, is_chosen: bool) -> Iterator["CertLifecycleManager"]:
    """Give a manager for each CA whose key is here, rolled-over ones too."""
    if is_chosen:
        yield ca.manager
        return
    for record in ca.manager.list_certificates(status="valid", key_type="ca", limit=1000):
        if "key" in ca.files_of(record):
            yield ca.manager.under(record.serial_number)


def _name_of(manager: "CertLifecycleManager") -> str:
    return issuer_of(manager).certificate.subject.rfc4514_string()


def _row_of(told: dict[str, Any]) -> list[object]:
    until, is_due = told["next_update"], "yes" if told["due"] else "no"
    return [told["ca"], told["name"], told["number"], until and day(until), is_due]


def _out_now(manager: "CertLifecycleManager", schedule: "Schedule") -> list[dict[str, Any]]:
    now, stamps = datetime.now(UTC), manager.crl_stamps()
    due = {name for name, stamp in stamps.items() if schedule.is_due(stamp, now)}
    return [
        {
            "ca": _name_of(manager),
            "name": name,
            "number": None if stamp is None else stamp.number,
            "next_update": None if stamp is None else stamp.next_update,
            # A delta CRL is made anew with its base.
            "due": not due.isdisjoint({name, name.removesuffix("-delta")}),
        }
        for name, stamp in stamps.items()
    ]
