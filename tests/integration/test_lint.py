"""A linter looks at each certificate before it is signed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import ValidationError

from tiny_ca import (
    CAConfig,
    CertLifecycleManager,
    ClientConfig,
    LocalStorage,
    PublicationURLs,
    Settings,
    SyncDBHandler,
    open_ca,
)
from tiny_ca.adapters.outbound.lint import PkilintLinter
from tiny_ca.application.constraints import NameConstraintsConfig
from tiny_ca.domain.errors import (
    InvalidRequest,
    LintFailed,
    NotUniqueCertOwner,
    ValidationCertError,
)
from tiny_ca.domain.keys import KeyAlgorithm
from tiny_ca.domain.lint import LintFinding, LintSeverity
from tiny_ca.domain.profiles import Profile
from tiny_ca.ports.linter import Linter
from tiny_ca.testing.samples import sample_key

# RFC 4516 §2: a host, or nothing, comes after two slashes.
ODD = Profile(name="odd", urls=PublicationURLs(crl=("ldap:pki.example",)))
P256 = {"key_algorithm": "p-256"}


@dataclass
class Remembering:
    """A linter that objects to common names, and remembers what it saw."""

    objectionable: str = ""
    seen: list[x509.Certificate] = field(default_factory=list)

    def lint(self, draft: x509.Certificate) -> tuple[LintFinding, ...]:
        self.seen.append(draft)
        is_bad = self.objectionable and self.objectionable in draft.subject.rfc4514_string()
        return (LintFinding(LintSeverity.ERROR, "test.name", "mine"),) if is_bad else ()


Open = Callable[..., CertLifecycleManager]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    made: list[CertLifecycleManager] = []

    def manager(linter: Linter | None, *profiles: Profile, **options: Any) -> CertLifecycleManager:
        ca = CertLifecycleManager(
            LocalStorage(tmp_path / "pki"),
            db_handler=SyncDBHandler(f"sqlite:///{tmp_path / 'registry.db'}"),
            linter=linter,
            profiles=profiles,
            **options,
        )
        made.append(ca)
        ca.create_self_signed_ca(CAConfig(common_name="Root", **P256))
        return ca

    yield manager
    for ca in made:
        ca.close()


def everything(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "registry.db" not in path.name)


class TestPkilint:
    @pytest.mark.parametrize("severity", ["notice", "warning", LintSeverity.FATAL])
    def test_a_clean_profile_is_issued(self, opened: Open, severity: str) -> None:
        ca = opened(PkilintLinter(severity))
        config = ClientConfig(
            common_name="a.example", profile="server", san_dns=["*.a.example"], **P256
        )
        assert ca.plan(config).is_allowed
        assert ca.verify_certificate(ca.issue_certificate(config)[0])

    def test_an_odd_one_is_refused_and_nothing_is_written(
        self, opened: Open, tmp_path: Path
    ) -> None:
        ca = opened(PkilintLinter(severity="warning"), ODD)
        before, rows = everything(tmp_path), ca.list_certificates()
        config = ClientConfig(common_name="a.example", profile="odd", **P256)
        with pytest.raises(LintFailed, match=r"a\.example.*ldap:pki") as caught:
            ca.issue_certificate(config)
        assert caught.value.findings
        for finding in caught.value.findings:
            assert finding.severity is LintSeverity.ERROR
            assert finding.code == "pkix.invalid_uri_syntax"
            assert "cRLDistributionPoints" in finding.message
        assert ca.plan(config).problems == tuple(map(str, caught.value.findings))
        assert everything(tmp_path) == before
        assert ca.list_certificates() == rows
        # Nor is the name taken.
        ca.issue_certificate(ClientConfig(common_name="a.example", profile="client", **P256))

    def test_what_is_milder_than_the_severity_passes(self, opened: Open) -> None:
        urls = PublicationURLs(crl=("ldap://pki.example/cn=a?crl?base?objectclass=*",))
        noted = Profile(name="noted", urls=urls)
        config = ClientConfig(common_name="a.example", profile="noted", **P256)
        ca = opened(PkilintLinter("notice"), noted)
        with pytest.raises(LintFailed, match=r"pkix\.ldap_uri_not_validated"):
            ca.issue_certificate(config)
        relaxed = CertLifecycleManager(
            db_handler=ca._handler, factory=ca.factory, linter=PkilintLinter(), profiles=[noted]
        )
        assert relaxed.plan(config).is_allowed

    def test_what_it_wrongly_takes_for_mistakes_passes(self, opened: Open) -> None:
        ca = opened(PkilintLinter("error"))
        config = ClientConfig(
            common_name="a",
            san_dns=["*.a.example", "localhost", "db.rack7"],
            san_uri=["spiffe://a.example/b"],
            profile="server",
            **P256,
        )
        ca.issue_certificate(config)
        constraints = NameConstraintsConfig(permitted_dns=["rack7"], permitted_uri=[".example"])
        ca.issue_intermediate_ca("Issuing", name_constraints=constraints, **P256)

    def test_codes_can_be_left_out(self, opened: Open) -> None:
        ca = opened(PkilintLinter(ignore=["pkix.invalid_uri_syntax"]), ODD)
        ca.issue_certificate(ClientConfig(common_name="a", profile="odd", **P256))

    @pytest.mark.parametrize("algorithm", [each for each in KeyAlgorithm if each != "rsa"])
    def test_every_algorithm_is_looked_at(self, opened: Open, algorithm: KeyAlgorithm) -> None:
        ca = opened(PkilintLinter())
        ca.issue_intermediate_ca("Issuing", key_algorithm=algorithm)
        for profile in ("server", "client"):
            config = ClientConfig(
                common_name=f"{profile}.example", profile=profile, key_algorithm=algorithm
            )
            ca.under("Issuing").issue_certificate(config)

    def test_what_it_can_not_read_is_no_good_news(self) -> None:
        class Unreadable:
            def public_bytes(self, _encoding: object) -> bytes:
                return b"\x30\x03\x02\x01\x00"

        [finding] = PkilintLinter("fatal").lint(Unreadable())  # type: ignore[arg-type]
        assert finding.severity is LintSeverity.FATAL

    @pytest.mark.parametrize("arguments", [("bad",), ("warning", "pkix.a")])
    def test_mistakes(self, arguments: tuple[str, ...]) -> None:
        with pytest.raises(InvalidRequest):
            PkilintLinter(arguments[0], **({"ignore": arguments[1]} if arguments[1:] else {}))


class TestWhatIsLookedAt:
    def test_is_what_is_signed(self, opened: Open) -> None:
        linter = Remembering()
        ca = opened(linter)
        assert ca.factory is not None
        root = ca.factory.certificate
        csr = (
            x509.CertificateSigningRequestBuilder(
                x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.test")])
            )
        ).sign(sample_key(), SHA256())
        signed = [root, ca.sign_csr(csr)]
        signed.append(ca.renew_certificate(signed[1].serial_number))
        signed.append(ca.cosign_certificate(signed[1], days_valid=1, profile="short-lived"))
        drafts = [one.tbs_certificate_bytes for one in linter.seen]
        assert drafts[1:] == [one.tbs_certificate_bytes for one in signed[1:]]
        # A root's is self-signed, by another key.
        assert linter.seen[0].subject == root.subject
        linter.seen[0].verify_directly_issued_by(linter.seen[0])
        for draft in linter.seen:
            with pytest.raises(ValidationCertError):
                ca.verify_certificate(draft)

    def test_and_of_a_new_key_everything_else(self, opened: Open) -> None:
        linter = Remembering()
        ca = opened(linter)
        config = ClientConfig(common_name="a.test", profile="server", **P256)
        signed, _, _ = ca.issue_certificate(config)
        draft = linter.seen[-1]
        identifier = x509.SubjectKeyIdentifier
        assert draft.public_key() != signed.public_key()
        assert (draft.subject, draft.serial_number) == (signed.subject, signed.serial_number)
        assert [one for one in draft.extensions if one.oid != identifier.oid] == [
            one for one in signed.extensions if one.oid != identifier.oid
        ]

    def test_every_operation_that_signs_is_refused(self, opened: Open, tmp_path: Path) -> None:
        linter = Remembering()
        ca = opened(linter)
        good, _, _ = ca.issue_certificate(ClientConfig(common_name="bad.test", **P256))
        other, _, _ = ca.issue_certificate(ClientConfig(common_name="ok", **P256))
        before = everything(tmp_path)
        linter.objectionable = "bad"
        bad = ClientConfig(common_name="bad.two", **P256)
        fine = ClientConfig(common_name="fine", **P256)
        refused: list[Callable[[], Any]] = [
            lambda: ca.issue_certificate(bad),
            lambda: ca.issue_many([fine, bad]),
            lambda: ca.rotate_certificate(other.serial_number, bad),
            lambda: ca.renew_certificate(good.serial_number),
            lambda: ca.cosign_certificate(good),
            lambda: ca.issue_intermediate_ca("bad CA", **P256),
            lambda: ca.create_self_signed_ca(CAConfig(common_name="bad Root", **P256)),
            lambda: ca.prepare_certificate(bad),
        ]
        for operation in refused:
            with pytest.raises(LintFailed, match=r"test\.name \(mine\)"):
                operation()
        assert everything(tmp_path) == before
        assert len(ca.list_certificates()) == 3

    def test_a_name_that_is_taken_is_still_told(self, opened: Open) -> None:
        ca = opened(Remembering())
        config = ClientConfig(common_name="a", **P256)
        ca.issue_certificate(config)
        with pytest.raises(NotUniqueCertOwner):
            ca.issue_certificate(config)

    def test_it_has_to_be_one(self) -> None:
        with pytest.raises(TypeError, match="linter"):
            CertLifecycleManager(linter="warning")  # type: ignore[arg-type]


class TestSettings:
    def test_off_unless_set(self, tmp_path: Path) -> None:
        profiles = {"odd": {"urls": {"crl": ["ldap:pki.example"]}}}
        config = ClientConfig(common_name="a", profile="odd", **P256)
        settings = {"common_name": "Root", "profiles": profiles, **P256}
        with open_ca(tmp_path / "off", **settings) as ca:
            ca.issue_certificate(config)
        with open_ca(tmp_path / "on", lint="warning", **settings) as ca:
            with pytest.raises(LintFailed) as caught:
                ca.issue_certificate(config)
        codes = [finding.code for finding in caught.value.findings]
        with open_ca(tmp_path / "on", lint="warning", lint_ignore=codes, **settings) as ca:
            ca.issue_certificate(config)

    def test_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "tiny_ca.toml"
        path.write_text('lint = "error"\nlint_ignore = ["pkix.a"]\n')
        settings = Settings(config_file=path)
        assert settings.lint is LintSeverity.ERROR
        assert settings.lint_ignore == ("pkix.a",)
        path.write_text('lint = "bad"\n')
        with pytest.raises(ValidationError, match="lint"):
            Settings(config_file=path)


def test_severities_are_in_order() -> None:
    for place, one in enumerate(LintSeverity):
        for other_place, other in enumerate(LintSeverity):
            assert one.is_at_least(other) is (place >= other_place)
