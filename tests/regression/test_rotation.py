"""tiny_ca 0.1.1 revoked the old certificate first, and only then tried to issue the new one."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from tests.regression.world import ROOT_CONFIG, Hook, World, fail, hooked, leaf
from tiny_ca import (
    CertificateFactory,
    CertificateStatus,
    CertLifecycleManager,
    LocalStorage,
    SyncDBHandler,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.errors import (
    CertNotFound,
    RegistryError,
    SigningError,
    StorageError,
    TinyCAError,
    ValidationCertError,
)


class FaultyCrypto(CryptographyBackend):
    """Its issuers sign only while the hook lets them."""

    def __init__(self, hook: Hook) -> None:
        self._factory = hooked(CertificateFactory, hook)

    def issuer(self, certificate: x509.Certificate, key: Any) -> Any:
        return self._factory(_Material(certificate, key))


class _Material:
    def __init__(self, certificate: x509.Certificate, key: Any) -> None:
        self.ca_cert, self.ca_key = certificate, key
        self.base_info = CryptographyBackend().issuer(certificate, key).info


Options = Callable[[World, Hook], dict[str, Any]]


def _crypto(world: World, hook: Hook) -> dict[str, Any]:
    return {"crypto": hooked(CryptographyBackend, hook)()}


def _issuer(world: World, hook: Hook) -> dict[str, Any]:
    return {"crypto": FaultyCrypto(hook)}


def _storage(world: World, hook: Hook) -> dict[str, Any]:
    return {"storage": hooked(LocalStorage, hook)(world.base)}


def _registry(world: World, hook: Hook) -> dict[str, Any]:
    return {"db_handler": hooked(SyncDBHandler, hook)(world.url)}


BEFORE_THE_COMMIT = [
    (_registry, Hook("get_by_serial"), RegistryError("injected")),
    (_storage, Hook("check_vacant"), StorageError("injected")),
    (_registry, Hook("reserve"), RegistryError("injected")),
    (_crypto, Hook("generate_private_key"), SigningError("injected")),
    (_crypto, Hook("sign_request"), SigningError("injected")),
    (_issuer, Hook("sign_certificate"), SigningError("injected")),
    (_storage, Hook("stage"), StorageError("injected")),
    (_storage, Hook("stage", after=True), StorageError("injected")),
    (_registry, Hook("commit"), RegistryError("injected")),
    # Not only what the library raises: Ctrl-C comes at any time.
    (_storage, Hook("stage", after=True), KeyboardInterrupt()),
    (_crypto, Hook("sign_request", after=True), MemoryError()),
]


# An overwrite looks up the name instead, and wants the folder taken.
ONLY_FOR_ROTATING = {"get_by_serial", "check_vacant"}
CASES = [
    pytest.param(replace, *case, id=f"{replace}-{case[1].method}{'-done' * case[1].after}-{number}")
    for number, case in enumerate(BEFORE_THE_COMMIT)
    for replace in ("rotate", "overwrite")
    if replace == "rotate" or case[1].method not in ONLY_FOR_ROTATING
]


@pytest.mark.parametrize(("replace", "options", "hook", "error"), CASES)
def test_when_issuing_failed_no_certificate_was_left(
    world: World, replace: str, options: Options, hook: Hook, error: BaseException
) -> None:
    with world.ca(**options(world, hook)) as manager:
        old, _, _ = manager.issue_certificate(leaf(), cert_path="services")
        before = world.tree()

        def attempt() -> x509.Certificate:
            if replace == "rotate":
                return manager.rotate_certificate(old.serial_number, leaf())[0]
            return manager.issue_certificate(leaf(), "services", is_overwrite=True)[0]

        hook.action = fail(error)
        with pytest.raises(type(error)):
            attempt()
        assert manager.verify_certificate(old)
        assert world.tree() == before
        assert world.staged() == []
        assert set(world.statuses("a.internal")) <= {"valid", "abandoned"}
        new = attempt()
        assert manager.verify_certificate(new)
        assert manager.get_certificate_status(old.serial_number) is CertificateStatus.REVOKED
        assert len(list(world.base.glob("services/*/a.internal.pem"))) == (
            2 if replace == "rotate" else 1
        )


def test_when_only_publishing_fails_the_new_certificate_stands(world: World) -> None:
    hook = Hook("publish")
    with world.ca(**_storage(world, hook)) as manager:
        old, _, _ = manager.issue_certificate(leaf(), cert_path="services")
        hook.action = fail(StorageError("injected"))
        with pytest.raises(StorageError, match="injected"):
            manager.rotate_certificate(old.serial_number, leaf())
        # It is past the point of return: signed, recorded, and its key lies staged.
        assert world.statuses("a.internal") == ["revoked", "valid"]
        assert len(world.staged()) == 1
        assert manager.recover().published == 1
        assert len(list(world.base.glob("services/*/a.internal.key"))) == 2
        assert world.staged() == []


class TestWhatCanBeRotated:
    def test_a_revoked_certificate_was_rotated(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(leaf())
        manager.revoke_certificate(certificate.serial_number, x509.ReasonFlags.key_compromise)
        with pytest.raises(ValidationCertError, match="revoked"):
            manager.rotate_certificate(certificate.serial_number, leaf())

    def test_one_on_hold_neither(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(leaf())
        manager.revoke_certificate(certificate.serial_number, x509.ReasonFlags.certificate_hold)
        with pytest.raises(ValidationCertError, match="revoked"):
            manager.rotate_certificate(certificate.serial_number, leaf())

    def test_an_unknown_one_neither(self, manager: CertLifecycleManager) -> None:
        with pytest.raises(CertNotFound):
            manager.rotate_certificate(12345, leaf())


def test_rotation_forgot_where_the_files_belong(world: World) -> None:
    with world.ca() as manager:
        first, _, _ = manager.issue_certificate(leaf(), cert_path="services/web")
        second, _, _ = manager.rotate_certificate(first.serial_number, leaf())
        manager.rotate_certificate(second.serial_number, leaf())
        assert len(list(world.base.glob("services/web/*/a.internal.key"))) == 3
    assert [row.cert_path for row in world.rows()[1:]] == ["services/web"] * 3


@pytest.mark.parametrize("replace", ["rotate", "overwrite", "overwrite the root"])
def test_what_is_replaced_was_revoked_with_key_compromise(world: World, replace: str) -> None:
    with world.ca() as manager:
        if replace == "overwrite the root":
            manager.create_self_signed_ca(ROOT_CONFIG, is_overwrite=True)
            replaced = world.rows()[0]
        else:
            old, _, _ = manager.issue_certificate(leaf())
            if replace == "rotate":
                manager.rotate_certificate(old.serial_number, leaf())
            else:
                manager.issue_certificate(leaf(), is_overwrite=True)
            replaced = world.rows()[1]
            (entry,) = manager.generate_crl()
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
            assert reason is x509.ReasonFlags.superseded
    assert (replaced.status, replaced.reason) == ("revoked", "superseded")


def test_two_rotations_of_one_certificate_at_once(world: World) -> None:
    """Both revoked it and both issued; here the second finds it superseded, and is undone."""
    hook = Hook("commit")
    with world.ca(**_registry(world, hook)) as manager, world.ca() as other:
        old, _, _ = manager.issue_certificate(leaf())
        hook.action = lambda: other.rotate_certificate(old.serial_number, leaf())
        with pytest.raises(TinyCAError, match="nothing was issued"):
            manager.rotate_certificate(old.serial_number, leaf())
        assert sorted(world.statuses("a.internal")) == ["abandoned", "revoked", "valid"]
        assert len(list(world.base.glob("*/a.internal.key"))) == 2
        assert world.staged() == []
