"""The import paths of tiny_ca 0.1 and 0.2: each name under each path is the one public object."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tiny_ca
from tests.support import shared

# Written out again, not read from `tiny_ca.compat`: what was documented must not be lost
# together with the table that provides it.
PATHS = {
    "tiny_ca.ca_factory": (
        "CAFileLoader",
        "CertLifetime",
        "CertificateFactory",
        "ICALoader",
        "SerialWithEncoding",
    ),
    "tiny_ca.ca_factory.factory": ("CertificateFactory",),
    "tiny_ca.ca_factory.utils": (
        "CAFileLoader",
        "CertLifetime",
        "ICALoader",
        "SerialWithEncoding",
    ),
    "tiny_ca.ca_factory.utils.afile_loader": ("AsyncCAFileLoader",),
    "tiny_ca.ca_factory.utils.file_loader": ("CAFileLoader", "ICALoader"),
    "tiny_ca.ca_factory.utils.life_time": ("CertLifetime",),
    "tiny_ca.ca_factory.utils.serial": ("CertSerialParser",),
    "tiny_ca.const": ("ALLOWED_CERT_EXTENSIONS", "CertType"),
    "tiny_ca.db": (
        "BaseDB",
        "CertificateRecord",
        "CertificateStatus",
        "RevokeStatus",
        "SyncDBHandler",
        "SyncDatabaseManager",
    ),
    "tiny_ca.db.async_db_manager": ("AsyncDBHandler", "DatabaseManager"),
    "tiny_ca.db.base_db": ("BaseDB",),
    "tiny_ca.db.const": ("CertificateStatus", "RevokeStatus"),
    "tiny_ca.db.models": ("CertificateRecord",),
    "tiny_ca.db.sync_db_manager": ("DatabaseManager", "SyncDBHandler"),
    "tiny_ca.exc": (
        "CertNotFound",
        "CryptoException",
        "DBNotInitedError",
        "ErrorLoadCert",
        "FileAlreadyExists",
        "InvalidRangeTimeCertificate",
        "IsNotFile",
        "NotExistCertFile",
        "NotUniqueCertOwner",
        "ValidationCertError",
        "WrongType",
    ),
    "tiny_ca.managers": ("CertLifecycleManager",),
    "tiny_ca.managers.async_lifecycle_manager": ("AsyncCertLifecycleManager",),
    "tiny_ca.managers.sync_lifecycle_manager": ("CertLifecycleManager",),
    "tiny_ca.models": ("CAConfig", "ClientConfig"),
    "tiny_ca.models.certificate": (
        "CAConfig",
        "CertificateDetails",
        "CertificateInfo",
        "ClientConfig",
    ),
    "tiny_ca.models.certtificate": ("CAConfig", "CertificateInfo", "ClientConfig"),
    "tiny_ca.settings": ("DEFAULT_LOGGER",),
    "tiny_ca.storage": ("BaseStorage", "LocalStorage"),
    "tiny_ca.storage.async_local_storage": ("AsyncLocalStorage",),
    "tiny_ca.storage.base_storage": ("BaseStorage",),
    "tiny_ca.storage.const": ("CryptoObject",),
    "tiny_ca.storage.local_storage": ("LocalStorage",),
    "tiny_ca.utils": (),
    "tiny_ca.utils.serial_generator": ("SerialGenerator", "SerialWithEncoding"),
}
# Where a name that is not one of the package's own lives now.
ELSEWHERE = {
    "ALLOWED_CERT_EXTENSIONS": "tiny_ca.adapters.outbound.crypto.loaders",
    "CertificateInfo": "tiny_ca.domain.names",
    "CryptoException": "tiny_ca.domain.errors",
    "CryptoObject": "tiny_ca.adapters.outbound.storage.base",
    "DEFAULT_LOGGER": "tiny_ca.settings",
}
RENAMED = {"CryptoException": "TinyCAError"}
# One name that 0.1 used for two classes.
MANAGERS = {
    "tiny_ca.db.async_db_manager": (
        "tiny_ca.adapters.outbound.db.async_handler",
        "AsyncDatabaseManager",
    ),
    "tiny_ca.db.sync_db_manager": ("tiny_ca.adapters.outbound.db", "DatabaseManager"),
}
HEAVY = ("cryptography", "sqlalchemy", "pydantic", "anyio", "alembic", "dependency_injector")


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run *code* where nothing was imported before."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


class TestOldPaths:
    def test_each_can_be_the_first_to_be_imported(self) -> None:
        code = """
