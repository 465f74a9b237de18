"""The example of an adapter from outside the package keeps the contract."""

from pathlib import Path

import pytest
from cryptography import x509

from examples.own_storage import KeyValueStorage
from tiny_ca import CAConfig, CertLifecycleManager, ClientConfig, MemoryRegistry
from tiny_ca.testing import StorageContract


class TestKeyValueStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> KeyValueStorage:
        return KeyValueStorage({})

    def crl_at(self, storage: KeyValueStorage, path: Path) -> x509.CertificateRevocationList | None:
        data = storage._store.get(f"{path.stem}.der")
        return None if data is None else x509.load_der_x509_crl(data)


def test_a_manager_takes_it() -> None:
    ca = CertLifecycleManager(KeyValueStorage({}), db_handler=MemoryRegistry())
    ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
    certificate, _, _ = ca.issue_certificate(
        ClientConfig(common_name="a", key_algorithm="p-256"), idempotency_key="k"
    )
    assert ca.verify_certificate(certificate)
    again, _, _ = ca.issue_certificate(
        ClientConfig(common_name="a", key_algorithm="p-256"), idempotency_key="k"
    )
    assert again == certificate
