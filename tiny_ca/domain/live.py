"""What the files of a certificate are called under a name that stays."""

from enum import StrEnum
from typing import Literal

__all__ = ["LiveLayout", "LiveLayoutName"]

LiveLayoutName = Literal["certbot", "kubernetes"]


class LiveLayout(StrEnum):
    """What the files of a certificate are called."""

    CERTBOT = "certbot"
    """`cert.pem`, `chain.pem`, `fullchain.pem`, `privkey.pem`."""
    KUBERNETES = "kubernetes"
    """`tls.crt` (with the intermediates), `tls.key`, `ca.crt` (the root)."""
