"""Answer for a certificate by the path to a root, ours or another one."""

from collections.abc import Collection
from datetime import datetime

from cryptography import x509

from tiny_ca.application.find import find_same
from tiny_ca.application.requests import to_a_labels
from tiny_ca.application.services import Services
from tiny_ca.domain.errors import InvalidName, InvalidRequest, ValidationCertError
from tiny_ca.domain.names import GeneralName, general_name_of_host
from tiny_ca.domain.paths import Conformance, PathRequest
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.domain.records import CertificateStatus
from tiny_ca.ports.issuer import Issuer, is_self_issued
from tiny_ca.ports.path import PathMaterial

__all__ = ["Purpose", "path_request", "verify_chain"]

Purpose = ExtendedKeyUsage | x509.ObjectIdentifier | str
"""A key purpose (RFC 5280 §4.2.1.12); a string is an object identifier in dotted form."""


def path_request(
    now: datetime,
    *,
    purpose: Purpose | None,
    host: str | None,
    email: str | None,
    at: datetime | None,
    conformance: str,
    max_intermediates: int,
) -> PathRequest:
    """Give what is asked of a path, as the domain has it.

    Raises `InvalidRequest`.
    """
    if conformance not in list(Conformance):
        raise InvalidRequest(
            f"conformance is one of {', '.join(Conformance)}, got {conformance!r}."
        )
    names = [] if host is None else [_host(host)]
    if email is not None:
        names.append(GeneralName.email(email))
    if purpose is None and host is not None:
        purpose = ExtendedKeyUsage.SERVER_AUTH
    if isinstance(purpose, x509.ObjectIdentifier):
        purpose = purpose.dotted_string
    elif isinstance(purpose, ExtendedKeyUsage):
        purpose = purpose.value
    return PathRequest(
        at=now if at is None else at,
        purpose=purpose,
        names=tuple(names),
        max_intermediates=max_intermediates,
        conformance=Conformance(conformance),
    )


def verify_chain(
    services: Services,
    issuer: Issuer | None,
    certificate: x509.Certificate,
    request: PathRequest,
    *,
    roots: Collection[x509.Certificate] | None = None,
    intermediates: Collection[x509.Certificate] = (),
    crls: Collection[x509.CertificateRevocationList] | None = None,
) -> list[x509.Certificate]:
    """Give a valid path from *certificate* to one of *roots*, or to a root of the registry.

    With the registry's roots, its CAs are intermediates too, and every certificate has to be
    on record, or on a current one of *crls*.  With others, the registry is not asked.  Raises
    `ValidationCertError`.
    """
    if roots is not None:
        return services.paths.validate(
            certificate, request, PathMaterial(roots, intermediates, crls)
        )
    authorities = [
        x509.load_pem_x509_certificate(record.certificate_pem.encode())
        for record in services.registry.authorities()
        if record.certificate_pem is not None
    ]
    trusted = [one for one in authorities if is_self_issued(one)]
    if issuer is not None:
        # A CA from elsewhere, that signs here, has its root elsewhere; an intermediate that is
        # on record stands or falls with the root that it has.
        ca = issuer.certificate
        if is_self_issued(ca) or not _is_on_record(services, ca):
            trusted.append(ca)
    material = PathMaterial(
        trusted,
        (*intermediates, *authorities),
        crls,
        on_record=lambda one: _is_on_record(services, one),
    )
    return services.paths.validate(certificate, request, material)


def _is_on_record(services: Services, certificate: x509.Certificate) -> bool:
    """Whether the registry has this very certificate, at any time of its life.

    Raises `ValidationCertError` if it is revoked.
    """
    record = find_same(services, certificate)
    if record is None:
        return False
    if record.status not in {CertificateStatus.VALID, CertificateStatus.EXPIRED}:
        raise ValidationCertError(
            f"The certificate {certificate.serial_number:#x} is {record.status}."
        )
    return True


def _host(text: str) -> GeneralName:
    name = general_name_of_host(to_a_labels(text))
    if name is None:
        raise InvalidName(f"{text!r} is neither a DNS name nor an IP address.")
    return name
