"""What tiny_ca 0.1.1 accepted, or only noticed when files had been written."""

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.regression.world import World, leaf
from tiny_ca import (
    CAConfig,
    CertificateFactory,
    CertificateStatus,
    CertLifecycleManager,
    CertLifetime,
    CertType,
    ClientConfig,
    KeyAlgorithm,
    ManualClock,
    SerialWithEncoding,
)
from tiny_ca.domain.errors import (
    InvalidRangeTimeCertificate,
    InvalidRequest,
    ValidationCertError,
    ValidityShortened,
)

NOT_DNS_NAMES = [
    "bad domain!",
    "-x-",
    "*.*.foo",
    "a..b",
    "",
    ".",
    "a.",
    ".a",
    "*",
    "*.com",
    "a.*.com",
    "a\0.com",
    "a\n.com",
    "a_b.com",
    f"{'a' * 64}.com",
    ".".join(["a" * 60] * 5),
    "192.168.1.10",
    "::1",
    "http://a.com",
    "a.com:443",
    "xn--\u0000",
]


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


class TestSubjectAlternativeNames:
    @pytest.mark.parametrize("name", NOT_DNS_NAMES)
    def test_anything_was_a_dns_name(self, name: str) -> None:
        """An IP address among them: no client matches one in a dNSName."""
        with pytest.raises(ValueError, match="san_dns"):
            leaf(san_dns=["good.internal", name])

    @pytest.mark.parametrize("address", ["a.internal", "300.1.1.1", "", "fe80::1%eth0", "1.2.3/8"])
    def test_anything_was_an_ip_address(self, address: str) -> None:
        with pytest.raises(ValueError, match="san_ip"):
            leaf(san_ip=[address])

    def test_names_were_repeated(self, manager: CertLifecycleManager) -> None:
        config = leaf(
            is_server_cert=True,
            san_dns=["a.internal", "A.INTERNAL", "b.internal", "b.internal"],
            san_ip=["10.0.0.1", "10.0.0.1", "2001:db8:0:0::1", "2001:db8::1"],
        )
        certificate, _, _ = manager.issue_certificate(config)
        assert list(_names(certificate)) == [
            x509.DNSName("a.internal"),
            x509.DNSName("b.internal"),
            x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        ]

    def test_they_were_critical_beside_a_subject(self, manager: CertLifecycleManager) -> None:
        """RFC 5280 §4.2.1.6 wants it critical only where the subject is empty."""
        certificate, _, _ = manager.issue_certificate(leaf(is_server_cert=True))
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert extension.critical is False
        assert len(list(certificate.subject)) > 0

    def test_a_common_name_that_is_no_host_became_one(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(leaf("My Server", is_server_cert=True))
        with pytest.raises(x509.ExtensionNotFound):
            _names(certificate)

    def test_an_ip_address_as_common_name(self, manager: CertLifecycleManager) -> None:
        certificate, _, _ = manager.issue_certificate(leaf("10.0.0.7", is_server_cert=True))
        assert list(_names(certificate)) == [x509.IPAddress(ipaddress.ip_address("10.0.0.7"))]

    def test_an_internationalised_name_raised_a_stack_trace(
        self, manager: CertLifecycleManager
    ) -> None:
        config = leaf("bücher.example", is_server_cert=True, san_dns=["Straße.example"])
        certificate, _, _ = manager.issue_certificate(config)
        assert _names(certificate).get_values_for_type(x509.DNSName) == [
            "xn--bcher-kva.example",
            "xn--strae-oqa.example",
        ]
        (common_name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == "bücher.example"

    @pytest.mark.parametrize("name", ["bü..example", "\u200d.example", "ü" * 64 + ".example"])
    def test_one_that_has_no_a_labels_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="san_dns"):
            leaf(san_dns=[name])


class TestNames:
    @pytest.mark.parametrize("length", [65, 200])
    def test_a_common_name_too_long_failed_after_files_were_written(
        self, manager: CertLifecycleManager, world: World, length: int
    ) -> None:
        before = world.tree()
        with pytest.raises(ValueError, match="1-64"):
            manager.issue_certificate(leaf("x" * length))
        with pytest.raises(ValueError, match="1-64"):
            manager.create_self_signed_ca(CAConfig(common_name="x" * length))
        assert world.tree() == before
        certificate, _, _ = manager.issue_certificate(leaf("x" * 64))
        assert manager.verify_certificate(certificate)

    @pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "\u202ea"])
    def test_a_common_name_that_says_nothing_or_lies(self, name: str) -> None:
        with pytest.raises(ValueError, match="common_name"):
            leaf(name)

    @pytest.mark.parametrize("country", ["U", "UKR", "ua", "U1", ""])
    def test_a_country_that_is_none(self, country: str) -> None:
        with pytest.raises(ValueError, match="country"):
            CAConfig(common_name="Root", country=country)

    @pytest.mark.parametrize("name", ["ключ", "nginx-ключ", "日本語.example", "é" * 20, "\x80\xff"])
    def test_non_ascii_names_corrupted_the_serial_numbers_other_fields(self, name: str) -> None:
        for cert_type in CertType:
            serial = SerialWithEncoding.generate(name, cert_type)
            ascii_part = "".join(c for c in name if c.isascii())[:10]
            assert SerialWithEncoding.parse(serial) == (cert_type, ascii_part)
            assert 0 < serial < 1 << 159

    def test_a_serial_number_of_0_1_1_parses(self) -> None:
        serial = int.from_bytes(b"SV") << 144 | int.from_bytes(b"nginx", "little") << 64 | 7
        assert SerialWithEncoding.parse(serial) == (CertType.SERVICE, "nginx")


