"""Certification paths: built, and validated by RFC 5280 §6."""

from tiny_ca.adapters.outbound.crypto.path.validator import CryptographyPathValidator

__all__ = ["CryptographyPathValidator"]