import importlib, json, sys
paths = json.loads(sys.argv[1])
for module, names in paths.items():
    for other in paths:
        sys.modules.pop(other, None)
    found = importlib.import_module(module)
    assert found.__name__ == module
    for name in names:
        getattr(found, name)
print("all there")
"""
        done = python(code, json.dumps(PATHS))
        assert (done.stdout, done.stderr) == ("all there\n", "")

    @pytest.mark.parametrize("module", PATHS)
    def test_each_from_import(self, module: str) -> None:
        for name in PATHS[module]:
            namespace: dict[str, object] = {}
            exec(f"from {module} import {name}", namespace)
            assert namespace[name] is getattr(import_module(module), name)

    @pytest.mark.parametrize("module", PATHS)
    def test_each_name_is_the_public_object(self, module: str) -> None:
        for name in PATHS[module]:
            found = getattr(import_module(module), name)
            if name == "DatabaseManager":
                home, name_there = MANAGERS[module]
                public = getattr(import_module(home), name_there)
            elif name in tiny_ca.__all__:
                public = getattr(tiny_ca, name)
            else:
                home = import_module(ELSEWHERE.get(name, "tiny_ca.domain.errors"))
                public = getattr(home, RENAMED.get(name, name))
            assert found is public

    def test_the_two_database_managers_stay_apart(self) -> None:
        sync = import_module("tiny_ca.db.sync_db_manager").DatabaseManager
        assert sync is tiny_ca.SyncDatabaseManager
        assert sync is not import_module("tiny_ca.db.async_db_manager").DatabaseManager

    @pytest.mark.parametrize("module", [name for name in PATHS if name != "tiny_ca.settings"])
    def test_star_imports_give_what_is_documented(self, module: str) -> None:
        namespace: dict[str, object] = {}
        exec(f"from {module} import *", namespace)
        assert set(PATHS[module]) <= set(namespace)

    def test_every_old_error_is_caught_by_the_old_base_class(self) -> None:
        errors = import_module("tiny_ca.exc")
        for name in PATHS["tiny_ca.exc"]:
            assert issubclass(getattr(errors, name), errors.CryptoException)

    @pytest.mark.parametrize("module", [name for name in PATHS if name != "tiny_ca.settings"])
    def test_unknown_names(self, module: str) -> None:
        with pytest.raises(AttributeError, match=re.escape(f"{module!r} has no attribute 'Nope'")):
            _ = import_module(module).Nope
        with pytest.raises(ImportError, match="Nope"):
            exec(f"from {module} import Nope", {})

    @pytest.mark.parametrize(
        "module", ["tiny_ca.nope", "tiny_ca.db.nope", "tiny_ca.exc.nope", "tiny_ca.models.nope"]
    )
    def test_unknown_modules(self, module: str) -> None:
        with pytest.raises(ModuleNotFoundError, match="nope"):
            import_module(module)

    def test_submodules_are_attributes_of_their_packages(self) -> None:
        code = "import tiny_ca.db.const; tiny_ca.db.const.RevokeStatus; from tiny_ca import exc"
        python(code)

    def test_the_finder_is_installed_once(self) -> None:
        before = list(sys.meta_path)
        tiny_ca.compat.install()
        assert sys.meta_path == before


class TestTheDocument:
    """The project structure that the seed document shows."""

    @pytest.fixture
    def structure(self) -> list[str]:
        text = shared("seed/tiny_ca-0.1.1.txt").read_text()
        _, found, rest = text.rpartition("\nProject Structure\n")
        assert found
        block, found, _ = rest.partition("\nProject details\n")
        assert found
        return block.splitlines()

    def test_every_module_is_in_the_table_above(self, structure: list[str]) -> None:
        files = [
            match[1] for line in structure if (match := re.search(r"(\w+)\.py\b", line)) is not None
        ]
        assert len(files) == 21
        assert set(files) <= {module.rpartition(".")[2] for module in PATHS}

    def test_every_public_class_is_in_the_table_above(self, structure: list[str]) -> None:
        documented = {
            name
            for line in structure
            for name in re.findall(r"(?<![\w_])[A-Z]\w+", line.partition("#")[2])
            # Words of the sentences between them; a leading underscore is not public.
            if name not in {"ABC", "All", "ORM"}
        }
        assert {"CertificateFactory", "RevokeStatus", "CertificateInfo"} <= documented
        assert documented <= {name for names in PATHS.values() for name in names}


class TestImporting:
    def test_the_package_alone_loads_nothing_heavy(self) -> None:
        code = "import json, sys, tiny_ca; print(json.dumps(sorted(sys.modules)))"
        loaded = {name.split(".")[0] for name in json.loads(python(code).stdout)}
        assert "tiny_ca" in loaded
        assert loaded.isdisjoint(HEAVY)

    def test_listing_names_loads_nothing_heavy(self) -> None:
        code = (
            "import json, sys, tiny_ca; dir(tiny_ca); tiny_ca.__version__; import tiny_ca.exc;"
            "print(json.dumps(sorted(sys.modules)))"
        )
        loaded = {name.split(".")[0] for name in json.loads(python(code).stdout)}
        assert loaded.isdisjoint(HEAVY)

    def test_it_says_nothing_and_sets_up_no_logging(self) -> None:
        code = """
