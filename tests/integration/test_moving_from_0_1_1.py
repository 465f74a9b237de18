"""A registry and files that the real tiny_ca 0.1.1 made, opened in place."""

import json
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from tests.integration.legacy import DDL, filled_once, install_legacy, query, run_legacy
from tests.support import need, run, shared
from tiny_ca import (
    AsyncCertLifecycleManager,
    AsyncDBHandler,
    AsyncLocalStorage,
    CAFileLoader,
    CertificateFactory,
    CertificateStatus,
    CertLifecycleManager,
    CertSerialParser,
    CertType,
    ClientConfig,
    CRLReason,
    LocalStorage,
    OldRegistry,
    SyncDBHandler,
)
from tiny_ca.domain.errors import NotUniqueCertOwner, ValidationCertError

# In turn a service, a device, a user and something internal; every third is revoked, and every
# second lies in the folder `issued`.
COMMON_NAMES = (
    "nginx.internal",
    "dev-1",
    "alice",
    "monitor",
    "b.internal",
    "c",
    "d",
    "e",
    "*.example.com",
    "Rack 12 Sensor",
    "Jane Q. Public",
    "x" * 64,
    "very-long-host.some.department.example.com",
    "plant/7",
    "Олена Шевченко",
    "Zoë",
    "*.apps.example.com",
)
CA_NAME = "My Internal CA"


@pytest.fixture(scope="session")
def legacy_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with tiny_ca 0.1.1."""
    made = filled_once(
        tmp_path_factory, "tiny_ca-0.1.1", lambda folder: install_legacy(folder, "0.1.1")
    )
    return made / "bin" / "python"


@pytest.fixture(scope="session")
def left_behind(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which 0.1.1 worked."""
    script = shared("legacy/make_legacy_pki.py")
    arguments = (script, ",".join(COMMON_NAMES), CA_NAME)
    return filled_once(
        tmp_path_factory,
        "left-behind",
        lambda folder: run_legacy(legacy_python, folder, *arguments),
    )


class Old(NamedTuple):
    """A certificate of 0.1.1, and what is expected of it."""

    common_name: str
    cert_type: CertType
    reason: CRLReason | None
    certificate: x509.Certificate
    path: Path

    @property
    def serial_number(self) -> int:
        return self.certificate.serial_number

    @property
    def folder(self) -> Path:
        return self.path.parent


class Legacy(NamedTuple):
    """Where 0.1.1 worked, and what it said it did."""

    ca_cert: Path
    ca_key: Path
    issued: list[Old]

    @property
    def valid(self) -> list[Old]:
        return [old for old in self.issued if old.reason is None]

    @property
    def revoked(self) -> list[Old]:
        return [old for old in self.issued if old.reason is not None]

    def of(self, common_name: str) -> Old:
        return next(old for old in self.issued if old.common_name == common_name)

    def factory(self) -> CertificateFactory:
        return CertificateFactory(CAFileLoader(ca_cert_path=self.ca_cert, ca_key_path=self.ca_key))


