"""`tiny-ca trust`."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tiny_ca.adapters.inbound.cli.errors import ExitCode
from tiny_ca.adapters.inbound.cli.opening import Opened, opened
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output, working
from tiny_ca.adapters.inbound.cli.trust_plan import (
    JAVA_PASSWORD,
    Action,
    Facts,
    Root,
    Step,
    Store,
    plan,
)
from tiny_ca.adapters.inbound.cli.trust_runner import Outcome, State, facts_here, run
from tiny_ca.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["app"]

app = App(
    name="trust", help_format="plaintext", help="Let this machine trust the CA, or no longer."
)

_JAVAS_OWN = "changeit"
"""What the keystore that comes with Java is opened by, everywhere."""
_Stores = Annotated[
    list[Store] | None,
    Parameter(name="--store", help="system, nss or java; repeat it. Otherwise all."),
]
_NSS = Annotated[
    list[Path] | None,
    Parameter(name="--nss", help="Folder of an NSS database. Otherwise those of the browsers."),
]
_Java = Annotated[
    list[Path] | None, Parameter(name="--java", help="Java keystore. Otherwise Java's own.")
]
_JavaPassword = Annotated[
    Path | None,
    Parameter(help="File with the Java keystore's password. Otherwise `changeit`, as Java's own."),
]
_PrintOnly = Annotated[
    bool, Parameter(name="--dry-run", help="Print the commands; run none that changes something.")
]


@app.command
def install(
    *,
    store: _Stores = None,
    nss: _NSS = None,
    java: _Java = None,
    java_password_file: _JavaPassword = None,
    dry_run: _PrintOnly = False,
    common: Common = COMMON,
) -> int:
    """Let this machine trust the CA: system, browsers (NSS), Java.

    What only root can do is printed, to be copied, unless you are root.

    For example:

        tiny-ca trust install
        sudo tiny-ca trust install --store system
    """
    chosen = _Chosen(store, nss, java, java_password_file, is_printed=dry_run)
    return _do(Action.INSTALL, chosen, common)


@app.command
def uninstall(
    *,
    store: _Stores = None,
    nss: _NSS = None,
    java: _Java = None,
    java_password_file: _JavaPassword = None,
    dry_run: _PrintOnly = False,
    common: Common = COMMON,
) -> int:
    """Take the CA out of what this machine trusts.

    For example:

        tiny-ca trust uninstall
    """
    chosen = _Chosen(store, nss, java, java_password_file, is_printed=dry_run)
    return _do(Action.UNINSTALL, chosen, common)


class _Chosen:
    """What the options say."""

    def __init__(
        self,
        stores: Sequence[Store] | None,
        nss: Sequence[Path] | None,
        java: Sequence[Path] | None,
        java_password_file: Path | None,
        *,
        is_printed: bool,
    ) -> None:
        named = [each for each, paths in ((Store.NSS, nss), (Store.JAVA, java)) if paths]
        # Whoever names a database means that one.
        self.stores = list(dict.fromkeys(stores or named or list(Store)))
        self._nss, self._java = tuple(nss or ()), tuple(java or ())
        self._password_file = java_password_file
        self.is_printed = is_printed

    def facts(self) -> Facts:
        """What there is, or what was named in its place.  Raises `InvalidRequest`."""
        found = facts_here(Path.home(), os.environ.get("JAVA_HOME"))
        for path in (*(each / "cert9.db" for each in self._nss), *self._java):
            if not path.is_file():
                raise InvalidRequest(f"There is no {path}: name a store that there is.")
        if self._nss:
            found = replace(found, nss_databases=self._nss)
        return replace(found, keystores=self._java) if self._java else found

    @property
    def password_word(self) -> str:
        """The Java keystore's password, for a shell."""
        if self._password_file is None:
            return _JAVAS_OWN
        return f'"$(cat {shlex.quote(str(self._password_file.resolve()))})"'

    def secrets(self) -> dict[str, str]:
        """What goes to programs by their environment."""
        if self._password_file is None:
            return {JAVA_PASSWORD: _JAVAS_OWN}
        return {JAVA_PASSWORD: self._password_file.read_text().rstrip("\r\n")}


def _do(action: Action, chosen: _Chosen, common: Common) -> int:
    out = Output(common)
    with opened(common, signs=True) as ca:
        roots = [_root_of(ca, one, is_printed=chosen.is_printed) for one in _roots(ca)]
    facts, secrets = chosen.facts(), chosen.secrets()
    steps = [step for root in roots for step in plan(action, root, facts, chosen.stores)]
    if not steps:
        raise InvalidRequest("There is none of these stores here: name one with --nss or --java.")
    if chosen.is_printed:
        outcomes = [Outcome(step, State.FOR_ROOT) for step in steps]
    else:
        with working("Changing trust stores"):
            outcomes = run(action, steps, secrets)
    if not out.document([_told(one) for one in outcomes]):
        _tell(outcomes, out, chosen)
    is_failed = any(one.state is State.FAILED for one in outcomes)
    return ExitCode.FAILED if is_failed else ExitCode.DONE


def _roots(ca: Opened) -> "list[x509.Certificate]":
    return ca.manager.trusted_roots()


def _root_of(ca: Opened, root: "x509.Certificate", *, is_printed: bool) -> Root:
    from cryptography.hazmat.primitives.hashes import SHA256

    from tiny_ca.adapters.outbound.storage import PEM
    from tiny_ca.application.export import name_of
    from tiny_ca.ports.issuer import own_issuer_id

    digest = root.fingerprint(SHA256()).hex()
    folder = ca.settings.base_folder
    records = ca.manager.iter_certificates(issuer_id=own_issuer_id(root), key_type="ca")
    paths = [
        path
        for record in records
        if record.serial_number == root.serial_number
        for end, path in ca.files_of(record).items()
        if end == "pem"
    ]
    pem = paths[0] if paths else folder / f"root-{digest[:16]}.pem"
    if not paths and not is_printed:
        # An imported root has no files: programs want one.
        PEM.of_certificates([root]).write_to_path(pem)
    nickname = f"tiny-ca {name_of(root)} {digest[:8]}"
    return Root(pem.resolve(), nickname.lower(), f"tiny-ca-{digest[:16]}.crt")


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "store": outcome.step.store,
        "where": outcome.step.where,
        "state": outcome.state,
        "reason": outcome.reason or None,
        "commands": [shlex.join(command) for command in outcome.step.commands],
    }


def _tell(outcomes: Sequence[Outcome], out: Output, chosen: _Chosen) -> None:
    left = [one.step for one in outcomes if one.state is State.FOR_ROOT]
    for one in outcomes:
        if one.state is not State.FOR_ROOT:
            why = f": {one.reason}" if one.reason else ""
            out.line(f"{one.state:12}{one.step.store} {one.step.where}{why}")
    if left:
        out.line("Would run:" if chosen.is_printed else "As root, run:")
        for step in left:
            for command in step.commands:
                out.line(f"    {_to_copy(step, command, chosen)}")


def _to_copy(step: Step, command: Sequence[str], chosen: _Chosen) -> str:
    """Give a command as a shell takes it: with the rights and the password that it needs."""
    words = shlex.join(command)
    if step.store is Store.JAVA:
        words = f"env {JAVA_PASSWORD}={chosen.password_word} {words}"
    is_others = os.geteuid() != 0 and (step.needs_root or not os.access(step.where, os.W_OK))
    return f"sudo {words}" if is_others else words
