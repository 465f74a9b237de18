"""`tiny-ca completion`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tiny_ca.adapters.inbound.cli.main import app
from tiny_ca.adapters.inbound.cli.options import COMMON, Common
from tiny_ca.adapters.inbound.cli.output import Output
from tiny_ca.domain.errors import InvalidRequest

__all__ = ["completion"]

Shell = Literal["bash", "zsh", "fish"]


def completion(
    shell: Annotated[
        Shell | None, Parameter(name="SHELL", help="By default the one that you use.")
    ] = None,
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Print a script that completes commands.

    For example:

        tiny-ca completion bash > ~/.local/share/bash-completion/completions/tiny-ca
        tiny-ca completion zsh > ~/.zfunc/_tiny-ca
        tiny-ca completion fish > ~/.config/fish/completions/tiny-ca.fish
    """
    chosen = shell or _own_shell()
    script = app().generate_completion(prog_name="tiny-ca", shell=chosen)
    if not Output(common).document({"shell": chosen, "script": script}):
        sys.stdout.write(script)


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    shells: dict[str, Shell] = {"bash": "bash", "zsh": "zsh", "fish": "fish"}
    if name not in shells:
        raise InvalidRequest("Say which shell: bash, zsh or fish.")
    return shells[name]
