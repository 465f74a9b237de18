"""The table of commands: where each one is, to be imported when it is called."""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["COMMANDS", "Command", "all_commands", "overview"]

_HERE = "tiny_ca.adapters.inbound.cli"


class Command(NamedTuple):
    """A command, or an app of commands."""

    name: str
    target: str
    """Module of this package and, after a colon, function or `cyclopts.App`."""
    summary: str
    """The first line of its docstring, without the full stop."""

    @property
    def path(self) -> str:
        """Where to import it from."""
        return f"{_HERE}.{self.target}"


COMMANDS = {
    "Begin": (
        Command("init", "making:init", "Make a CA in a folder"),
        Command(
            "migrate", "migrating:migrate", "Bring a registry of tiny_ca 0.1.1 to this version"
        ),
        Command("completion", "completing:completion", "Print a script that completes commands"),
    ),
    "Certificates": (
        Command("issue", "issuing:issue", "Issue a certificate with a new key"),
        Command("sign", "renewing:sign", "Sign a request for a key that somebody else keeps"),
        Command(
            "renew", "renewing:renew", "Issue a certificate like an old one: same key, new period"
        ),
        Command("rotate", "renewing:rotate", "Replace a certificate by one with a new key"),
        Command("revoke", "revoking:revoke", "Revoke certificates"),
    ),
    "Look": (
        Command("list", "listing:list_certificates", "List certificates, newest first"),
        Command(
            "expiring",
            "listing:expiring",
            "List the valid certificates that end soon, soonest first",
        ),
        Command("show", "listing:show", "Show a certificate on record"),
        Command("inspect", "inspecting:inspect", "Show what any certificate says, whoever made it"),
        Command(
            "verify",
            "verifying:verify",
            "Verify a certificate: its path, period, names, and that it is not revoked",
        ),
    ),
    "Publish": (
        Command("crl", "publishing:crl", "Sign a CRL and put it into its files"),
        Command(
            "publish",
            "publishing:publish",
            "Publish every CRL that is due, of every CA whose key is here",
        ),
        Command("ocsp", "ocsp:app", "OCSP: answer a request, ask for a status"),
        Command("serve", "serving:serve", "Serve OCSP, CRLs and CAs' certificates over HTTP"),
    ),
    "CAs, kinds, copies": (
        Command(
            "ca",
            "authorities:app",
            "CAs: list, intermediate, request, import, import-history, rollover",
        ),
        Command("profile", "profiles:app", "Kinds of certificates: list, show, check"),
        Command("backup", "backing_up:backup", "Copy registry, files and CRLs into one file"),
        Command("restore", "backing_up:restore", "Restore a backup into an empty folder"),
    ),
    "Keep it going": (
        Command("needs-renewal", "keeping:needs_renewal", "Say whether a certificate is due"),
        Command("doctor", "doctoring:doctor", "Compare registry, files and CRLs"),
        Command("trust", "trusting:app", "Let this machine trust the CA, or no longer"),
    ),
}
"""By heading, in the order of `tiny-ca --help`."""


def all_commands() -> Iterator[Command]:
    """Give every command."""
    for commands in COMMANDS.values():
        yield from commands


def overview() -> str:
    """Give what `tiny-ca --help` prints: without cyclopts, which takes longer to import."""
    lines = [
        "Usage: tiny-ca [-C FOLDER] COMMAND ...",
        "",
        "A certificate authority in a folder.",
        "",
        "Example:",
        "",
        "    tiny-ca init my-pki --issue localhost 127.0.0.1",
    ]
    for heading, commands in COMMANDS.items():
        lines += ["", f"{heading}:"]
        lines += [f"  {each.name:14}{each.summary}." for each in commands]
    lines += [
        "",
        "`tiny-ca COMMAND --help` says more, with an example. --version says which this is.",
    ]
    return "\n".join(lines)
