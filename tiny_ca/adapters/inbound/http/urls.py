"""Where what is published can be found."""

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.plan import PublicationURLs

__all__ = ["publication_urls"]


def publication_urls(base_url: str) -> PublicationURLs:
    """Give the URLs that `create_app` serves, mounted at *base_url*, for certificates to have.

    Without TLS, as a rule: who checks a certificate may have to ask before there can be TLS
    (RFC 5280 §8).  Raises `InvalidRequest` for what does not begin with `http://` or
    `https://`, or has a query.
    """
    base = base_url.rstrip("/")
    scheme, _, rest = base.partition("://")
    if scheme not in {"http", "https"} or not rest or any(c in base for c in "?#{} "):
        raise InvalidRequest(f"{base_url!r} is no base of http URLs.")
    return PublicationURLs(
        crl=(f"{base}/crl/{{issuer_id}}.crl",),
        ocsp=(f"{base}/ocsp",),
        issuer=(f"{base}/ca/{{issuer_id}}.cer",),
    )
