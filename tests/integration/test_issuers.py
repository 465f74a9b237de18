"""Many CAs in one registry: intermediates, limits from above, rollover, offline roots."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from tests.regression.world import ROOT_CONFIG, World, leaf
from tests.support import need, run
from tiny_ca import (
    CAConfig,
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    KeyAlgorithm,
    ManualClock,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.application.constraints import NameConstraintsConfig
from tiny_ca.async_lifecycle import AsyncCertLifecycleManager
from tiny_ca.domain.errors import (
    AmbiguousSerialNumber,
    CertNotFound,
    ErrorLoadCert,
    InvalidRequest,
    NotUniqueCertOwner,
    ProfileViolation,
    StorageError,
    ValidationCertError,
    ValidityShortened,
)
from tiny_ca.domain.keys import KeySpec
from tiny_ca.domain.names import DirectoryBase
from tiny_ca.testing.samples import SampleCA


@pytest.fixture
def ca(world: World) -> Iterator[CertLifecycleManager]:
    with world.ca() as manager:
        yield manager


def sub_config(common_name: str = "Sub CA", **fields: object) -> CAConfig:
    return CAConfig(common_name=common_name, key_algorithm="p-256", days_valid=1000, **fields)


def below(ca: CertLifecycleManager, *configs: CAConfig) -> CertLifecycleManager:
    for depth, config in enumerate(configs):
        # Each ends before the one above, which a second may pass after.
        days = config.days_valid - depth
        ca.issue_intermediate_ca(config.model_copy(update={"days_valid": days}))
        ca = ca.under(config.common_name)
    return ca


def names(chain: list[x509.Certificate]) -> list[str]:
    return [
        str(each.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        for each in chain
    ]


class NoKeys(CryptographyBackend):
    """Makes no key: whoever asks for one was not refused in time."""

    is_shut = False

    def generate_private_key(self, spec: KeySpec):
        assert not self.is_shut, "a key was made"
        return super().generate_private_key(spec)


@pytest.fixture
def crypto() -> NoKeys:
    return NoKeys()


@pytest.fixture
def careful(world: World, crypto: NoKeys) -> Iterator[CertLifecycleManager]:
    with world.ca(crypto=crypto) as manager:
        yield manager


def refused(world: World, crypto: NoKeys, act: Callable[[], object], match: str) -> None:
    """It is refused before a key is made or anything is written."""
    rows, tree = world.rows(), world.tree()
    crypto.is_shut = True
    try:
        with pytest.raises(ProfileViolation, match=match) as caught:
            act()
    finally:
        crypto.is_shut = False
    assert caught.value.problems
    assert (world.rows(), world.tree()) == (rows, tree)


class TestChains:
    def test_of_three(self, ca: CertLifecycleManager) -> None:
        issuing = below(ca, sub_config("Policy", path_length=1), sub_config("Issuing"))
        certificate, _, _ = issuing.issue_certificate(leaf())
        chain = issuing.get_cert_chain(certificate)
        assert names(chain) == ["a.internal", "Issuing", "Policy", "Test Root"]
        assert issuing.verify_certificate(certificate)
        assert issuing.verify_chain(certificate) == chain
        # Another manager of the same registry builds the same chain.
        assert ca.get_cert_chain(certificate) == chain
        with pytest.raises(ValidationCertError, match="issuer"):
            ca.verify_certificate(certificate)

    def test_openssl_agrees(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        need("openssl")
        issuing = below(ca, sub_config("Policy", path_length=1), sub_config("Issuing"))
        certificate, _, _ = issuing.issue_certificate(leaf(is_server_cert=True))
        full, root = tmp_path / "full.pem", tmp_path / "root.pem"
        full.write_bytes(issuing.export_fullchain(certificate))
        root.write_bytes(ca.factory.certificate.public_bytes(Encoding.PEM))
        result = run(
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
            *("-CAfile", root, "-untrusted", full, full),
        )
        assert result.returncode == 0, result.stderr

    def test_each_row_knows_its_issuer(self, ca: CertLifecycleManager) -> None:
        issuing = below(ca, sub_config())
        certificate, _, _ = issuing.issue_certificate(leaf())
        record = ca._services.registry.get_by_serial(certificate.serial_number)
        assert record.issuer_id == issuing.factory.issuer_id != ca.factory.issuer_id
        assert record.cert_type is CertType.SERVICE

    def test_of_a_stranger(self, ca: CertLifecycleManager) -> None:
        other = SampleCA()
        certificate = other.certificate(other.reservation(1, "stranger"))
        with pytest.raises(ValidationCertError, match="No CA on record"):
            ca.get_cert_chain(certificate)

    def test_the_async_face(self, ca: CertLifecycleManager) -> None:
        face = AsyncCertLifecycleManager.wrapping(ca)

        async def issue() -> list[x509.Certificate]:
            await face.issue_intermediate_ca(sub_config())
            issuing = await face.under("Sub CA")
            certificate, _, _ = await issuing.issue_certificate(leaf())
            return await issuing.get_cert_chain(certificate)

        assert names(asyncio.run(issue())) == ["a.internal", "Sub CA", "Test Root"]

    def test_under_what_is_no_ca(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        for which in ("a.internal", "nobody", certificate.serial_number, 1):
            with pytest.raises(CertNotFound):
                ca.under(which)


class TestPathLength:
    def test_ends_the_line(
        self, careful: CertLifecycleManager, world: World, crypto: NoKeys
    ) -> None:
        last = below(careful, sub_config("One", path_length=1), sub_config("Two", path_length=0))
        refused(
            world, crypto, lambda: last.issue_intermediate_ca(sub_config("Three")), "end entities"
        )

    def test_is_less_below(
        self, careful: CertLifecycleManager, world: World, crypto: NoKeys
    ) -> None:
        one = below(careful, sub_config("One", path_length=1))
        refused(
            world,
            crypto,
            lambda: one.issue_intermediate_ca(sub_config("Two", path_length=1)),
            "at most 0",
        )

    def test_counts_from_the_grandparent(
        self, careful: CertLifecycleManager, world: World, crypto: NoKeys
    ) -> None:
        # RFC 5280 §4.2.1.9: what the second does not say, the first still means.
        two = below(careful, sub_config("One", path_length=1), sub_config("Two"))
        refused(
            world, crypto, lambda: two.issue_intermediate_ca(sub_config("Three")), "end entities"
        )

    def test_as_0_2_calls_it(self, ca: CertLifecycleManager) -> None:
        certificate, key = ca.issue_intermediate_ca(
            "Named", 2048, 100, None, 0, "Other Org", "DE", "cas", key_algorithm="p-256"
        )
        assert certificate.subject.rfc4514_string() == "CN=Named,O=Other Org,C=DE"
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (constraints.ca, constraints.path_length) == (True, 0)
        assert key.public_key() == certificate.public_key()
        # 0.2 never registered it.
        assert ca.verify_certificate(certificate)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_intermediate_ca("Named", key_algorithm="p-256")


CONSTRAINTS = {
    "a DNS name": ({"permitted_dns": ["corp.test"]}, {"is_server_cert": True}, "DNS name"),
    "an excluded DNS name": (
        {"excluded_dns": ["internal"]},
        {"is_server_cert": True},
        "exclude the DNS name",
    ),
    "an address": ({"permitted_ip": ["10.0.0.0/8"]}, {"san_ip": ["192.0.2.1"]}, "IP address"),
    "an excluded address": (
        {"excluded_ip": ["2001:db8::/32"]},
        {"san_ip": ["2001:db8::1"]},
        "exclude the IP address",
    ),
    "a mailbox": (
        {"permitted_email": ["corp.test"]},
        {"san_email": ["a@else.test"]},
        "e-mail address",
    ),
    "a URI": (
        {"permitted_uri": [".corp.test"]},
        {"san_uri": ["spiffe://else.test/x"]},
        "URI",
    ),
    "a subject": (
        {"permitted_subjects": [DirectoryBase(country="UA", organization="Else")]},
        {},
        "distinguished name",
    ),
    "a common name that looks like a host": (
        {"permitted_dns": ["corp.test"]},
        {"is_client_cert": True},
        "DNS name",
    ),
}


class TestNameConstraints:
    @pytest.mark.parametrize("which", CONSTRAINTS)
    def test_are_kept(
        self, careful: CertLifecycleManager, world: World, crypto: NoKeys, which: str
    ) -> None:
        constraints, fields, match = CONSTRAINTS[which]
        sub = sub_config(name_constraints=NameConstraintsConfig(**constraints))
        if which == "a subject":
            # The CA itself is below its issuer, not below its own constraints.
            sub = sub_config(
                organization="Else", name_constraints=NameConstraintsConfig(**constraints)
            )
        issuing = below(careful, sub)
        config = leaf(organization="ACME", **fields)
        refused(world, crypto, lambda: issuing.issue_certificate(config), match)
        assert any(match in problem for problem in issuing.plan(config).problems)

    def test_of_the_grandparent(
        self, careful: CertLifecycleManager, world: World, crypto: NoKeys
    ) -> None:
        top = sub_config("Top", name_constraints=NameConstraintsConfig(permitted_dns=["a.test"]))
        issuing = below(careful, top, sub_config("Low"))
        config = leaf("b.test", is_server_cert=True)
        refused(world, crypto, lambda: issuing.issue_certificate(config), "DNS name")
        inside, _, _ = issuing.issue_certificate(leaf("x.a.test", is_server_cert=True))
        assert issuing.verify_chain(inside, host="x.a.test")

    def test_are_written_critical(self, ca: CertLifecycleManager) -> None:
        constraints = NameConstraintsConfig(
            permitted_dns=["corp.test"],
            permitted_ip=["10.0.0.0/8"],
            excluded_email=["bad.test"],
            permitted_uri=[".corp.test"],
            permitted_subjects=[DirectoryBase(country="UA")],
        )
        certificate, _ = ca.issue_intermediate_ca(sub_config(name_constraints=constraints))
        extension = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert extension.critical
        assert len(extension.value.permitted_subtrees) == 4
        assert len(extension.value.excluded_subtrees) == 1

    def test_a_root_can_have_them(self, world: World) -> None:
        constraints = NameConstraintsConfig(permitted_dns=["corp.test"])
        with world.manager() as manager:
            manager.create_self_signed_ca(sub_config("Root", name_constraints=constraints))
            with pytest.raises(ProfileViolation):
                manager.issue_certificate(leaf("a.else.test", is_server_cert=True))

    def test_of_nothing(self) -> None:
        with pytest.raises(ValueError, match="permit or exclude"):
            NameConstraintsConfig()


class TestARevokedCA:
    @pytest.mark.parametrize("which", ["Sub CA", "Test Root"])
    def test_stops_everything_below_it(self, ca: CertLifecycleManager, which: str) -> None:
        issuing = below(ca, sub_config())
        certificate, _, _ = issuing.issue_certificate(leaf())
        revoked = issuing if which == "Sub CA" else ca
        ca.revoke_certificate(revoked.factory.certificate.serial_number)
        for act in (
            lambda: issuing.verify_certificate(certificate),
            lambda: issuing.issue_certificate(leaf("b.internal")),
            lambda: issuing.renew_certificate(certificate.serial_number),
            lambda: issuing.verify_chain(certificate),
        ):
            with pytest.raises(ValidationCertError):
                act()
        # It can still tell of what it has issued.
        issuing.revoke_certificate(certificate.serial_number)
        assert len(issuing.generate_crl()) == 1


class TestSerialSpaces:
    def test_the_same_number_under_two_issuers(self, ca: CertLifecycleManager) -> None:
        other = below(ca, sub_config())
        registry, now = ca._services.registry, ca._services.clock.now()
        certificates = []
        for manager, name in ((ca, "of-root"), (other, "of-sub")):
            signer = manager._services.crypto.issuer(
                manager.factory.certificate, manager.factory._key
            )
            sample, _, _ = manager.issue_certificate(leaf(f"sample-{name}"))
            plan = manager.plan(leaf(name)).plan
            twin = signer.sign_certificate(replace(plan, serial_number=7), sample.public_key())
            registry.register(twin, None, CertType.SERVICE, now)
            certificates.append(twin)
        with pytest.raises(AmbiguousSerialNumber):
            registry.get_by_serial(7)
        assert other.revoke_certificate(7)
        assert other.get_certificate_status(7) is CertificateStatus.REVOKED
        assert ca.get_certificate_status(7) is CertificateStatus.VALID
        assert {entry.serial_number for entry in other.generate_crl()} == {7}
        assert len(ca.generate_crl()) == 0
        assert ca.verify_certificate(certificates[0])
        successor, _, _ = ca.rotate_certificate(7, leaf("of-root"))
        assert ca.get_certificate_status(7) is CertificateStatus.REVOKED
        assert ca.verify_certificate(successor)


class TestCrossSigning:
    def test_makes_another_ca_trusted(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        need("openssl")
        other = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        other.create_self_signed_ca(CAConfig(common_name="Partner", key_algorithm="p-384"))
        partner = other.factory.certificate
        with pytest.warns(ValidityShortened):
            crossed = ca.cross_sign_ca(partner, 5000, path_length=0)
        assert (crossed.subject, crossed.public_key()) == (partner.subject, partner.public_key())
        leaf_, _, _ = other.issue_certificate(leaf("of.partner", is_server_cert=True))
        root, untrusted, end = (tmp_path / name for name in ("root", "untrusted", "end"))
        for path, certificate in (
            (root, ca.factory.certificate),
            (untrusted, crossed),
            (end, leaf_),
        ):
            path.write_bytes(certificate.public_bytes(Encoding.PEM))
        result = run(
            *("openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", untrusted, end)
        )
        assert result.returncode == 0, result.stderr
        assert ca.revoke_certificate(crossed.serial_number)

    def test_refuses(self, ca: CertLifecycleManager) -> None:
        certificate, _, _ = ca.issue_certificate(leaf())
        for what in (certificate, ca.factory.certificate):
            with pytest.raises(InvalidRequest):
                ca.cross_sign_ca(what)

    def test_is_held_to_the_constraints_above(self, ca: CertLifecycleManager) -> None:
        constraints = NameConstraintsConfig(permitted_subjects=[DirectoryBase(country="UA")])
        limited = below(ca, sub_config(path_length=1, country="UA", name_constraints=constraints))
        other = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        other.create_self_signed_ca(
            CAConfig(common_name="Foreign", country="DE", key_algorithm="p-256")
        )
        with pytest.raises(ProfileViolation, match="distinguished name"):
            limited.cross_sign_ca(other.factory.certificate, path_length=0)


class TestRollover:
    def test_of_a_root(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        need("openssl")
        old_root = ca.factory.certificate
        before, _, _ = ca.issue_certificate(leaf("before"))
        result = ca.rollover_ca(ROOT_CONFIG)
        new_root = ca.factory.certificate
        assert new_root.public_key() != old_root.public_key()
        assert new_root.subject == old_root.subject
        after, _, _ = ca.issue_certificate(leaf("after"))
        assert ca.verify_certificate(after)
        # Both are valid, side by side, and each can be stood under.
        former = ca.under(old_root.serial_number)
        assert former.verify_certificate(before)
        assert ca.under("Test Root").factory.certificate == new_root
        for trusted, link, end in (
            (old_root, result.new_with_old, after),
            (new_root, result.old_with_new, before),
        ):
            paths = [tmp_path / name for name in ("trusted", "link", "end")]
            for path, certificate in zip(paths, (trusted, link, end), strict=True):
                path.write_bytes(certificate.public_bytes(Encoding.PEM))
            said = run("openssl", "verify", "-CAfile", paths[0], "-untrusted", *paths[1:])
            assert said.returncode == 0, said.stderr
        former.revoke_certificate(before.serial_number)
        assert {entry.serial_number for entry in former.generate_crl()} == {before.serial_number}
        assert len(ca.generate_crl()) == 0

    def test_of_an_intermediate(self, ca: CertLifecycleManager) -> None:
        issuing = below(ca, sub_config())
        old = issuing.factory.certificate
        result = issuing.rollover_ca(sub_config())
        assert (result.new_with_old, result.old_with_new) == (None, None)
        certificate, _, _ = issuing.issue_certificate(leaf())
        chain = issuing.get_cert_chain(certificate)
        assert names(chain) == ["a.internal", "Sub CA", "Test Root"]
        assert chain[1].public_key() != old.public_key()
        assert ca.get_certificate_status(old.serial_number) is CertificateStatus.VALID

    def test_keeps_the_name(self, ca: CertLifecycleManager) -> None:
        with pytest.raises(InvalidRequest, match="keeps its name"):
            ca.rollover_ca(sub_config("Another"))


class TestOfflineRoot:
    def test_from_the_request_to_the_answer(self, ca: CertLifecycleManager, world: World) -> None:
        offline = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        offline.create_self_signed_ca(CAConfig(common_name="Offline", key_algorithm="p-384"))
        csr = ca.request_ca(CAConfig(common_name="Online", key_algorithm="p-256"))
        assert any(name.startswith("requests/") for name in world.files())
        answer = offline.sign_csr(csr.public_bytes(Encoding.PEM), profile="ca")
        with pytest.raises(ErrorLoadCert):
            ca.import_ca(answer, ca.factory._key)
        ca.import_ca(answer, chain=[offline.factory.certificate])
        assert ca.factory.certificate == answer
        assert not any(name.startswith("requests/") for name in world.files())
        certificate, _, _ = ca.issue_certificate(leaf())
        assert names(ca.get_cert_chain(certificate)) == ["a.internal", "Online", "Offline"]
        # Everybody who opens the registry finds it.
        with world.manager() as later:
            later.open_ca("Online")
            assert later.verify_certificate(certificate)

    def test_twice_changes_nothing(self, ca: CertLifecycleManager, world: World) -> None:
        offline = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        offline.create_self_signed_ca(CAConfig(common_name="Offline", key_algorithm="p-256"))
        for _ in range(2):
            ca.import_ca(offline.factory.certificate)
        assert world.statuses("Offline") == ["valid"]
        # Without a key it only vouches for those below it.
        assert ca.factory.certificate.subject != offline.factory.certificate.subject
        with pytest.raises(StorageError, match="private key"):
            ca.under("Offline")

    def test_with_its_key(self, ca: CertLifecycleManager, world: World) -> None:
        other = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        other.create_self_signed_ca(CAConfig(common_name="Moved", key_algorithm="p-256"))
        ca.import_ca(other.factory.certificate, other.factory._key, cert_path="cas")
        certificate, _, _ = ca.issue_certificate(leaf())
        assert names(ca.get_cert_chain(certificate)) == ["a.internal", "Moved"]
        assert any(name.startswith("cas/") and name.endswith("ca.key") for name in world.files())

    @pytest.mark.parametrize("form", ["pem", "encrypted pem", "pkcs12", "encrypted pkcs12"])
    def test_from_a_file(self, ca: CertLifecycleManager, form: str) -> None:
        other = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
        other.create_self_signed_ca(CAConfig(common_name="Top", key_algorithm="p-256"))
        moved = below(other, sub_config("Moved"))
        certificate, key = moved.factory.certificate, moved.factory._key
        encryption = BestAvailableEncryption(b"secret") if "encrypted" in form else NoEncryption()
        if "pem" in form:
            data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
            for one in (other.factory.certificate, certificate):
                data += one.public_bytes(Encoding.PEM)
        else:
            data = pkcs12.serialize_key_and_certificates(
                b"ca", key, certificate, [other.factory.certificate], encryption
            )
        if "encrypted" in form:
            for wrong in (None, "guess"):
                with pytest.raises(ErrorLoadCert):
                    ca.import_ca_bundle(data, wrong)
        ca.import_ca_bundle(data, "secret" if "encrypted" in form else None)
        issued, _, _ = ca.issue_certificate(leaf())
        assert names(ca.get_cert_chain(issued)) == ["a.internal", "Moved", "Top"]

    def test_from_what_is_none(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf())
        pem = certificate.public_bytes(Encoding.PEM)
        alien = CryptographyBackend().generate_private_key(KeySpec(KeyAlgorithm.P256))
        plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for data in (
            b"",
            b"hello",
            pem,
            key.private_bytes(*plain),
            pem + alien.private_bytes(*plain),
        ):
            with pytest.raises(ErrorLoadCert):
                ca.import_ca_bundle(data)

    def test_of_what_is_no_ca(self, ca: CertLifecycleManager) -> None:
        certificate, key, _ = ca.issue_certificate(leaf())
        with pytest.raises(ErrorLoadCert, match="not a CA"):
            ca.import_ca(certificate, key)


def test_nothing_outlives_its_issuer(world: World) -> None:
    clock = ManualClock()
    with world.ca(clock=clock) as ca:
        issuing = below(ca, sub_config())
        with pytest.warns(ValidityShortened):
            certificate, _, _ = issuing.issue_certificate(leaf(days_valid=2000))
        end = issuing.factory.certificate.not_valid_after_utc
        assert certificate.not_valid_after_utc == end
        clock.advance(timedelta(days=1001))
        with pytest.raises(CertNotFound):
            ca.under("Sub CA")


@pytest.mark.parametrize("again", [sub_config(), sub_config(path_length=0)])
def test_an_idempotency_key(ca: CertLifecycleManager, again: CAConfig) -> None:
    first, _ = ca.issue_intermediate_ca(sub_config(), idempotency_key="k")
    if again == sub_config():
        assert ca.issue_intermediate_ca(again, idempotency_key="k")[0] == first
    else:
        with pytest.raises(InvalidRequest, match="another request"):
            ca.issue_intermediate_ca(again, idempotency_key="k")
