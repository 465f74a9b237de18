"""What tiny_ca 0.1.1 loaded as a CA, and what it did on being imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from tests.regression.world import PROJECT, ROOT_CONFIG, World, leaf
from tiny_ca import (
    CAFileLoader,
    CertificateFactory,
    CertLifecycleManager,
    CertType,
    KeyAlgorithm,
    LocalStorage,
)
from tiny_ca.domain.errors import ErrorLoadCert


@pytest.fixture
def ca_files(world: World) -> tuple[Path, Path]:
    with world.manager() as manager:
        return manager.create_self_signed_ca(ROOT_CONFIG)


class TestCAs:
    def test_a_leaf_was_loaded(self, manager: CertLifecycleManager, world: World) -> None:
        manager.issue_certificate(leaf(), uuid_str="leaf")
        folder = world.base / "leaf"
        with pytest.raises(ErrorLoadCert, match="not a CA"):
            CAFileLoader(folder / "a.internal.pem", folder / "a.internal.key")

    def test_a_leaf_of_their_type_is_none_to_choose_from(
        self, manager: CertLifecycleManager
    ) -> None:
        root = manager.factory.certificate
        manager.issue_certificate(leaf(serial_type=CertType.CA))
        manager.open_ca()
        assert manager.factory.certificate == root

    def test_the_key_of_another_was_loaded(
        self, ca_files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        storage = LocalStorage(tmp_path / "other")
        key, _ = storage.save_certificate(ec.generate_private_key(ec.SECP256R1()), "ca")
        with pytest.raises(ErrorLoadCert, match="does not belong"):
            CAFileLoader(ca_files[0], key)

    @pytest.mark.parametrize("algorithm", [KeyAlgorithm.P256, KeyAlgorithm.P384])
    def test_one_with_an_elliptic_curve_key_was_refused(
        self, tmp_path: Path, algorithm: KeyAlgorithm
    ) -> None:
        ca, key = CertificateFactory.build_self_signed_ca(key_algorithm=algorithm)
        storage = LocalStorage(tmp_path / "pki")
        paths = [storage.save_certificate(part, "ca", uuid_str="ca")[0] for part in (ca, key)]
        factory = CertificateFactory(CAFileLoader(*paths))
        certificate, _, _ = factory.issue_certificate("a.internal", key_algorithm=algorithm)
        factory.validate_cert(certificate)

    def test_a_missing_or_other_passphrase_is_typed(self, world: World) -> None:
        storage = LocalStorage(world.base, base_encryption_algorithm=BestAvailableEncryption(b"pw"))
        with world.manager(storage=storage) as manager:
            certificate, key = manager.create_self_signed_ca(ROOT_CONFIG)
        assert CAFileLoader(certificate, key, "pw").ca_cert.subject
        for passphrase in (None, "sesame", b""):
            with pytest.raises(ErrorLoadCert) as caught:
                CAFileLoader(certificate, key, passphrase)
            assert "sesame" not in str(caught.value)

    def test_files_that_hold_something_else(
        self, ca_files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        certificate, key = ca_files
        garbage = tmp_path / "garbage.pem"
        garbage.write_bytes(b"\xff" * 100)
        for pair in ((garbage, key), (certificate, garbage), (key, certificate)):
            with pytest.raises(ErrorLoadCert):
                CAFileLoader(*pair)


def _python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(PROJECT)},
        timeout=60,
        check=False,
    )


def test_importing_set_up_a_debug_logger_on_stderr(tmp_path: Path) -> None:
    code = """
import logging, threading
import tiny_ca
for name in tiny_ca.__all__:
    getattr(tiny_ca, name)
import tiny_ca.settings
library = [logger for name, logger in logging.root.manager.loggerDict.items()
           if name.startswith("tiny_ca") and isinstance(logger, logging.Logger)]
assert library, "the logger is called tiny_ca"
assert not logging.root.handlers
assert all(logger.level == logging.NOTSET for logger in library)
assert all(type(one) is logging.NullHandler for logger in library for one in logger.handlers)
assert threading.active_count() == 1
"""
    done = _python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_the_async_manager_printed_to_stdout(tmp_path: Path) -> None:
    code = """
import asyncio
from tiny_ca import *

async def main():
    async with AsyncCertLifecycleManager(
        AsyncLocalStorage("pki"), db_handler=AsyncDBHandler("sqlite+aiosqlite:///r.db")
    ) as manager:
        await manager.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        config = ClientConfig(common_name="a.internal", key_algorithm="p-256")
        first, _, _ = await manager.issue_certificate(config)
        second, _, _ = await manager.rotate_certificate(first.serial_number, config)
        await manager.verify_certificate(second)
        await manager.revoke_certificate(second.serial_number)
        await manager.generate_crl()
        await manager.recover()

asyncio.run(main())
"""
    done = _python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert x509.load_pem_x509_crl((tmp_path / "pki/crl.pem").read_bytes())
