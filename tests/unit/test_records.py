"""Rows of the registry, by example."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest

from tiny_ca.domain.errors import UnsafePath
from tiny_ca.domain.records import CertificateRecord, CertificateStatus, Location
from tiny_ca.domain.revocation import CRLReason, Revocation
from tiny_ca.domain.serial import CertType

START = datetime(2030, 1, 1, tzinfo=UTC)
END = datetime(2031, 1, 1, tzinfo=UTC)


def record(**changes: object) -> CertificateRecord:
    fields = {
        "serial_number": 1,
        "issuer_id": "0" * 32,
        "common_name": "nginx",
        "cert_type": CertType.SERVICE,
        "status": CertificateStatus.VALID,
        "not_before": START,
        "not_after": END,
        "uuid": "u-1",
        "cert_path": None,
        "file_name": "nginx",
        "created_at": START,
        "certificate_pem": None,
        "revocation_date": None,
        "revocation_reason": None,
    }
    return CertificateRecord(**fields | changes)


def test_a_certificate_expires_when_its_last_second_is_over():
    row = record()
    assert row.status_at(END) is CertificateStatus.VALID
    assert row.status_at(END + timedelta(seconds=0.999)) is CertificateStatus.VALID
    assert row.status_at(END + timedelta(seconds=1)) is CertificateStatus.EXPIRED


def test_one_that_has_not_begun_is_valid_to_the_registry():
    assert record().status_at(START - timedelta(days=1)) is CertificateStatus.VALID


@pytest.mark.parametrize(
    "status", [one for one in CertificateStatus if one is not CertificateStatus.VALID]
)
def test_every_other_status_outlives_the_certificate(status):
    assert record(status=status).status_at(END + timedelta(days=1)) is status


def test_a_revocation_without_a_reason_is_unspecified():
    assert record().revocation is None
    assert record(revocation_date=START).revocation == Revocation(START, CRLReason.UNSPECIFIED)
    on_hold = record(revocation_date=START, revocation_reason=CRLReason.CERTIFICATE_HOLD)
    assert on_hold.revocation == Revocation(START, CRLReason.CERTIFICATE_HOLD)


def test_where_the_files_lie():
    assert record().location == Location("u-1", "nginx")
    assert record(cert_path="web").location == Location("u-1", "nginx", "web")
    assert record(uuid=None).location is None
    assert record(file_name=None).location is None


def test_a_row_that_points_outside_the_base_folder_is_not_followed():
    with pytest.raises(UnsafePath):
        _ = record(cert_path="../../etc").location


def test_the_names_of_0_1():
    row = record()
    assert row.not_valid_before == START
    assert row.not_valid_after == END
    assert row.key_type == "SVC"


def test_rows_are_frozen():
    with pytest.raises(FrozenInstanceError):
        record().status = CertificateStatus.REVOKED