import logging, tiny_ca
def handlers():
    loggers = [logging.root, *logging.Logger.manager.loggerDict.values()]
    ours = [x for x in loggers if getattr(x, "name", "").lower().replace("_", "") == "tinyca"]
    return [h for logger in loggers for h in getattr(logger, "handlers", ())], ours
before, _ = handlers()
assert not before, before
for name in tiny_ca.__all__:
    getattr(tiny_ca, name)
import tiny_ca.settings
after, ours = handlers()
# Libraries add a NullHandler to their own loggers, and so do we.
assert all(type(handler) is logging.NullHandler for handler in after), after
assert ours
for logger in ours:
    assert logger.level == logging.NOTSET and logger.propagate
"""
        done = python(code)
        assert (done.stdout, done.stderr) == ("", "")

    def test_every_public_name_resolves(self) -> None:
        assert sorted(set(tiny_ca.__all__)) == sorted(tiny_ca.__all__)
        for name in tiny_ca.__all__:
            assert getattr(tiny_ca, name).__name__ == {
                "SyncDatabaseManager": "DatabaseManager"
            }.get(name, name)
            assert name in dir(tiny_ca)

    def test_the_checker_and_the_table_name_the_same(self) -> None:
        # What `if TYPE_CHECKING` imports is what type checkers see; the table is what runs.
        source = Path(tiny_ca.__file__).read_text()
        block = source[source.index("if TYPE_CHECKING:") : source.index("_HOMES = {")]
        imports = re.findall(r"from ([\w.]+) import (?:\(([^)]*)\)|(.*))", block)
        seen = {
            name.strip().rpartition(" as ")[2]: module
            for module, several, one in imports
            for name in (several or one).split(",")
            if name.strip()
        }
        assert set(seen) == set(tiny_ca.__all__)
        for name, module in seen.items():
            if name != "SyncDatabaseManager":
                assert tiny_ca._HOME_OF[name] == module

    def test_unknown_names(self) -> None:
        with pytest.raises(AttributeError, match="'tiny_ca' has no attribute 'nope'"):
            _ = tiny_ca.nope
        with pytest.raises(ImportError, match="nope"):
            exec("from tiny_ca import nope", {})
