"""The documented interface of database handlers."""

from abc import ABC, abstractmethod
from typing import Any

from cryptography import x509

from tiny_ca.domain.serial import CertType

__all__ = ["BaseDB"]


class BaseDB(ABC):
    """What every database handler of tiny_ca 0.1 offers; async handlers give awaitables."""

    @abstractmethod
    def get_by_serial(self, serial: int) -> Any:
        """Give the record with this serial number, or `None`."""

    @abstractmethod
    def get_by_name(self, common_name: str) -> Any:
        """Give the valid record of this common name, or `None`."""

    @abstractmethod
    def register_cert_in_db(
        self, cert: x509.Certificate, uuid: str, key_type: CertType = CertType.DEVICE
    ) -> Any:
        """Record a certificate; true if it was recorded."""

    @abstractmethod
    def revoke_certificate(
        self, serial_number: int, reason: x509.ReasonFlags = x509.ReasonFlags.unspecified
    ) -> Any:
        """Revoke a certificate; give `(is_revoked, RevokeStatus)`."""

    @abstractmethod
    def get_revoked_certificates(self) -> Any:
        """Yield what a CRL needs of every revoked certificate."""
