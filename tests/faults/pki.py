"""A CA in a folder, and what has to be true of it whatever happened there."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tiny_ca import CAConfig, CertLifecycleManager, ClientConfig, LocalStorage, SyncDBHandler
from tiny_ca.application.recover import Recovery

AT_ONCE = timedelta(0)
NOTHING = Recovery(published=0, abandoned=0, discarded=0)
ROOT = CAConfig(common_name="Test Root", organization="ACME", key_algorithm="p-256")
LEAVES = {"old.internal": ("services", "old"), "revoked.internal": ("services", "revoked")}
"""Common name, folder and uuid of what a prepared CA has issued."""


SUB = CAConfig(common_name="Sub CA", key_algorithm="p-256", days_valid=900)
REQUESTS = ("new.internal", "newer.internal", "newest.internal")
"""What is asked for by CSRs."""


def csr(common_name: str) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    key = ec.generate_private_key(ec.SECP256R1())
    return x509.CertificateSigningRequestBuilder(subject).sign(key, SHA256())


def leaf(common_name: str) -> ClientConfig:
    return ClientConfig(common_name=common_name, key_algorithm="p-256")


def manager_of(folder: Path, *, opened: bool = False) -> CertLifecycleManager:
    manager = CertLifecycleManager(
        storage=LocalStorage(folder / "pki"),
        db_handler=SyncDBHandler(f"sqlite:///{folder / 'registry.db'}"),
    )
    if opened:
        manager.open_ca()
    return manager


def prepare(manager: CertLifecycleManager) -> None:
    """Make a CA with one valid certificate, a revoked one, and a CRL that says so."""
    manager.create_self_signed_ca(ROOT)
    for name, (parent, uuid) in LEAVES.items():
        certificate, _, _ = manager.issue_certificate(leaf(name), parent, uuid)
    manager.revoke_certificate(certificate.serial_number)
    manager.generate_crl()


@dataclass(frozen=True)
class Folder:
    """The files of a CA and of its database, seen past the library."""

    path: Path

    @property
    def base(self) -> Path:
        return self.path / "pki"

    @property
    def staging(self) -> Path:
        return self.base / ".staging"

    def copy(self, to: Path) -> "Folder":
        """Give a copy as young as if it was made just now: recovery leaves young files alone."""
        made = Path(shutil.copytree(self.path, to))
        for path in made.rglob("*"):
            os.utime(path)
        return Folder(made)

    def manager(self) -> CertLifecycleManager:
        return manager_of(self.path)

    def statuses(self) -> dict[int, str]:
        """Every serial number that is on record, and its status."""
        database = self.path / "registry.db"
        if not database.exists():
            return {}
        with closing(sqlite3.connect(database)) as connection:
            if not connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'certificates'"
            ).fetchone():
                return {}
            rows = connection.execute("SELECT serial_number, status FROM certificates ORDER BY id")
            found = [(int(serial), status) for serial, status in rows]
        assert len(dict(found)) == len(found), "a serial number was used twice"
        return dict(found)

    def serial_of(self, common_name: str) -> int:
        parent, uuid = LEAVES[common_name]
        return certificate_in(self.base / parent / uuid).serial_number

    def published(self) -> dict[int, Path]:
        """Every folder that others can see, by the certificate in it: all of them whole."""
        folders = {path.parent for path in self.base.rglob("*.*") if path.is_file()}
        visible = [path for path in folders if self.staging not in (path, *path.parents)]
        return {check_whole(path): path for path in visible if path != self.base}

    def signed(self) -> set[int]:
        """Every certificate that was ever signed, from the witness and from all files."""
        return {
            x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            for path in (*self.path.glob("witness/*.pem"), *self.base.rglob("*.pem"))
            # A file that is being written, of a process that died, may still be empty.
            if path.name != "crl.pem" and path.stat().st_size
        }

    def staged(self) -> list[str]:
        return sorted(path.name for path in self.staging.glob("*"))

    def crl(self) -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl((self.base / "crl.pem").read_bytes())

    def check(self, manager: CertLifecycleManager) -> None:
        """Recover in steps, and check after each what has to be true then."""
        found = self.statuses()
        assert self.signed() <= found.keys(), "signed without a record"
        staged = self.staged()
        self.published()
        recovery = manager.recover()
        assert manager.recover() == NOTHING
        assert recovery.published or self.staged() == staged, "young files were not left alone"
        young = {serial: status for serial, status in found.items() if status == "pending"}
        assert young.items() <= self.statuses().items(), "a young row was not left alone"
        manager.recover(AT_ONCE)
        assert manager.recover(AT_ONCE) == NOTHING
        self.check_settled()

    def check_settled(self) -> None:
        """Check that nothing is left half-way."""
        statuses = self.statuses()
        assert "pending" not in statuses.values()
        assert not self.staged()
        published = self.published()
        for serial in published:
            assert statuses[serial] in {"valid", "revoked"}
        for serial, status in statuses.items():
            assert status != "valid" or serial in published, "valid, and its files are lost"
        assert self.signed() <= statuses.keys()


def certificate_in(folder: Path) -> x509.Certificate:
    (path,) = folder.glob("*.pem")
    return x509.load_pem_x509_certificate(path.read_bytes())


def check_whole(folder: Path) -> int:
    """Check that all files of a certificate are there and belong together; give its serial."""
    extensions = sorted(path.suffix for path in folder.iterdir() if path.is_file())
    certificate = certificate_in(folder)
    is_root = certificate.issuer == certificate.subject
    of_request = not is_root and ".key" not in extensions
    expected = [".csr", ".pem"] if of_request else [".csr", ".key", ".pem"]
    assert extensions == ([".key", ".pem"] if is_root else expected), folder
    for path in folder.glob("*.key"):
        key = load_pem_private_key(path.read_bytes(), None)
        assert key.public_key() == certificate.public_key()
    for path in folder.glob("*.csr"):
        assert x509.load_pem_x509_csr(path.read_bytes()).public_key() == certificate.public_key()
    return certificate.serial_number


def crl_number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
