"""Where what `adapters.inbound.http` publishes can be found."""

from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.domain.plan import PublicationURLs

__all__ = ["publication_urls"]


def publication_urls(base_url: str, *, crl_shards: int = 1, delta: bool = False) -> PublicationURLs:
    """Give the URLs that `create_app` serves, mounted at *base_url*, for certificates to have.

    With *crl_shards*, 2..1024, certificates name the shard that they are in; with *delta*,
    where the delta CRL is.

    Without TLS, as a rule: who checks a certificate may have to ask before there can be TLS
    (RFC 5280 §8).  Raises `InvalidRequest` for what does not begin with `http://` or
    `https://`, or has a query.
    """
    base = base_url.rstrip("/")
    scheme, _, rest = base.partition("://")
    if scheme not in {"http", "https"} or not rest or any(c in base for c in "?#{} "):
        raise InvalidRequest(f"{base_url!r} is no base of http URLs.")
    issuer = f"{base}/crl/{{issuer_id}}"
    name = "crl" if crl_shards == 1 else "crl-{shard}"
    return PublicationURLs(
        crl=(f"{issuer}.crl" if crl_shards == 1 else f"{issuer}/{name}.crl",),
        ocsp=(f"{base}/ocsp",),
        issuer=(f"{base}/ca/{{issuer_id}}.cer",),
        delta=(f"{issuer}/{name}-delta.crl",) if delta else (),
        crl_shards=crl_shards,
    )
