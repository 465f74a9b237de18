"""What 0.1.1 may have left in its table, row by odd row, on every database."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.integration.legacy import NOW, YEAR, LegacyRegistry, execute, query
from tiny_ca import (
    AsyncCertLifecycleManager,
    AsyncDBHandler,
    CertificateRecord,
    CertificateStatus,
    CertLifecycleManager,
    CertType,
    ClientConfig,
    CRLReason,
    LocalStorage,
    SyncDBHandler,
)
from tiny_ca.domain.errors import NotUniqueCertOwner, ValidationCertError

CONFIG = ClientConfig(common_name="a.internal", key_algorithm="p-256", days_valid=30)


@pytest.fixture
def old() -> LegacyRegistry:
    return LegacyRegistry()


@pytest.fixture
def opened(
    old: LegacyRegistry, db_url: str, tmp_path: Path
) -> Iterator[Callable[[], CertLifecycleManager]]:
    """Write the old registry as it then is, and open it with its CA."""
    managers: list[CertLifecycleManager] = []

    def open_it() -> CertLifecycleManager:
        managers.append(
            CertLifecycleManager(
                LocalStorage(tmp_path / "pki"),
                old.factory(tmp_path / "ca"),
                SyncDBHandler(old.write(db_url)),
            )
        )
        return managers[-1]

    yield open_it
    for manager in managers:
        manager.close()


def record_of(db_url: str, certificate: x509.Certificate) -> CertificateRecord:
    with closing(SyncDBHandler(db_url)) as handler:
        record = handler.get_by_serial(certificate.serial_number)
    assert record is not None
    return record


def test_an_empty_table(old: LegacyRegistry, opened: Callable[[], CertLifecycleManager]) -> None:
    old.rows.clear()
    manager = opened()
    assert len(manager.generate_crl()) == 0
    certificate, _, _ = manager.issue_certificate(CONFIG)
    assert manager.verify_certificate(certificate)


def test_every_column_of_a_row(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], db_url: str
) -> None:
    certificate = old.revoked("alice", "affiliationChanged", cert_type=CertType.USER)
    opened()
    row = old.rows[-1]
    record = record_of(db_url, certificate)
    assert record.common_name == "alice"
    assert record.cert_type is CertType.USER
    assert record.status is CertificateStatus.REVOKED
    assert record.not_before == certificate.not_valid_before_utc
    assert record.not_after == certificate.not_valid_after_utc
    assert record.certificate_pem == row["certificate_pem"]
    assert record.revocation_date == row["revocation_date"].replace(tzinfo=UTC)
    assert record.revocation_reason is CRLReason.AFFILIATION_CHANGED
    assert record.uuid == row["uuid"]
    assert record.location is None


def test_of_several_with_one_name_the_newest_claims_it(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], db_url: str
) -> None:
    # 0.1.1 looked for a name's owner and registered in two steps, and so could have several.
    first, second, third = (old.add("a.internal") for _ in range(3))
    over = old.add("a.internal", start=NOW - 2 * YEAR, end=NOW - YEAR)
    gone = old.revoked("a.internal", "superseded")
    manager = opened()
    with closing(SyncDBHandler(db_url)) as handler:
        holder = handler.get_by_name("a.internal")
        assert holder is not None
        assert holder.serial_number == third.serial_number
    for certificate in (first, second, third):
        assert manager.verify_certificate(certificate)
    assert manager.get_certificate_status(over.serial_number) is CertificateStatus.EXPIRED
    assert manager.get_certificate_status(gone.serial_number) is CertificateStatus.REVOKED
    with pytest.raises(NotUniqueCertOwner):
        manager.issue_certificate(CONFIG)
    manager.issue_certificate(CONFIG, is_overwrite=True)
    assert manager.get_certificate_status(third.serial_number) is CertificateStatus.REVOKED
    assert manager.verify_certificate(first)


def test_one_without_the_claim_can_be_rotated_and_revoked(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], db_url: str
) -> None:
    first, second = old.add("a.internal"), old.add("a.internal")
    manager = opened()
    other = CONFIG.model_copy(update={"common_name": "b.internal"})
    manager.rotate_certificate(first.serial_number, other)
    assert manager.get_certificate_status(first.serial_number) is CertificateStatus.REVOKED
    assert manager.verify_certificate(second)
    assert manager.revoke_certificate(second.serial_number)
    manager.issue_certificate(CONFIG)


def test_an_expired_row(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], db_url: str
) -> None:
    over = old.add("a.internal", start=NOW - 2 * YEAR, end=NOW - timedelta(days=1))
    manager = opened()
    assert record_of(db_url, over).status is CertificateStatus.EXPIRED
    with pytest.raises(ValidationCertError):
        manager.verify_certificate(over)
    with closing(SyncDBHandler(db_url)) as handler:
        assert handler.get_by_name("a.internal") is None
    certificate, _, _ = manager.issue_certificate(CONFIG)
    assert manager.verify_certificate(certificate)


def test_a_revoked_certificate_that_expired_since_is_shown_once_more(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager]
) -> None:
    # RFC 5280 §3.3: 0.1.1 left it out of the CRL as soon as it had expired.
    dates = {"start": NOW - 2 * YEAR, "end": NOW - timedelta(days=1)}
    over = old.revoked("a.internal", "keyCompromise", **dates)
    manager = opened()
    assert manager.get_certificate_status(over.serial_number) is CertificateStatus.REVOKED
    crl = manager.generate_crl()
    assert [entry.serial_number for entry in crl] == [over.serial_number]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("keyCompromise", CRLReason.KEY_COMPROMISE),
        ("aACompromise", CRLReason.AA_COMPROMISE),
        (None, CRLReason.UNSPECIFIED),
        ("", CRLReason.UNSPECIFIED),
        # What 0.1.1 writes for a reason that is no `ReasonFlags`.
        ("0", CRLReason.UNSPECIFIED),
        ("stolen laptop", CRLReason.UNSPECIFIED),
        # 0.1.1 takes it, and openssl reads such an entry as "not revoked".
        ("removeFromCRL", CRLReason.UNSPECIFIED),
    ],
)
def test_a_reason_whatever_it_is_keeps_the_certificate_revoked(
    old: LegacyRegistry,
    opened: Callable[[], CertLifecycleManager],
    db_url: str,
    written: str | None,
    read: CRLReason,
) -> None:
    certificate = old.revoked("a.internal", written)
    manager = opened()
    assert record_of(db_url, certificate).revocation_reason is read
    entry = manager.generate_crl().get_revoked_certificate_by_serial_number(
        certificate.serial_number
    )
    assert entry is not None
    # RFC 5280 §5.2: whole seconds; 0.1.1 kept microseconds.
    assert entry.revocation_date_utc == NOW - timedelta(days=1)
    if read is CRLReason.UNSPECIFIED:
        assert len(entry.extensions) == 0
    else:
        (extension,) = entry.extensions
        assert extension.value == x509.CRLReason(x509.ReasonFlags(written))
    with pytest.raises(ValidationCertError):
        manager.verify_certificate(certificate)


def test_a_hold_of_0_1_1_can_be_released(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager]
) -> None:
    certificate = old.revoked("a.internal", "certificateHold")
    manager = opened()
    assert manager.release_certificate(certificate.serial_number)
    assert manager.verify_certificate(certificate)


def test_a_revoked_row_without_a_date(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager]
) -> None:
    certificate = old.add("a.internal", status="revoked")
    manager = opened()
    assert manager.get_certificate_status(certificate.serial_number) is CertificateStatus.REVOKED
    assert [entry.serial_number for entry in manager.generate_crl()] == [certificate.serial_number]


def test_a_date_without_the_status_means_revoked(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager]
) -> None:
    # The date is what 0.1.1's own get_certificate_status goes by.
    certificate = old.revoked("a.internal", "keyCompromise")
    old.rows[-1]["status"] = "valid"
    manager = opened()
    assert manager.get_certificate_status(certificate.serial_number) is CertificateStatus.REVOKED


def test_rows_without_a_uuid(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], tmp_path: Path
) -> None:
    first, second = old.add("a.internal", uuid=None), old.add("b.internal", uuid=None)
    manager = opened()
    assert manager.verify_certificate(first)
    assert manager.verify_certificate(second)
    new, _, _ = manager.rotate_certificate(first.serial_number, CONFIG)
    assert manager.verify_certificate(new)
    other = CONFIG.model_copy(update={"common_name": "b.internal"})
    manager.issue_certificate(other, is_overwrite=True)
    assert manager.get_certificate_status(second.serial_number) is CertificateStatus.REVOKED
    assert len(list((tmp_path / "pki").glob("*/*.pem"))) == 2


def test_a_uuid_that_is_a_path(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], tmp_path: Path
) -> None:
    # 0.1.1 took any `uuid_str`; what lies outside the base folder is not touched.
    outside = tmp_path / "outside"
    outside.mkdir()
    first = old.add("a.internal", uuid="../outside")
    second = old.add("b.internal", uuid="rack/7")
    manager = opened()
    new, _, _ = manager.issue_certificate(CONFIG, is_overwrite=True)
    newer, _, _ = manager.rotate_certificate(
        second.serial_number, CONFIG.model_copy(update={"common_name": "b.internal"})
    )
    assert manager.verify_certificate(new)
    assert manager.verify_certificate(newer)
    assert manager.get_certificate_status(first.serial_number) is CertificateStatus.REVOKED
    assert outside.is_dir()


@pytest.mark.parametrize("key_type", ["robot", "", None, "SERVICE"])
def test_an_unknown_type_is_read_from_the_serial_number(
    old: LegacyRegistry,
    opened: Callable[[], CertLifecycleManager],
    db_url: str,
    key_type: str | None,
) -> None:
    certificate = old.add("sensor-1", CertType.INTERNAL, key_type=key_type)
    opened()
    assert record_of(db_url, certificate).cert_type is CertType.INTERNAL


def test_more_rows_than_a_page(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], db_url: str
) -> None:
    reasons = [reason for reason in CRLReason if reason is not CRLReason.REMOVE_FROM_CRL]
    revoked = {}
    for i in range(1_199):
        if i % 2:
            reason = reasons[i % len(reasons)]
            revoked[old.revoked(f"host-{i}", reason.value).serial_number] = reason
        else:
            old.add(f"host-{i}")
    manager = opened()
    assert len(old.rows) == 1_200
    kept = query(db_url, "SELECT id, serial_number, uuid, status FROM certificates ORDER BY id")
    assert kept == [
        (i, row["serial_number"], row["uuid"], row["status"]) for i, row in enumerate(old.rows, 1)
    ]
    crl = manager.generate_crl()
    assert {entry.serial_number for entry in crl} == set(revoked)
    with closing(SyncDBHandler(db_url)) as handler:
        listed = {
            entry.serial_number: entry.revocation_reason
            for entry in handler.get_revoked_certificates()
        }
    assert listed == revoked


def test_ids_go_on_where_they_ended(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], db_url: str
) -> None:
    for i in range(5):
        old.add(f"host-{i}")
    manager = opened()
    for name in ("a.internal", "b.internal"):
        manager.issue_certificate(CONFIG.model_copy(update={"common_name": name}))
    assert query(db_url, "SELECT id FROM certificates ORDER BY id") == [(i,) for i in range(1, 9)]


def test_gaps_between_ids_stay(old: LegacyRegistry, db_url: str, tmp_path: Path) -> None:
    for i in range(4):
        old.add(f"host-{i}")
    old.write(db_url)
    execute(db_url, "DELETE FROM certificates WHERE id IN (2, 3)")
    with CertLifecycleManager(
        LocalStorage(tmp_path / "pki"), old.factory(tmp_path / "ca"), SyncDBHandler(db_url)
    ) as manager:
        manager.issue_certificate(CONFIG)
    assert query(db_url, "SELECT id FROM certificates ORDER BY id") == [(1,), (4,), (5,), (6,)]


def test_a_second_ca_keeps_its_own_crl(
    old: LegacyRegistry, opened: Callable[[], CertLifecycleManager], tmp_path: Path
) -> None:
    # 0.1.1 put what any CA had revoked on everybody's CRL.
    second = LegacyRegistry("Second Root")
    mine, theirs = old.revoked("a.internal", None), second.revoked("b.internal", None)
    old.rows += second.rows
    manager = opened()
    assert [entry.serial_number for entry in manager.generate_crl()] == [mine.serial_number]
    manager.factory = second.factory(tmp_path / "second")
    assert [entry.serial_number for entry in manager.generate_crl()] == [theirs.serial_number]


@pytest.mark.anyio
async def test_through_the_async_handler(old: LegacyRegistry, db_url: str, tmp_path: Path) -> None:
    valid, gone = old.add("a.internal"), old.revoked("b.internal", "stolen laptop")
    async with AsyncCertLifecycleManager(
        LocalStorage(tmp_path / "pki"),
        old.factory(tmp_path / "ca"),
        AsyncDBHandler(old.write(db_url)),
    ) as manager:
        assert await manager.verify_certificate(valid)
        crl = await manager.generate_crl()
        assert [entry.serial_number for entry in crl] == [gone.serial_number]
        new, _, _ = await manager.rotate_certificate(valid.serial_number, CONFIG)
        assert await manager.verify_certificate(new)
