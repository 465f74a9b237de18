"""A restored backup undoes no revocation that a newer CRL has published."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.faults.pki import crl_number
from tests.integration.backups import elsewhere, rows_of
from tests.regression.world import ROOT_CONFIG, World, leaf, serials
from tiny_ca import CertificateStatus, LocalStorage, ManualClock, MemoryStorage, SyncDBHandler
from tiny_ca.domain.errors import BackupError
from tiny_ca.domain.revocation import CRLReason


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


class TestANewerCRL:
    """The story of a CA that forgot its revocations with yesterday's backup."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture(params=["passed", "lying there", "both"])
    def give(self, request: pytest.FixtureRequest, world: World) -> Any:
        """Let the restore know a CRL, one way or another; gives its arguments."""

        def given(crl: x509.CertificateRevocationList) -> dict[str, Any]:
            if request.param != "passed":
                (world.folder / "new").mkdir(mode=0o700)
                (world.folder / "new/crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
            return {} if request.param == "lying there" else {"crls": [crl]}

        return given

    def test_what_it_has_revoked_stays_revoked(
        self, world: World, archive: Path, give: Any, clock: ManualClock, caplog: Any
    ) -> None:
        with world.ca(clock=clock) as ca:
            known, _, _ = ca.issue_certificate(leaf("known"))
            held, _, _ = ca.issue_certificate(leaf("held"))
            final, _, _ = ca.issue_certificate(leaf("final"))
            ca.revoke_certificate(held.serial_number, x509.ReasonFlags.certificate_hold)
            ca.revoke_certificate(final.serial_number, x509.ReasonFlags.superseded)
            ca.generate_crl()
            ca.backup(archive)
            clock.advance(timedelta(hours=1))
            late, _, _ = ca.issue_certificate(leaf("late"))
            for one in (known, held, late):
                ca.revoke_certificate(one.serial_number, x509.ReasonFlags.key_compromise)
            clock.advance(timedelta(hours=1))
            for _ in range(5):
                crl = ca.generate_crl()
        arguments = give(crl)
        with world.manager(**elsewhere(world), clock=clock) as new:
            report = new.restore(archive, **arguments)
            new.open_ca()
            assert {
                (one.serial_number, one.was.value, one.reason) for one in report.revoked_again
            } == {
                (known.serial_number, "valid", CRLReason.KEY_COMPROMISE),
                (held.serial_number, "revoked", CRLReason.KEY_COMPROMISE),
                (late.serial_number, "unknown", CRLReason.KEY_COMPROMISE),
            }
            for one in (known, held, late):
                assert str(one.serial_number) in caplog.text
            statuses = [new.get_certificate_status(c.serial_number) for c in (known, held, late)]
            assert statuses == [CertificateStatus.REVOKED] * 3
            following = new.generate_crl()
            assert entries(following) == entries(crl)
            assert len(following) == 4
            assert crl_number(following) > crl_number(crl)
            # The name is free again, for its key is compromised.
            new.issue_certificate(leaf("known"))
        assert check_restored_crl(world) == crl_number(following)

    def test_what_it_lists_stays_listed_until_the_issuer_ends(
        self, world: World, archive: Path, clock: ManualClock
    ) -> None:
        """Nobody knows when a certificate ends that the backup does not have."""
        with world.ca(clock=clock) as ca:
            ca.backup(archive)
            late, _, _ = ca.issue_certificate(leaf("late", days_valid=1))
            ca.revoke_certificate(late.serial_number)
            crl = ca.generate_crl()
        with world.manager(**elsewhere(world), clock=clock) as new:
            new.restore(archive, crls=[crl])
            new.open_ca()
            for _ in range(3):
                clock.advance(timedelta(days=100))
                assert serials(new.generate_crl()) == {late.serial_number}

    def test_an_older_one_says_nothing(self, world: World, archive: Path, give: Any) -> None:
        """What was on hold then was released before the backup."""
        with world.ca() as ca:
            held, _, _ = ca.issue_certificate(leaf("held"))
            ca.revoke_certificate(held.serial_number, x509.ReasonFlags.certificate_hold)
            older = ca.generate_crl()
            ca.release_certificate(held.serial_number)
            ca.generate_crl()
            # Which would say so too.
            (world.base / "crl.pem").unlink()
            ca.backup(archive)
        arguments = give(older)
        with world.manager(**elsewhere(world)) as new:
            assert new.restore(archive, **arguments).revoked_again == ()
            new.open_ca()
            assert new.verify_certificate(held)

    def test_only_the_last_one_counts(self, world: World, archive: Path) -> None:
        with world.ca() as ca:
            held, _, _ = ca.issue_certificate(leaf("held"))
            ca.backup(archive)
            ca.revoke_certificate(held.serial_number, x509.ReasonFlags.certificate_hold)
            first = ca.generate_crl()
            ca.release_certificate(held.serial_number)
            second = ca.generate_crl()
        with world.manager(**elsewhere(world)) as new:
            assert new.restore(archive, crls=[second, first]).revoked_again == ()

    def test_one_that_was_published_while_the_backup_ran(
        self, world: World, archive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The archive itself has a CRL that is newer than its rows."""
        with world.ca() as ca:
            known, _, _ = ca.issue_certificate(leaf("known"))
            export = LocalStorage.export_crls

            def publish_first(storage: LocalStorage) -> Any:
                ca.revoke_certificate(known.serial_number)
                ca.generate_crl()
                return export(storage)

            with monkeypatch.context() as patched:
                patched.setattr(LocalStorage, "export_crls", publish_first)
                ca.backup(archive)
        with world.manager(**elsewhere(world)) as new:
            [again] = new.restore(archive).revoked_again
            assert again.serial_number == known.serial_number

    def test_of_another_ca(self, world: World, archive: Path, give: Any) -> None:
        """Of the same name even: only a signature counts, and none is passed over in silence."""
        with world.ca() as ca:
            ca.backup(archive)
        with world.manager(storage=MemoryStorage(), db_handler=SyncDBHandler("sqlite://")) as other:
            other.create_self_signed_ca(ROOT_CONFIG)
            foreign = other.generate_crl()
        arguments = give(foreign)
        with world.manager(**elsewhere(world)) as new:
            with pytest.raises(BackupError, match="signed"):
                new.restore(archive, **arguments)
            assert rows_of(new) == {"certificates": []}

    def test_numbers_are_skipped_without_one(
        self, world: World, archive: Path, clock: ManualClock
    ) -> None:
        """Nobody tells of the CRLs since the backup: no number of theirs is used again."""
        with world.ca(clock=clock) as ca:
            ca.generate_crl()
            ca.backup(archive)
            for _ in range(30):
                clock.advance(timedelta(seconds=1))
                last = ca.generate_crl()
        with world.manager(**elsewhere(world), clock=clock) as new:
            new.restore(archive)
            new.open_ca()
            assert crl_number(new.generate_crl()) > crl_number(last) + 900


def entries(crl: x509.CertificateRevocationList) -> set[tuple[int, Any, Any]]:
    return {
        (
            one.serial_number,
            one.revocation_date_utc,
            one.extensions.get_extension_for_class(x509.CRLReason).value.reason,
        )
        for one in crl
    }


def check_restored_crl(world: World) -> int:
    return crl_number(x509.load_pem_x509_crl((world.folder / "new/crl.pem").read_bytes()))
