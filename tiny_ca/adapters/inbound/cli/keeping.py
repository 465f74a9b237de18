"""`tiny-ca needs-renewal`, and renewing what is due: once, or as a daemon."""

import os
import random
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.errors import ExitCode
from tiny_ca.adapters.inbound.cli.hooks import Notes, check_hook, run_hook
from tiny_ca.adapters.inbound.cli.in_time import InTime
from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import COMMON, Change, Common
from tiny_ca.adapters.inbound.cli.output import Output, day
from tiny_ca.adapters.inbound.cli.reading import certificates_in, is_file
from tiny_ca.adapters.inbound.cli.serials import hex_of, meant
from tiny_ca.domain.catalogue import CertificateFilter
from tiny_ca.domain.errors import TinyCAError
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.live import LiveLayoutName
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.domain.renewal import is_due

if TYPE_CHECKING:
    from tiny_ca.lifecycle import CertLifecycleManager

__all__ = ["Keeper", "keep", "needs_renewal"]

_JITTER = 10
"""Percent of the pause that is added to it, by chance, at the most."""
_CERTIFICATE_IN = {"certbot": "cert.pem", "kubernetes": "tls.crt"}
_random = random.SystemRandom()


def needs_renewal(
    which: Annotated[
        str,
        Parameter(
            name="CERT",
            allow_leading_hyphen=True,
            help="Serial number, common name, or a file with it; -: stdin.",
        ),
    ],
    /,
    *,
    before: Annotated[
        int | None,
        Parameter(help="So many days before its end. Otherwise when its last third has begun."),
    ] = None,
    common: Common = COMMON,
) -> int:
    """Say whether a certificate is due.

    It is to be renewed when its last third has begun, or --before so many days.
    The exit code is 0 if it is, 10 if it is not yet; errors have others. A file is looked at
    without a CA.

    For example:

        tiny-ca needs-renewal localhost && tiny-ca renew localhost
        tiny-ca needs-renewal /etc/ssl/live/www/cert.pem --before 14
    """
    if is_file(which):
        first = certificates_in(which)[0]
        validity = Validity(first.not_valid_before_utc, first.not_valid_after_utc)
    else:
        with opened(common) as ca:
            record = meant(ca.manager, which)
            validity = Validity(record.not_before, record.not_after)
    within = None if before is None else timedelta(days=before)
    is_needed = is_due(validity, datetime.now(UTC), within)
    out = Output(common)
    if not out.document({"needs_renewal": is_needed, "not_after": validity.not_after}):
        out.line(f"{'due' if is_needed else 'not yet'}, until {day(validity.not_after)}")
    return ExitCode.DONE if is_needed else ExitCode.NOT_DUE


@dataclass
class Keeper:
    """Renews what is due, and lets others know."""

    manager: "CertLifecycleManager"
    name: str
    """Common name; `*` in it stands for any characters."""
    within: timedelta | None = None
    live: Path | None = None
    """Folder to write `live/<name>/` into."""
    layout: LiveLayoutName = "certbot"
    has_key: Callable[[CertificateRecord], bool] = lambda _record: True
    """Whether a certificate's key is here, so that there is something to write."""
    hooks: Sequence[str] = ()
    notes: Notes | None = None
    """Of names whose hooks are still to be run; they outlive this process."""
    tell: Callable[[dict[str, Any]], None] = lambda _told: None
    stop: Event = field(default_factory=Event)
    undeployed: dict[str, int] = field(default_factory=dict)
    """Serial numbers by name: renewed, and not written or announced with success yet."""

    def round(self) -> int:
        """Renew, write and run hooks for each certificate that is due; count the failures.

        One after the other; it ends before the next one if `stop` is set meanwhile.  What was
        renewed and not written or announced, by a process that died, is so now.
        """
        failures = 0
        self.undeployed |= {**dict(self._not_live()), **dict(self._noted())}
        for name in list(self.undeployed):
            if not self.stop.is_set():
                failures += self._is_failed("deploy", name, self._deploy, name)
        for record in self.manager.due_for_renewal(self.name, within=self.within):
            if not self.stop.is_set():
                failures += self._keep(record)
        return failures

    def _keep(self, record: CertificateRecord) -> int:
        name = record.common_name
        if self._is_failed("renew", name, self._renew, record):
            return 1
        return int(self._is_failed("deploy", name, self._deploy, name))

    def _not_live(self) -> Iterator[tuple[str, int]]:
        """Give names and serial numbers of active certificates whose live files are older."""
        from cryptography import x509

        wanted, now = CertificateFilter(common_name=self.name), datetime.now(UTC)
        links = [] if self.live is None else sorted((self.live / "live").glob("[!.]*"))
        for link in links:
            path = link / _CERTIFICATE_IN[self.layout]
            if path.is_file():
                shown = x509.load_pem_x509_certificate(path.read_bytes())
                old = self.manager.find_certificate(shown.serial_number)
                active = None if old is None else self.manager.find_certificate(old.common_name)
                if active is not None and active != old and wanted.matches(active, now):
                    yield active.common_name, active.serial_number

    def _noted(self) -> Iterator[tuple[str, int]]:
        """Give names and serial numbers of what was renewed, and is still to be announced."""
        wanted, now = CertificateFilter(common_name=self.name), datetime.now(UTC)
        for name, before in self.notes or ():
            active = self.manager.find_certificate(name)
            if active is not None and not wanted.matches(active, now):
                continue
            if self.notes is not None and (active is None or active.serial_number == before):
                # It was not renewed, or is revoked meanwhile.
                self.notes.remove(name)
            elif active is not None:
                yield name, active.serial_number

    def _is_failed(self, doing: str, name: str, work: Callable[..., None], *given: Any) -> bool:
        """Do it; a failure is told, and tried again in the next round."""
        try:
            work(*given)
        except (TinyCAError, OSError, subprocess.SubprocessError) as error:
            self.tell({"event": "failed", "doing": doing, "common_name": name, "why": str(error)})
            return True
        return False

    def _renew(self, old: CertificateRecord) -> None:
        lifetime = old.not_after - old.not_before
        if self.notes is not None:
            # First, since this process may die as soon as it is renewed.
            self.notes.add(old.common_name, old.serial_number)
        certificate = self.manager.renew_certificate(old.serial_number, valid_for=lifetime)
        self.undeployed[old.common_name] = certificate.serial_number
        self.tell(
            {
                "event": "renewed",
                "common_name": old.common_name,
                "serial": hex_of(certificate.serial_number),
                "not_after": certificate.not_valid_after_utc,
            }
        )

    def _deploy(self, name: str) -> None:
        serial_number = self.undeployed[name]
        environment = {
            **os.environ,
            "TINY_CA_RENEWED_NAME": name,
            "TINY_CA_RENEWED_SERIAL": hex_of(serial_number),
        }
        record = self.manager.find_certificate(serial_number)
        if self.live is not None and record is not None and self.has_key(record):
            written = self.manager.write_live(serial_number, self.live, layout=self.layout)
            environment["TINY_CA_RENEWED_LIVE"] = str(written.absolute())
        for hook in self.hooks:
            run_hook(hook, environment)
        del self.undeployed[name]
        if self.notes is not None:
            self.notes.remove(name)
        if self.hooks or self.live is not None:
            self.tell({"event": "deployed", "common_name": name, "serial": hex_of(serial_number)})


