"""The domain's rules on serial numbers and validity, bound to the system's clock and CSPRNG."""

from datetime import UTC, datetime
from typing import Protocol

from tiny_ca.adapters.outbound.system.sources import SystemClock, SystemEntropy
from tiny_ca.domain.lifetime import plan_validity
from tiny_ca.domain.serial import (
    NAME_LENGTH,
    RANDOM_BITS,
    CertType,
    encode_serial_number,
    parse_serial_number,
)

__all__ = ["CertLifetime", "SerialWithEncoding"]


class SerialWithEncoding:
    """Serial numbers of 160 bits: type, beginning of the name, 64 bits of the CSPRNG."""

    RANDOM_BITS = RANDOM_BITS
    NAME_BITS = 8 * NAME_LENGTH
    MAX_NAME_LENGTH = NAME_LENGTH

    @classmethod
    def generate(cls, name: str, serial_type: CertType) -> int:
        """Give a fresh serial number, 1..2^159-1 (RFC 5280 §4.1.2.2), for any *name*."""
        return encode_serial_number(name, serial_type, SystemEntropy().random_bits(RANDOM_BITS))

    @classmethod
    def parse(cls, serial: int) -> tuple[CertType | None, str]:
        """Give the type and the name's beginning; `(None, "")` for any other integer."""
        return parse_serial_number(serial)


class _HasValidity(Protocol):
    @property
    def not_valid_before_utc(self) -> datetime: ...

    @property
    def not_valid_after_utc(self) -> datetime: ...


class CertLifetime:
    """Validity periods, from the system's clock."""

    @staticmethod
    def compute(
        valid_from: datetime | None = None, days_valid: int = 365
    ) -> tuple[datetime, datetime]:
        """Give `(not_before, not_after)`, aware UTC in whole seconds, *days_valid* days apart.

        Raises `InvalidRangeTimeCertificate` when the period is empty or over, and
        `InvalidRequest` for a naive *valid_from*.
        """
        validity = plan_validity(valid_from, days_valid, SystemClock().now())
        return validity.not_before, validity.not_after

    @staticmethod
    def valid_from(cert: _HasValidity) -> datetime:
        """Give a certificate's notBefore in UTC."""
        return cert.not_valid_before_utc.astimezone(UTC)

    @staticmethod
    def valid_to(cert: _HasValidity) -> datetime:
        """Give a certificate's notAfter, the last second in it, in UTC."""
        return cert.not_valid_after_utc.astimezone(UTC)
