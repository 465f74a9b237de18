"""Fixtures of the fault tests."""

from collections.abc import Iterator

import pytest

from tests.faults.pki import Folder, prepare
from tests.faults.tracing import Server
from tests.support import need


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    need("strace")
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A CA to copy: one valid certificate, one revoked, one CRL; nobody has it open."""
    folder = Folder(tmp_path_factory.mktemp("prepared") / "ca")
    folder.path.mkdir()
    with folder.manager() as manager:
        prepare(manager)
    return folder