@pytest.fixture
def legacy(left_behind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Legacy:
    """A copy of it all, in the current directory."""
    shutil.copytree(left_behind, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    expected = json.loads(Path("expected.json").read_text())
    files = {
        str(certificate.serial_number): (certificate, path)
        for path in Path("pki").rglob("*.pem")
        if path.name != "crl.pem"
        for certificate in [x509.load_pem_x509_certificate(path.read_bytes())]
    }
    issued = [
        Old(
            entry["common_name"],
            CertType[entry["type"]],
            # By its name in cryptography: "key_compromise".
            CRLReason[entry["revoked"].upper()] if "revoked" in entry else None,
            *files[entry["serial"]],
        )
        for entry in expected["issued"]
    ]
    assert [old.common_name for old in issued] == list(COMMON_NAMES)
    return Legacy(Path(expected["ca_cert"]), Path(expected["ca_key"]), issued)


@pytest.fixture(params=[SyncDBHandler, AsyncDBHandler])
def manager(request: pytest.FixtureRequest, legacy: Legacy) -> Iterator[CertLifecycleManager]:
    """Our manager, on the files and the registry where they are."""
    with CertLifecycleManager(
        LocalStorage("./pki"), legacy.factory(), request.param("sqlite:///pki.db")
    ) as opened:
        yield opened


def successor(common_name: str, **fields: Any) -> ClientConfig:
    return ClientConfig(common_name=common_name, key_algorithm="p-256", days_valid=30, **fields)


def serials_of(crl: x509.CertificateRevocationList) -> dict[int, x509.ReasonFlags]:
    """Give the serial numbers on a CRL with their reasons."""
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in crl
    }


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class TestTheRealPackage:
    def test_the_tables_of_these_tests_are_its_tables(
        self, legacy_python: Path, left_behind: Path
    ) -> None:
        def canonical(statements: Any) -> list[str]:
            return sorted(
                " ".join(text.split()).replace("( ", "(").replace(" )", ")") for text in statements
            )

        made = query(
            f"sqlite:///{left_behind / 'pki.db'}",
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL",
        )
        assert canonical(sql for (sql,) in made) == canonical(DDL["sqlite"])
        code = (
            "import json\n"
            "from sqlalchemy.dialects import postgresql\n"
            "from sqlalchemy.schema import CreateIndex, CreateTable\n"
            "from tiny_ca.db.models import CertificateRecord\n"
            "table = CertificateRecord.__table__\n"
            "made = [CreateTable(table), *map(CreateIndex, table.indexes)]\n"
            "print(json.dumps([str(m.compile(dialect=postgresql.dialect())) for m in made]))\n"
        )
        emitted = json.loads(run_legacy(legacy_python, left_behind, "-c", code))
        assert canonical(emitted) == canonical(DDL["postgresql"])

    def test_every_module_of_it_can_still_be_imported(
        self, legacy_python: Path, left_behind: Path
    ) -> None:
        code = """
import importlib, json, pkgutil, tiny_ca
found = {"tiny_ca": tiny_ca.__all__}
for info in pkgutil.walk_packages(tiny_ca.__path__, "tiny_ca."):
    module = importlib.import_module(info.name)
    own = [
        name for name, value in vars(module).items()
        if not name.startswith("_") and (
            getattr(value, "__module__", None) == info.name
            or name.isupper() and info.name in ("tiny_ca.const", "tiny_ca.settings")
        )
    ]
    found[info.name] = sorted({*own, *getattr(module, "__all__", ())})
print(json.dumps(found))
"""
        modules = json.loads(run_legacy(legacy_python, left_behind, "-c", code))
        assert len(modules) > 25
        # Base classes that no page of its documentation names, and logging's DEBUG.
        undocumented = {
            "tiny_ca.settings": {"DEBUG"},
            "tiny_ca.db.models": {"Base"},
            "tiny_ca.models.certtificate": {
                "BaseCertificateConfig",
                "BaseCertificateDataModel",
                "CommonNameCertificate",
            },
            "tiny_ca.utils.serial_generator": {"ISerialGenerator"},
        }
        missing = {
            (name, attribute)
            for name, attributes in modules.items()
            for attribute in attributes
            if attribute not in undocumented.get(name, ())
            and not hasattr(import_module(name), attribute)
        }
        assert missing == set()


class TestOpening:
    def test_every_row_is_kept(self, legacy: Legacy, manager: CertLifecycleManager) -> None:
        for old in legacy.issued:
            status = CertificateStatus.REVOKED if old.reason else CertificateStatus.VALID
            assert manager.get_certificate_status(old.serial_number) is status
        rows = query(
            "sqlite:///pki.db",
            "SELECT serial_number, common_name, cert_type, status, revocation_reason, uuid,"
            " name_claim, certificate_pem FROM certificates ORDER BY id",
        )
        ca, *leaves = rows
        assert ca[1:5] == (CA_NAME, "CA", "valid", None)
        assert leaves == [
            (
                str(old.serial_number),
                old.common_name,
                old.cert_type.value,
                "revoked" if old.reason else "valid",
                old.reason and old.reason.value,
                old.folder.name,
                None if old.reason else old.common_name,
                old.path.read_text(),
            )
            for old in legacy.issued
        ]

    def test_opening_again_changes_nothing(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        manager.get_certificate_status(1)
        before = query("sqlite:///pki.db", "SELECT * FROM certificates ORDER BY id")
        with CertLifecycleManager(
            LocalStorage("./pki"), db_handler=SyncDBHandler("sqlite:///pki.db")
        ) as again:
            again.recover()
        assert query("sqlite:///pki.db", "SELECT * FROM certificates ORDER BY id") == before

    def test_its_serial_numbers_parse(self, legacy: Legacy) -> None:
        for old in legacy.issued:
            cert_type, name = CertSerialParser.typed(old.certificate)
            if old.common_name.isascii():
                # 0.1.1 put names in lower case there, as into file names.
                beginning = old.path.stem[:10]
                assert (cert_type, name) == (old.cert_type, beginning)
        # Of a name beyond Latin-1, 0.1.1 let each character run over into the next ones, and
        # the tenth into the type: nothing can be read back, and nothing may go wrong.
        cyrillic = CertSerialParser.typed(legacy.of("Олена Шевченко").certificate)
        assert cyrillic[1].isascii()
        ca = x509.load_pem_x509_certificate(legacy.ca_cert.read_bytes())
        assert CertSerialParser.typed(ca) == (CertType.CA, CA_NAME.lower()[:10])

    def test_the_ca_is_found_without_its_paths(self, legacy: Legacy) -> None:
        with CertLifecycleManager(
            LocalStorage("./pki"), db_handler=SyncDBHandler("sqlite:///pki.db")
        ) as opened:
            for common_name in (None, CA_NAME):
                opened.open_ca(common_name)
                assert opened.factory is not None
                assert opened.factory.certificate == x509.load_pem_x509_certificate(
                    legacy.ca_cert.read_bytes()
                )
            assert opened.verify_certificate(legacy.valid[0].certificate)


class TestLiving:
    def test_what_was_valid_verifies_and_what_was_revoked_does_not(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        assert legacy.valid
        for old in legacy.valid:
            assert manager.verify_certificate(old.certificate)
        assert legacy.revoked
        for old in legacy.revoked:
            with pytest.raises(ValidationCertError, match="revoked"):
                manager.verify_certificate(old.certificate)

    def test_the_next_crl_has_what_was_revoked_before(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        former = x509.load_pem_x509_crl(Path("pki/crl.pem").read_bytes())
        crl = manager.generate_crl(days_valid=7)
        expected = {
            old.serial_number: x509.ReasonFlags(old.reason.value)
            for old in legacy.revoked
            if old.reason is not None
        }
        assert len(set(expected.values())) == 3
        assert serials_of(crl) == expected
        # 0.1.1 gives no reasons on a CRL, only since when.
        dates = {entry.serial_number: entry.revocation_date_utc for entry in former}
        assert {entry.serial_number: entry.revocation_date_utc for entry in crl} == dates
        assert x509.load_pem_x509_crl(Path("pki/crl.pem").read_bytes()) == crl

    def test_revoking(self, legacy: Legacy, manager: CertLifecycleManager) -> None:
        old = legacy.of("dev-1")
        assert manager.revoke_certificate(old.serial_number, x509.ReasonFlags.key_compromise)
        assert manager.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED
        with pytest.raises(ValidationCertError):
            manager.verify_certificate(old.certificate)
        crl = serials_of(manager.generate_crl())
        assert crl[old.serial_number] is x509.ReasonFlags.key_compromise
        assert len(crl) == len(legacy.revoked) + 1

    def test_revoking_what_it_had_revoked_keeps_its_reason(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        old = legacy.of("c")
        assert old.reason is CRLReason.SUPERSEDED
        assert manager.revoke_certificate(old.serial_number, x509.ReasonFlags.key_compromise)
        crl = serials_of(manager.generate_crl())
        assert crl[old.serial_number] is x509.ReasonFlags.superseded

    @pytest.mark.parametrize(
        "common_name", ["nginx.internal", "dev-1", "Jane Q. Public", "plant/7", "Zoë"]
    )
    def test_rotating_puts_the_new_files_beside_the_old(
        self, legacy: Legacy, manager: CertLifecycleManager, common_name: str
    ) -> None:
        old = legacy.of(common_name)
        before = set(old.folder.parent.iterdir())
        kept = files_in(old.folder)
        new, _, _ = manager.rotate_certificate(old.serial_number, successor(common_name))
        (made,) = set(old.folder.parent.iterdir()) - before - {Path("pki/.staging")}
        (path,) = made.glob("*.pem")
        assert x509.load_pem_x509_certificate(path.read_bytes()) == new
        assert {path.suffix for path in made.iterdir()} == {".pem", ".key", ".csr"}
        assert files_in(old.folder) == kept
        assert manager.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED
        assert serials_of(manager.generate_crl())[old.serial_number] is (
            x509.ReasonFlags.superseded
        )
        assert manager.verify_certificate(new)

    def test_rotating_twice_stays_in_the_folder(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        old = legacy.of("monitor")
        before = set(Path("pki/issued").iterdir())
        new, _, _ = manager.rotate_certificate(old.serial_number, successor("monitor"))
        manager.rotate_certificate(new.serial_number, successor("monitor"))
        assert len(set(Path("pki/issued").iterdir()) - before) == 2

    def test_a_name_in_use_is_refused(self, legacy: Legacy, manager: CertLifecycleManager) -> None:
        with pytest.raises(NotUniqueCertOwner):
            manager.issue_certificate(successor("nginx.internal"))
        assert manager.verify_certificate(legacy.of("nginx.internal").certificate)

    def test_a_revoked_name_is_free(self, legacy: Legacy, manager: CertLifecycleManager) -> None:
        new, _, _ = manager.issue_certificate(successor("alice"))
        assert manager.verify_certificate(new)
        with pytest.raises(ValidationCertError):
            manager.verify_certificate(legacy.of("alice").certificate)

    @pytest.mark.parametrize("common_name", ["nginx.internal", "dev-1", "Rack 12 Sensor"])
    @pytest.mark.parametrize("cert_path", [None, "elsewhere"])
    def test_overwriting_deletes_the_old_folder(
        self,
        legacy: Legacy,
        manager: CertLifecycleManager,
        common_name: str,
        cert_path: str | None,
    ) -> None:
        old = legacy.of(common_name)
        others = set(old.folder.parent.iterdir()) - {old.folder}
        new, _, _ = manager.issue_certificate(
            successor(common_name), cert_path=cert_path, is_overwrite=True
        )
        assert not old.folder.exists()
        assert others <= set(old.folder.parent.iterdir())
        assert manager.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED
        assert manager.verify_certificate(new)

    def test_a_wildcard_is_issued_again(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        old = legacy.of("*.apps.example.com")
        config = successor(old.common_name, is_server_cert=True)
        new, _, _ = manager.rotate_certificate(old.serial_number, config)
        names = new.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["*.apps.example.com"]


@pytest.mark.anyio
async def test_the_async_manager(legacy: Legacy) -> None:
    async with AsyncCertLifecycleManager(
        AsyncLocalStorage("./pki"), legacy.factory(), AsyncDBHandler("sqlite+aiosqlite:///pki.db")
    ) as manager:
        old = legacy.of("dev-1")
        assert await manager.verify_certificate(old.certificate)
        new, _, _ = await manager.rotate_certificate(old.serial_number, successor("dev-1"))
        assert await manager.verify_certificate(new)
        crl = serials_of(await manager.generate_crl())
        assert set(crl) == {gone.serial_number for gone in legacy.revoked} | {old.serial_number}
    assert len(list(Path("pki/issued").glob("*/dev-1.pem"))) == 2


class TestOpenSSL:
    @pytest.fixture(autouse=True)
    def _openssl(self) -> None:
        need("openssl")

    def verdict(self, legacy: Legacy, certificate: Path) -> str:
        """Ask openssl, with the CRL as it is now; give what it printed."""
        crl = ("-crl_check", "-CRLfile", "pki/crl.pem")
        done = run("openssl", "verify", *crl, "-CAfile", legacy.ca_cert, certificate)
        return done.stdout + done.stderr

    def test_old_and_new_under_the_new_crl(
        self, legacy: Legacy, manager: CertLifecycleManager
    ) -> None:
        config = successor("nginx.internal", is_server_cert=True)
        rotated = legacy.of("nginx.internal")
        manager.rotate_certificate(rotated.serial_number, config)
        manager.generate_crl(days_valid=7)
        for old in legacy.issued:
            wanted = "OK" if old.reason is None and old is not rotated else "certificate revoked"
            assert wanted in self.verdict(legacy, old.path), old.common_name
        (new,) = set(Path("pki").glob("*/nginx.internal.pem")) - {rotated.path}
        assert self.verdict(legacy, new) == f"{new}: OK\n"


def test_it_is_imported_into_another_place(legacy: Legacy, db_url: str, tmp_path: Path) -> None:
    with CertLifecycleManager(
        LocalStorage(tmp_path / "new"), db_handler=SyncDBHandler(db_url)
    ) as manager:
        report = manager.import_history(OldRegistry("sqlite:///pki.db", "pki"))
        assert [one.common_name for one in report.authorities] == [CA_NAME]
        assert len(report.recorded) == len(legacy.issued)
        for old in legacy.valid:
            assert manager.verify_certificate(old.certificate)
            assert manager.export_pkcs12(old.certificate, password=b"password")
        assert serials_of(manager.generate_crl()) == {
            old.serial_number: x509.ReasonFlags(old.reason.value)
            for old in legacy.revoked
            if old.reason is not None
        }
        fresh, _, _ = manager.issue_certificate(successor("new.internal"))
        assert manager.verify_certificate(fresh)
        assert manager.rotate_certificate(legacy.valid[0].serial_number, successor("nginx"))
