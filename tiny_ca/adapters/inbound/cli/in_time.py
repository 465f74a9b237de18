"""The options of renewing in time: once, or as a daemon."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.live import LiveLayoutName

__all__ = ["AT_ONCE", "InTime"]

_GROUP = Group("In time", sort_key=20)
_HOUR = 3600


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True, kw_only=True)
class InTime:
    """When to look for what is due, and whom to tell."""

    due: Annotated[
        bool,
        Parameter(help="Only if it is due: its last third has begun. CERT may have `*` then."),
    ] = False
    daemon: Annotated[
        bool, Parameter(help="As --due, again and again until SIGTERM; failures are tried again.")
    ] = False
    before: Annotated[
        int | None, Parameter(help="Due so many days before its end. With --due or --daemon.")
    ] = None
    every: Annotated[
        int | None, Parameter(help="Seconds between two looks, and up to 10% more. Default: 3600.")
    ] = None
    live: Annotated[
        Path | None,
        Parameter(help="Have live/NAME/ in this folder, not the CA's own. With --due or --daemon."),
    ] = None
    layout: Annotated[LiveLayoutName, Parameter(help="What they are called there.")] = "certbot"
    deploy_hook: Annotated[
        list[str] | None,
        Parameter(help="Run this, without a shell, after each renewal; repeat it for more."),
    ] = None

    @property
    def is_asked(self) -> bool:
        """Whether only what is due is meant.  Raises `InvalidRequest` for options without that."""
        if self.due or self.daemon:
            return True
        if any(each is not None for each in (self.before, self.every, self.live, self.deploy_hook)):
            raise InvalidRequest(
                "--before, --every, --live and --deploy-hook want --due or --daemon."
            )
        return False

    @property
    def within(self) -> timedelta | None:
        """How long before its end a certificate is due; `None`: when its last third has begun."""
        return None if self.before is None else timedelta(days=self.before)

    @property
    def pause(self) -> timedelta | None:
        """How long to wait between two looks; `None`: there is one.  Raises `InvalidRequest`."""
        if not self.daemon:
            return None
        pause = timedelta(seconds=_HOUR if self.every is None else self.every)
        if pause <= timedelta(0):
            raise InvalidRequest("--every is 1 second or more.")
        return pause


AT_ONCE = InTime()
