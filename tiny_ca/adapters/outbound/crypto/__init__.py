"""Keys and signatures by pyca/cryptography."""

from tiny_ca.adapters.outbound.crypto.backend import CryptographyBackend
from tiny_ca.adapters.outbound.crypto.bundles import CryptographyBundles
from tiny_ca.adapters.outbound.crypto.crl_index import CRLIndex
from tiny_ca.adapters.outbound.crypto.factory import CertificateFactory
from tiny_ca.adapters.outbound.crypto.inspection import CryptographyInspector
from tiny_ca.adapters.outbound.crypto.loaders import (
    AsyncCAFileLoader,
    CAFileLoader,
    CAMaterial,
    ICALoader,
)
from tiny_ca.adapters.outbound.crypto.ocsp import OCSPBackend
from tiny_ca.adapters.outbound.crypto.path import CryptographyPathValidator

__all__ = [
    "AsyncCAFileLoader",
    "CAFileLoader",
    "CAMaterial",
    "CRLIndex",
    "CertificateFactory",
    "CryptographyBackend",
    "CryptographyBundles",
    "CryptographyInspector",
    "CryptographyPathValidator",
    "ICALoader",
    "OCSPBackend",
]
