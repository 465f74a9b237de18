"""OCSP, CRLs and CAs' certificates over HTTP: an ASGI app to mount; needs `tiny-ca[web]`."""

from tiny_ca.adapters.inbound.http.app import create_app
from tiny_ca.domain.publication_urls import publication_urls

__all__ = ["create_app", "publication_urls"]
