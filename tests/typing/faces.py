"""What type checkers make of tiny_ca; checked, never run."""

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

from cryptography import x509

from tiny_ca import (
    AsyncCertLifecycleManager,
    BulkRevocation,
    CertificateDetails,
    CertificateRecord,
    CertificateStatus,
    CertLifecycleManager,
    ClientConfig,
    ExpiryReport,
    MemoryRegistry,
    MemoryStorage,
    NoObserver,
    Preview,
    open_async_ca,
    open_ca,
)
from tiny_ca.domain.records import CRLStamp
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.observer import Observer
from tiny_ca.ports.registry import Registry
from tiny_ca.ports.storage import Storage


def ports() -> None:
    """What is shipped serves the ports."""
    _storage: Storage = MemoryStorage()
    _registry: Registry = MemoryRegistry()
    _observer: Observer = NoObserver()


def synchronous(cert: x509.Certificate) -> None:
    with open_ca("pki") as ca:
        assert_type(ca, CertLifecycleManager)
        assert_type(ca.under("Inner"), CertLifecycleManager)
        assert_type(ca.plan(ClientConfig(common_name="a")), Preview)
        issued, key, csr = ca.issue_certificate(ClientConfig(common_name="a"))
        assert_type(issued, x509.Certificate)
        assert_type(key, PrivateKey)
        assert_type(csr, x509.CertificateSigningRequest)
        assert_type(ca.sign_csr(csr), x509.Certificate)
        assert_type(ca.verify_certificate(cert), bool)
        assert_type(ca.revoke_certificate(1), bool)
        assert_type(ca.revoke_many([1]), BulkRevocation)
        assert_type(ca.get_certificate_status(1), CertificateStatus)
        assert_type(ca.list_certificates(), list[CertificateRecord])
        assert_type(next(ca.iter_certificates()), CertificateRecord)
        assert_type(ca.generate_crl(), x509.CertificateRevocationList)
        assert_type(ca.inspect_certificate(cert), CertificateDetails)
        assert_type(ca.export_pkcs12(cert, password="x"), bytes)
        assert_type(ca.measure_expiry().crls, Mapping[str, CRLStamp | None])
        with ca.prepare_certificate(ClientConfig(common_name="a")) as prepared:
            assert_type(prepared.serial_number, int)


async def asynchronous(cert: x509.Certificate) -> None:
    async with open_async_ca(Path("pki"), observer=[NoObserver()]) as ca:
        assert_type(ca, AsyncCertLifecycleManager)
        assert_type(await ca.under("Inner"), AsyncCertLifecycleManager)
        issued, key, csr = await ca.issue_certificate(ClientConfig(common_name="a"))
        assert_type(issued, x509.Certificate)
        assert_type(key, PrivateKey)
        assert_type(await ca.sign_csr(csr), x509.Certificate)
        assert_type(await ca.verify_certificate(cert), bool)
        assert_type(await ca.get_certificate_status(1), CertificateStatus)
        assert_type(await ca.list_certificates(limit=1), list[CertificateRecord])
        assert_type(await ca.measure_expiry(), ExpiryReport)
        async for record in ca.iter_certificates():
            assert_type(record, CertificateRecord)
