"""What an issuer is called, and may issue: its own limits and those of the CAs above it."""

from functools import lru_cache

from cryptography import x509

from tiny_ca.application.chain import chain_of, check_not_revoked
from tiny_ca.application.services import Services
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import CertificateInfo
from tiny_ca.domain.requests import Authority
from tiny_ca.ports.constraints import distinguished_name, name_constraints_of, path_length_of
from tiny_ca.ports.issuer import Issuer, issuer_id_of

__all__ = ["authority_of", "display_name"]


def authority_of(services: Services, issuer: Issuer) -> Authority:
    """Gather the limits of *issuer*, up to its root as far as it is on record.

    Raises `ValidationCertError` when one of these CAs is revoked: nothing is issued under it.
    """
    chain = chain_of(services, issuer.certificate, issuer.certificate)
    check_not_revoked(services, chain)
    return _authority(issuer.info, tuple(chain))


# Only whether a CA is revoked may change from one certificate to the next.
@lru_cache(maxsize=64)
def _authority(info: CertificateInfo, chain: tuple[x509.Certificate, ...]) -> Authority:
    ca = chain[0]
    limits = [
        limit - below
        for below, each in enumerate(chain)
        if (limit := path_length_of(each)) is not None
    ]
    return Authority(
        info=info,
        validity=Validity(ca.not_valid_before_utc, ca.not_valid_after_utc),
        path_length=max(min(limits), 0) if limits else None,
        name_constraints=tuple(
            constraints for each in chain if (constraints := name_constraints_of(each)) is not None
        ),
        name=distinguished_name(ca.subject),
        certificates=tuple((issuer_id_of(each), each.serial_number) for each in chain),
    )


def display_name(name: x509.Name) -> str:
    """Give what a CA is called whose name may have no common name."""
    for oid in (
        x509.NameOID.COMMON_NAME,
        x509.NameOID.ORGANIZATIONAL_UNIT_NAME,
        x509.NameOID.ORGANIZATION_NAME,
    ):
        for attribute in name.get_attributes_for_oid(oid):
            if isinstance(attribute.value, str) and attribute.value.strip():
                return attribute.value
    return name.rfc4514_string()[:64] or "a CA without a name"
