"""Rows of the registry."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.property.strategies import (
    NOW,
    moments,
    near_seconds,
    reasons_to_revoke,
    time_zones,
    validities,
)
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.records import CertificateRecord, CertificateStatus
from tiny_ca.domain.revocation import Revocation
from tiny_ca.domain.serial import CertType

statuses = st.sampled_from(CertificateStatus)


def record(
    status: CertificateStatus, validity: Validity, revocation: Revocation | None = None
) -> CertificateRecord:
    return CertificateRecord(
        serial_number=1,
        issuer_id="0" * 32,
        common_name="a.internal",
        cert_type=CertType.SERVICE,
        status=status,
        not_before=validity.not_before,
        not_after=validity.not_after,
        uuid=None,
        cert_path=None,
        file_name=None,
        created_at=NOW,
        certificate_pem=None,
        revocation_date=revocation.revocation_date if revocation else None,
        revocation_reason=revocation.reason if revocation else None,
    )


class TestStatusAt:
    @given(validities(near_seconds), near_seconds, st.integers(0, 999_999), time_zones)
    def test_a_valid_certificate_expires_after_its_last_second(self, validity, at, part, zone):
        at = (at + timedelta(microseconds=part)).astimezone(zone)
        status = record(CertificateStatus.VALID, validity).status_at(at)
        if at >= validity.not_after + timedelta(seconds=1):
            assert status is CertificateStatus.EXPIRED
        else:
            assert status is CertificateStatus.VALID

    @given(statuses.filter(lambda s: s is not CertificateStatus.VALID), validities(), moments())
    def test_every_other_status_stays(self, status, validity, at):
        assert record(status, validity).status_at(at) is status

    @given(validities(near_seconds), near_seconds, near_seconds)
    def test_what_has_expired_stays_so(self, validity, first, second):
        row = record(CertificateStatus.VALID, validity)
        earlier, later = sorted((first, second))
        if row.status_at(earlier) is CertificateStatus.EXPIRED:
            assert row.status_at(later) is CertificateStatus.EXPIRED

    @given(validities(), st.none() | st.builds(Revocation, near_seconds, reasons_to_revoke))
    def test_a_revocation_is_given_back(self, validity, revocation):
        assert record(CertificateStatus.REVOKED, validity, revocation).revocation == revocation
