"""Histories of other programs: `ports.history.HistorySource`."""

from tiny_ca.adapters.outbound.history.easyrsa import EasyRSAFolder
from tiny_ca.adapters.outbound.history.old_registry import OldRegistry
from tiny_ca.adapters.outbound.history.openssl import OpenSSLFolder

__all__ = ["EasyRSAFolder", "OldRegistry", "OpenSSLFolder"]