class TestKeys:
    @pytest.mark.parametrize("size", [512, 1024, 2047, 2049, 16384, 0, -2048])
    def test_keys_too_short_were_made(self, size: int) -> None:
        for config in (ClientConfig, CAConfig):
            with pytest.raises(ValueError, match="key_size"):
                config(common_name="a.internal", key_size=size)
        with pytest.raises(InvalidRequest, match="2048"):
            CertificateFactory.build_self_signed_ca(key_size=size)

    def test_a_misspelt_field_is_not_ignored(self) -> None:
        with pytest.raises(ValueError, match="is_server"):
            ClientConfig(common_name="a.internal", is_server=True)


class TestValidity:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def short_lived(self, world: World, clock: ManualClock) -> Iterator[CertLifecycleManager]:
        """A CA with ten days to live."""
        with world.manager(clock=clock) as manager:
            config = CAConfig(common_name="Root", days_valid=10, key_algorithm="p-256")
            manager.create_self_signed_ca(config)
            yield manager

    def test_a_leaf_outlived_its_ca(self, short_lived: CertLifecycleManager) -> None:
        end = short_lived.factory.certificate.not_valid_after_utc
        with pytest.warns(ValidityShortened):
            certificate, _, _ = short_lived.issue_certificate(leaf(days_valid=365))
        assert certificate.not_valid_after_utc == end
        assert short_lived.verify_certificate(certificate)

    def test_who_is_strict_is_refused(
        self, short_lived: CertLifecycleManager, world: World
    ) -> None:
        before = world.tree()
        with pytest.raises(InvalidRangeTimeCertificate):
            short_lived.issue_certificate(leaf(days_valid=365, strict_validity=True))
        assert world.tree() == before
        assert world.statuses("a.internal") == []
        # Exactly as long as its CA is not longer.
        certificate, _, _ = short_lived.issue_certificate(leaf(days_valid=10, strict_validity=True))
        assert short_lived.verify_certificate(certificate)

    def test_an_expired_ca_issued(
        self, short_lived: CertLifecycleManager, clock: ManualClock, world: World
    ) -> None:
        clock.advance(timedelta(days=11))
        with pytest.raises(InvalidRangeTimeCertificate):
            short_lived.issue_certificate(leaf())
        assert world.statuses("a.internal") == []

    def test_what_has_expired_verified(
        self, short_lived: CertLifecycleManager, clock: ManualClock
    ) -> None:
        certificate, _, _ = short_lived.issue_certificate(leaf(days_valid=5))
        clock.advance(timedelta(days=6))
        with pytest.raises(ValidationCertError, match="certificate's validity"):
            short_lived.verify_certificate(certificate)
        status = short_lived.get_certificate_status(certificate.serial_number)
        assert status is CertificateStatus.EXPIRED

    @pytest.mark.parametrize("days", [0, -1, -365])
    def test_no_days_were_accepted(self, days: int) -> None:
        for config in (ClientConfig, CAConfig):
            with pytest.raises(ValueError, match="days_valid"):
                config(common_name="a.internal", days_valid=days)
        with pytest.raises(InvalidRangeTimeCertificate):
            CertLifetime.compute(days_valid=days)

    @pytest.mark.parametrize("days", [10**6 * 4, 10**9, 10**12])
    def test_days_past_the_year_9999_crashed(
        self, manager: CertLifecycleManager, days: int
    ) -> None:
        with pytest.raises(InvalidRangeTimeCertificate):
            manager.issue_certificate(leaf(days_valid=days))

    def test_a_naive_start_was_accepted(self) -> None:
        naive = datetime(2030, 1, 1)
        for config in (ClientConfig, CAConfig):
            with pytest.raises(ValueError, match="valid_from"):
                config(common_name="a.internal", valid_from=naive)
        with pytest.raises(InvalidRequest, match="time zone"):
            CertLifetime.compute(valid_from=naive)

    def test_a_start_in_another_time_zone(self, manager: CertLifecycleManager) -> None:
        start = datetime.now(timezone(timedelta(hours=3))).replace(microsecond=5)
        certificate, _, _ = manager.issue_certificate(leaf(valid_from=start, days_valid=2))
        assert certificate.not_valid_before_utc == start.replace(microsecond=0)
        assert certificate.not_valid_before_utc.utcoffset() == timedelta(0)

    def test_a_period_in_the_past_was_accepted(self, manager: CertLifecycleManager) -> None:
        start = datetime.now(UTC) - timedelta(days=30)
        with pytest.raises(InvalidRangeTimeCertificate):
            manager.issue_certificate(leaf(valid_from=start, days_valid=29))

    def test_valid_from_gave_the_end(self) -> None:
        ca, _ = CertificateFactory.build_self_signed_ca(key_algorithm=KeyAlgorithm.P256)
        assert CertLifetime.valid_from(ca) == ca.not_valid_before_utc
        assert CertLifetime.valid_to(ca) == ca.not_valid_after_utc
        assert CertLifetime.valid_to(ca) - CertLifetime.valid_from(ca) == timedelta(days=3650)
