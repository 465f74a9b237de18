"""The synchronous face: one method a use-case, in groups of operations on one state."""

from tiny_ca.lifecycle.issued import IssuedCertificate, LiveLayout, LiveLayoutName
from tiny_ca.lifecycle.issuing import Issued
from tiny_ca.lifecycle.manager import CertLifecycleManager

__all__ = ["CertLifecycleManager", "Issued", "IssuedCertificate", "LiveLayout", "LiveLayoutName"]
