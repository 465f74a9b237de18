"""Fixtures of the command line's tests."""

import shutil
from pathlib import Path

import pytest

from tests.command_line import tiny_ca


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, with no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("BASE_FOLDER", "CONFIG_FILE", "KEY_PASSPHRASE", "COMMON_NAME", "DB_URL"):
        monkeypatch.delenv(f"TINY_CA_{name}", raising=False)


@pytest.fixture(scope="session")
def prepared_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a CA, `Root`, to copy."""
    folder = tmp_path_factory.mktemp("prepared") / "pki"
    made = tiny_ca("init", folder, "--name", "Root")
    assert made.code == 0, made.err
    return folder


@pytest.fixture
def pki(prepared_pki: Path, tmp_path: Path, in_an_empty_folder: None) -> Path:
    """Give the folder of a new CA, `Root`, beside which one stands."""
    return Path(shutil.copytree(prepared_pki, tmp_path / "my-pki"))
