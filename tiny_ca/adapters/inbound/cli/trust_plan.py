"""Which commands let a machine trust a root, or no longer: planned, not run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["JAVA_PASSWORD", "Action", "Facts", "Root", "Step", "Store", "plan"]

JAVA_PASSWORD = "TINY_CA_KEYSTORE_PASSWORD"  # noqa: S105 - the variable's name
"""The environment variable that keytool reads the keystore's password from."""


Command = tuple[str, ...]


class Action(StrEnum):
    """What is done to a store."""

    INSTALL = "install"
    UNINSTALL = "uninstall"


class Store(StrEnum):
    """Where machines keep whom they trust."""

    SYSTEM = "system"
    NSS = "nss"
    JAVA = "java"


@dataclass(frozen=True, slots=True)
class Root:
    """A root to be trusted: its file, and what stores are to call it."""

    pem: Path
    nickname: str
    """Different for each root."""
    file_name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is there on a machine."""

    debian_folder: Path | None = None
    """Of local CAs, that `update-ca-certificates` reads."""
    fedora_folder: Path | None = None
    """Of local CAs, that `update-ca-trust` reads."""
    nss_databases: tuple[Path, ...] = ()
    keystores: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A store's part: commands, one after the other, each a program and its arguments."""

    store: Store
    where: Path
    commands: tuple[Command, ...]
    check: Command
    """Succeeds if the root is in the store."""
    needs_root: bool = False
    """Whether only root can; else whoever may write to *where*."""


def plan(action: Action, root: Root, facts: Facts, stores: Sequence[Store]) -> list[Step]:
    """Give the steps for every one of *stores* that the machine has."""
    makers: dict[Store, Callable[[Action, Root, Facts], Iterator[Step]]] = {
        Store.SYSTEM: _system,
        Store.NSS: _nss,
        Store.JAVA: _java,
    }
    return [step for store in stores for step in makers[store](action, root, facts)]


def _system(action: Action, root: Root, facts: Facts) -> Iterator[Step]:
    for folder, update in (
        (facts.debian_folder, ("update-ca-certificates",)),
        (facts.fedora_folder, ("update-ca-trust", "extract")),
    ):
        if folder is not None:
            place = folder / root.file_name
            change: Command = ("install", "-m", "0644", str(root.pem), str(place))
            if action is Action.UNINSTALL:
                change = ("rm", "-f", str(place))
            present = ("cmp", "-s", str(root.pem), str(place))
            yield Step(Store.SYSTEM, folder, (change, update), present, needs_root=True)


def _nss(action: Action, root: Root, facts: Facts) -> Iterator[Step]:
    for folder in facts.nss_databases:
        database = ("certutil", "-d", f"sql:{folder}")
        change: Command = (*database, "-A", "-t", "C,,", "-n", root.nickname, "-i", str(root.pem))
        if action is Action.UNINSTALL:
            change = (*database, "-D", "-n", root.nickname)
        yield Step(Store.NSS, folder, (change,), (*database, "-L", "-n", root.nickname))


def _java(action: Action, root: Root, facts: Facts) -> Iterator[Step]:
    for keystore in facts.keystores:
        # From the environment, never among arguments, which everybody can read.
        access = ("-keystore", str(keystore), "-storepass:env", JAVA_PASSWORD)
        entry = (*access, "-alias", root.nickname)
        change: Command = ("keytool", "-importcert", "-noprompt", *entry, "-file", str(root.pem))
        if action is Action.UNINSTALL:
            change = ("keytool", "-delete", *entry)
        yield Step(Store.JAVA, keystore, (change,), ("keytool", "-list", *entry))