def keep(name: str, wanted: InTime, common: Change) -> int:
    """Renew what is due now or, as a daemon, again after each pause until SIGTERM.

    Gives the exit code: 1 if something failed in a single round.
    """
    hooks, pause = wanted.deploy_hook or (), wanted.pause
    for hook in hooks:
        check_hook(hook)
    out, told = Output(common), list[dict[str, Any]]()
    # A daemon has no end to wait for: it writes a line for each event.
    is_one_document = out.is_json and (pause is None or common.dry_run)
    with opened(common, signs=True) as ca, _told_to_stop() as stop:
        live = _live_of(ca) if wanted.live is None else wanted.live
        keeper = Keeper(
            ca.manager,
            name,
            within=wanted.within,
            live=live,
            layout=wanted.layout,
            has_key=lambda record: "key" in ca.files_of(record),
            hooks=hooks,
            notes=Notes((live or ca.settings.base_folder) / "live") if hooks else None,
            tell=told.append if is_one_document else _teller(out),
            stop=stop,
        )
        code = _kept(keeper, ca, pause, common)
    if is_one_document:
        out.document(told)
    return code


def _kept(keeper: Keeper, ca: Opened, pause: timedelta | None, common: Change) -> int:
    if common.dry_run:
        return _rehearse(keeper, ca)
    if pause is None:
        return ExitCode.FAILED if keeper.round() else ExitCode.DONE
    _keep_on(keeper, pause)
    return ExitCode.DONE


def _live_of(ca: Opened) -> Path | None:
    """Where `tiny-ca issue` writes, too: nowhere if keys are to stay encrypted."""
    return ca.settings.base_folder if ca.settings.passphrase is None else None


def _rehearse(keeper: Keeper, ca: Opened) -> int:
    for record in ca.manager.due_for_renewal(keeper.name, within=keeper.within):
        keeper.tell(
            {
                "event": "due",
                "common_name": record.common_name,
                "serial": hex_of(record.serial_number),
                "not_after": record.not_after,
            }
        )
    return ExitCode.DONE


def _keep_on(keeper: Keeper, every: timedelta) -> None:
    with warnings.catch_warnings():
        # Each time, not only the first.
        warnings.simplefilter("always", UserWarning)
        while not keeper.stop.is_set():
            try:
                keeper.round()
            except (TinyCAError, OSError) as error:
                # A database that is away comes back.
                keeper.tell({"event": "failed", "doing": "look", "why": str(error)})
            jitter = every * _random.randrange(100) * _JITTER / 10_000
            keeper.stop.wait((every + jitter).total_seconds())
    keeper.tell({"event": "stopped"})


@contextmanager
def _told_to_stop() -> Iterator[Event]:
    """Give what SIGTERM and SIGINT set: what is under way is brought to its end."""
    stop = Event()
    before = {
        number: signal.signal(number, lambda *_args: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _teller(out: Output) -> Callable[[dict[str, Any]], None]:
    def tell(told: dict[str, Any]) -> None:
        if not out.json_line(told):
            moment = told.get("not_after")
            parts = [told["event"], told.get("doing"), told.get("common_name"), told.get("serial")]
            if moment is not None:
                parts.append(f"until {day(moment)}")
            line = " ".join(str(part) for part in parts if part)
            out.line(f"{line}: {told['why']}" if "why" in told else line)
        out.flush()

    return tell
