"""Durable file operations: nothing is reported done before it would survive a power loss."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tiny_ca.domain.errors import StorageError

__all__ = [
    "OWNER_ONLY",
    "PUBLIC",
    "locked",
    "make_folders",
    "move_into_place",
    "new_file",
    "remove",
    "storage_errors",
    "sync_folder",
    "sync_tree",
    "write_new",
]

_FOLDER_MODE = 0o700
OWNER_ONLY = 0o600
PUBLIC = 0o644


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError` that says what was being done."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{doing}: {error.strerror or error} ({error.filename})") from error


def sync_folder(path: Path) -> None:
    """Make what a folder lists durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Make everything below a folder durable, in much less time than file by file."""
    # Systems differ in whether sync waits; after it there is little left to wait for.
    os.sync()
    for folder, _, files in os.walk(path):
        for name in files:
            descriptor = os.open(Path(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(folder))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder's lock, which threads and processes respect, and which dies with its owner."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_folders(path: Path) -> None:
    """Make a folder and its parents durably, each for the owner only."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir(mode=_FOLDER_MODE)
            sync_folder(folder.parent)


def write_new(path: Path, data: bytes, mode: int = OWNER_ONLY, *, sync: bool = True) -> None:
    """Write a new file, by default for the owner only, durable but for its folder's entry.

    Nothing is followed or replaced: `O_EXCL | O_NOFOLLOW`.  Without *sync* it is not durable.
    """
    with new_file(path, mode, sync=sync) as file:
        file.write(data)


@contextmanager
def new_file(path: Path, mode: int = OWNER_ONLY, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Give a new file to be written, and read again; durable at the end, as `write_new`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    with os.fdopen(descriptor, "w+b") as file:
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())


def move_into_place(source: Path, destination: Path) -> None:
    """Rename, and make both folders' entries durable."""
    os.rename(source, destination)
    sync_folder(destination.parent)
    if source.parent != destination.parent:
        sync_folder(source.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder and all in it, durably; none is no error."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        sync_folder(path.parent)
