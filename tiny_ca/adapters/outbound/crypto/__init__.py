"""Keys and signatures by pyca/cryptography."""

from tiny_ca.adapters.outbound.crypto.backend import CryptographyBackend
from tiny_ca.adapters.outbound.crypto.bundles import CryptographyBundles
from tiny_ca.adapters.outbound.crypto.factory import CertificateFactory
from tiny_ca.adapters.outbound.crypto.inspection import CryptographyInspector
from tiny_ca.adapters.outbound.crypto.loaders import (
    AsyncCAFileLoader,
    CAFileLoader,
    CAMaterial,
    ICALoader,
)
from tiny_ca.adapters.outbound.crypto.ocsp import OCSPBackend

__all__ = [
    "AsyncCAFileLoader",
    "CAFileLoader",
    "CAMaterial",
    "CertificateFactory",
    "CryptographyBackend",
    "CryptographyBundles",
    "CryptographyInspector",
    "ICALoader",
    "OCSPBackend",
]
