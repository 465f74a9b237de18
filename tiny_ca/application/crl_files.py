"""Which files an issuer's CRLs are in: a registry may have many issuers, and 0.1 had one name."""

from tiny_ca.application.services import Services
from tiny_ca.domain.crl import COMPLETE, CRLScope
from tiny_ca.domain.records import CertificateStatus

__all__ = ["crl_file_name", "own_crl_file_name"]


def crl_file_name(services: Services, issuer_id: str, scope: CRLScope = COMPLETE) -> str:
    """Give the name, without extension, of the files that an issuer's CRL is in.

    The first issuer of a registry has the plain ones, others have their id in them.
    """
    if services.registry.crl_files_owner() in (None, issuer_id):
        return scope.name
    return scope.name.replace(COMPLETE.name, f"{COMPLETE.name}-{issuer_id}", 1)


def own_crl_file_name(services: Services, issuer_id: str, scope: CRLScope) -> str:
    """Take the plain names if they are free, or left behind by a CA that is valid no more."""
    owner, now = services.registry.crl_files_owner(), services.clock.now()
    # Asked in any case: a registry that lacks its certificates must not sign a CRL.
    certificates = services.registry.issuer_certificates(owner or issuer_id)
    valid = [one for one in certificates if one.status_at(now) is CertificateStatus.VALID]
    if owner is None or (owner != issuer_id and certificates and not valid):
        services.registry.own_crl_files(issuer_id)
    return crl_file_name(services, issuer_id, scope)
