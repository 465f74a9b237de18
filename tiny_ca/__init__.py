"""tiny_ca: the certificate authority that you embed.

The public names are loaded when they are first used, so that importing the package costs
next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tiny_ca import compat

if TYPE_CHECKING:
    from tiny_ca.adapters.outbound.crypto import (
        AsyncCAFileLoader,
        CAFileLoader,
        CertificateFactory,
        CRLIndex,
        ICALoader,
    )
    from tiny_ca.adapters.outbound.db import AsyncDBHandler, BaseDB, SyncDBHandler
    from tiny_ca.adapters.outbound.db import DatabaseManager as SyncDatabaseManager
    from tiny_ca.adapters.outbound.history import EasyRSAFolder, OldRegistry, OpenSSLFolder
    from tiny_ca.adapters.outbound.lint import PkilintLinter
    from tiny_ca.adapters.outbound.memory import (
        ManualClock,
        MemoryRegistry,
        MemoryStorage,
        NoRegistry,
        NoStorage,
        SeededEntropy,
    )
    from tiny_ca.adapters.outbound.storage import PEM, AsyncLocalStorage, BaseStorage, LocalStorage
    from tiny_ca.adapters.outbound.system import CertLifetime, SerialWithEncoding
    from tiny_ca.adapters.outbound.telemetry import (
        NoObserver,
        OpenTelemetryObserver,
        PrometheusObserver,
    )
    from tiny_ca.adapters.outbound.tls import ReloadingContext
    from tiny_ca.application.constraints import NameConstraintsConfig
    from tiny_ca.application.import_history import HistoryImport
    from tiny_ca.application.ocsp import OCSPResponder
    from tiny_ca.application.preview import Preview
    from tiny_ca.application.publish_due import Publication
    from tiny_ca.application.requests import CAConfig, ClientConfig
    from tiny_ca.async_lifecycle import AsyncCertLifecycleManager
    from tiny_ca.async_ocsp import AsyncOCSPResponder
    from tiny_ca.container import Container, open_async_ca, open_ca
    from tiny_ca.domain.backup import BackupManifest, RestoreReport, RevokedAgain
    from tiny_ca.domain.catalogue import BulkRevocation
    from tiny_ca.domain.errors import (
        AnotherIssuer,
        CertNotFound,
        DBNotInitedError,
        FileAlreadyExists,
        HistoryError,
        IdempotencyConflict,
        InvalidCSR,
        InvalidName,
        InvalidRequest,
        NotUniqueCertOwner,
        ProfileViolation,
        RegistryError,
        SigningError,
        StillNeeded,
        StorageError,
        TinyCAError,
        ValidationCertError,
        WeakKey,
    )
    from tiny_ca.domain.events import Event, EventKind
    from tiny_ca.domain.examination import Examination, Finding, Problem
    from tiny_ca.domain.expiry import ExpiryReport
    from tiny_ca.domain.keys import KeyAlgorithm
    from tiny_ca.domain.name_rules import NameRules
    from tiny_ca.domain.paths import Conformance
    from tiny_ca.domain.plan import ExtendedKeyUsage, KeyUsage, PublicationURLs
    from tiny_ca.domain.profiles import Profile
    from tiny_ca.domain.records import CertificateRecord, CertificateStatus
    from tiny_ca.domain.revocation import CRLReason, RevokeStatus
    from tiny_ca.domain.serial import CertSerialParser, CertType, SerialGenerator
    from tiny_ca.lifecycle import CertLifecycleManager, IssuedCertificate, LiveLayout
    from tiny_ca.ports.inspector import CertificateDetails
    from tiny_ca.settings import Settings

_HOMES = {
    "tiny_ca.adapters.outbound.crypto": (
        "AsyncCAFileLoader",
        "CAFileLoader",
        "CRLIndex",
        "CertificateFactory",
        "ICALoader",
    ),
    "tiny_ca.adapters.outbound.db": ("AsyncDBHandler", "BaseDB", "SyncDBHandler"),
    "tiny_ca.adapters.outbound.history": ("EasyRSAFolder", "OldRegistry", "OpenSSLFolder"),
    "tiny_ca.adapters.outbound.lint": ("PkilintLinter",),
    "tiny_ca.adapters.outbound.memory": (
        "ManualClock",
        "MemoryRegistry",
        "MemoryStorage",
        "NoRegistry",
        "NoStorage",
        "SeededEntropy",
    ),
    "tiny_ca.adapters.outbound.storage": (
        "PEM",
        "AsyncLocalStorage",
        "BaseStorage",
        "LocalStorage",
    ),
    "tiny_ca.adapters.outbound.system": ("CertLifetime", "SerialWithEncoding"),
    "tiny_ca.adapters.outbound.telemetry": (
        "NoObserver",
        "OpenTelemetryObserver",
        "PrometheusObserver",
    ),
    "tiny_ca.adapters.outbound.tls": ("ReloadingContext",),
    "tiny_ca.application.constraints": ("NameConstraintsConfig",),
    "tiny_ca.application.import_history": ("HistoryImport",),
    "tiny_ca.application.preview": ("Preview",),
    "tiny_ca.application.ocsp": ("OCSPResponder",),
    "tiny_ca.application.publish_due": ("Publication",),
    "tiny_ca.application.requests": ("CAConfig", "ClientConfig"),
    "tiny_ca.async_lifecycle": ("AsyncCertLifecycleManager",),
    "tiny_ca.async_ocsp": ("AsyncOCSPResponder",),
    "tiny_ca.container": ("Container", "open_async_ca", "open_ca"),
    "tiny_ca.domain.catalogue": ("BulkRevocation",),
    "tiny_ca.domain.backup": ("BackupManifest", "RestoreReport", "RevokedAgain"),
    "tiny_ca.domain.errors": (
        "AnotherIssuer",
        "CertNotFound",
        "DBNotInitedError",
        "FileAlreadyExists",
        "HistoryError",
        "IdempotencyConflict",
        "InvalidCSR",
        "InvalidName",
        "InvalidRequest",
        "NotUniqueCertOwner",
        "ProfileViolation",
        "RegistryError",
        "SigningError",
        "StillNeeded",
        "StorageError",
        "TinyCAError",
        "ValidationCertError",
        "WeakKey",
    ),
    "tiny_ca.domain.events": ("Event", "EventKind"),
    "tiny_ca.domain.expiry": ("ExpiryReport",),
    "tiny_ca.domain.examination": ("Examination", "Finding", "Problem"),
    "tiny_ca.domain.keys": ("KeyAlgorithm",),
    "tiny_ca.domain.name_rules": ("NameRules",),
    "tiny_ca.domain.paths": ("Conformance",),
    "tiny_ca.domain.plan": ("ExtendedKeyUsage", "KeyUsage", "PublicationURLs"),
    "tiny_ca.domain.profiles": ("Profile",),
    "tiny_ca.domain.records": ("CertificateRecord", "CertificateStatus"),
    "tiny_ca.domain.revocation": ("CRLReason", "RevokeStatus"),
    "tiny_ca.domain.serial": ("CertSerialParser", "CertType", "SerialGenerator"),
    "tiny_ca.lifecycle": ("CertLifecycleManager", "IssuedCertificate", "LiveLayout"),
    "tiny_ca.ports.inspector": ("CertificateDetails",),
    "tiny_ca.settings": ("Settings",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "PEM",
    "AnotherIssuer",
    "AsyncCAFileLoader",
    "AsyncCertLifecycleManager",
    "AsyncDBHandler",
    "AsyncLocalStorage",
    "AsyncOCSPResponder",
    "BackupManifest",
    "BaseDB",
    "BaseStorage",
    "BulkRevocation",
    "CAConfig",
    "CAFileLoader",
    "CRLIndex",
    "CRLReason",
    "CertLifecycleManager",
    "CertLifetime",
    "CertNotFound",
    "CertSerialParser",
    "CertType",
    "CertificateDetails",
    "CertificateFactory",
    "CertificateRecord",
    "CertificateStatus",
    "ClientConfig",
    "Conformance",
    "Container",
    "DBNotInitedError",
    "EasyRSAFolder",
    "Event",
    "EventKind",
    "Examination",
    "ExpiryReport",
    "ExtendedKeyUsage",
    "FileAlreadyExists",
    "Finding",
    "HistoryError",
    "HistoryImport",
    "ICALoader",
    "IdempotencyConflict",
    "InvalidCSR",
    "InvalidName",
    "InvalidRequest",
    "IssuedCertificate",
    "KeyAlgorithm",
    "KeyUsage",
    "LiveLayout",
    "LocalStorage",
    "ManualClock",
    "MemoryRegistry",
    "MemoryStorage",
    "NameConstraintsConfig",
    "NameRules",
    "NoObserver",
    "NoRegistry",
    "NoStorage",
    "NotUniqueCertOwner",
    "OCSPResponder",
    "OldRegistry",
    "OpenSSLFolder",
    "OpenTelemetryObserver",
    "PkilintLinter",
    "Preview",
    "Problem",
    "Profile",
    "ProfileViolation",
    "PrometheusObserver",
    "Publication",
    "PublicationURLs",
    "RegistryError",
    "ReloadingContext",
    "RestoreReport",
    "RevokeStatus",
    "RevokedAgain",
    "SeededEntropy",
    "SerialGenerator",
    "SerialWithEncoding",
    "Settings",
    "SigningError",
    "StillNeeded",
    "StorageError",
    "SyncDBHandler",
    "SyncDatabaseManager",
    "TinyCAError",
    "ValidationCertError",
    "WeakKey",
    "open_async_ca",
    "open_ca",
]

__version__ = "0.3.0"

compat.install()


def __getattr__(name: str) -> Any:
    if name == "SyncDatabaseManager":
        return import_module("tiny_ca.adapters.outbound.db").DatabaseManager
    try:
        home = _HOME_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
