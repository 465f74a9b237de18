"""The import paths of tiny_ca 0.1 and 0.2: one table of where the same names live now."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["install"]

_HOMES = {
    "tiny_ca.adapters.outbound.crypto": ("AsyncCAFileLoader", "CAFileLoader", "ICALoader"),
    "tiny_ca.adapters.outbound.crypto.factory": ("CertificateFactory",),
    "tiny_ca.adapters.outbound.crypto.loaders": ("ALLOWED_CERT_EXTENSIONS",),
    "tiny_ca.adapters.outbound.db": ("AsyncDBHandler", "BaseDB", "SyncDBHandler"),
    "tiny_ca.adapters.outbound.storage": ("AsyncLocalStorage", "BaseStorage", "LocalStorage"),
    "tiny_ca.adapters.outbound.storage.base": ("CryptoObject",),
    "tiny_ca.adapters.outbound.system": ("CertLifetime", "SerialWithEncoding"),
    "tiny_ca.application.requests": ("CAConfig", "ClientConfig"),
    "tiny_ca.async_lifecycle": ("AsyncCertLifecycleManager",),
    "tiny_ca.domain.errors": (
        "CertNotFound",
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
    "tiny_ca.domain.names": ("CertificateInfo",),
    "tiny_ca.domain.records": ("CertificateRecord", "CertificateStatus"),
    "tiny_ca.domain.revocation": ("RevokeStatus",),
    "tiny_ca.domain.serial": ("CertSerialParser", "CertType", "SerialGenerator"),
    "tiny_ca.lifecycle": ("CertLifecycleManager",),
    "tiny_ca.ports.inspector": ("CertificateDetails",),
}
_HOME_OF = {name: (home, name) for home, names in _HOMES.items() for name in names}
# Names that 0.1 used for two things, or that have another name here.
_SYNC_DATABASE = ("tiny_ca.adapters.outbound.db.sync_handler", "DatabaseManager")
_ASYNC_DATABASE = ("tiny_ca.adapters.outbound.db.async_handler", "AsyncDatabaseManager")
_RENAMED = {
    ("tiny_ca.db", "SyncDatabaseManager"): _SYNC_DATABASE,
    ("tiny_ca.db.sync_db_manager", "DatabaseManager"): _SYNC_DATABASE,
    ("tiny_ca.db.async_db_manager", "DatabaseManager"): _ASYNC_DATABASE,
    ("tiny_ca.exc", "CryptoException"): ("tiny_ca.domain.errors", "TinyCAError"),
}
_FACTORY_HELPERS = "CAFileLoader CertLifetime ICALoader SerialWithEncoding"

_MODULES = {
    "tiny_ca.ca_factory": f"CertificateFactory {_FACTORY_HELPERS}",
    "tiny_ca.ca_factory.factory": "CertificateFactory",
    "tiny_ca.ca_factory.utils": _FACTORY_HELPERS,
    "tiny_ca.ca_factory.utils.afile_loader": "AsyncCAFileLoader",
    "tiny_ca.ca_factory.utils.file_loader": "CAFileLoader ICALoader",
    "tiny_ca.ca_factory.utils.life_time": "CertLifetime",
    "tiny_ca.ca_factory.utils.serial": "CertSerialParser SerialWithEncoding",
    "tiny_ca.const": "ALLOWED_CERT_EXTENSIONS CertType",
    "tiny_ca.db": (
        "BaseDB CertificateRecord CertificateStatus RevokeStatus SyncDBHandler SyncDatabaseManager"
    ),
    "tiny_ca.db.async_db_manager": "AsyncDBHandler DatabaseManager",
    "tiny_ca.db.base_db": "BaseDB",
    "tiny_ca.db.const": "CertificateStatus RevokeStatus",
    "tiny_ca.db.models": "CertificateRecord",
    "tiny_ca.db.sync_db_manager": "DatabaseManager SyncDBHandler",
    "tiny_ca.exc": " ".join(("CryptoException", *_HOMES["tiny_ca.domain.errors"])),
    "tiny_ca.managers": "CertLifecycleManager",
    "tiny_ca.managers.async_lifecycle_manager": "AsyncCertLifecycleManager",
    "tiny_ca.managers.sync_lifecycle_manager": "CertLifecycleManager",
    "tiny_ca.models": "CAConfig ClientConfig",
    "tiny_ca.models.certificate": "CAConfig CertificateDetails CertificateInfo ClientConfig",
    "tiny_ca.models.certtificate": "CAConfig CertificateInfo ClientConfig",
    "tiny_ca.storage": "BaseStorage LocalStorage",
    "tiny_ca.storage.async_local_storage": "AsyncLocalStorage",
    "tiny_ca.storage.base_storage": "BaseStorage",
    "tiny_ca.storage.const": "CryptoObject",
    "tiny_ca.storage.local_storage": "LocalStorage",
    "tiny_ca.utils": "",
    "tiny_ca.utils.serial_generator": "SerialGenerator SerialWithEncoding",
}


class _Compat:
    """Finds the modules of the table, after all others; their names are loaded when used.

    A finder and a loader by its methods alone: importing the base classes of `importlib.abc`
    would be a third of what importing tiny_ca takes.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _MODULES:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in _MODULES)
        loader: Any = self
        return ModuleSpec(fullname, loader, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        names = _MODULES[module.__name__].split()

        def __getattr__(name: str) -> Any:  # noqa: N807
            if name not in names:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            home, name_there = _RENAMED.get((module.__name__, name)) or _HOME_OF[name]
            return getattr(import_module(home), name_there)

        module.__dict__.update(
            __doc__="An import path of tiny_ca 0.1 or 0.2.", __all__=names, __getattr__=__getattr__
        )


def install() -> None:
    """Make the table's modules importable, once."""
    if not any(isinstance(finder, _Compat) for finder in sys.meta_path):
        sys.meta_path.append(_Compat())
