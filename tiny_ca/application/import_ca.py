"""CAs whose certificates are signed elsewhere: ask for one, take it in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from cryptography import x509

from tiny_ca.application.bootstrap import CA_FILE_NAME
from tiny_ca.application.issuance import location_of, new_location
from tiny_ca.application.requests import CAConfig
from tiny_ca.application.services import Services
from tiny_ca.application.stored import load_files
from tiny_ca.application.verify import active_by_name
from tiny_ca.domain.errors import ErrorLoadCert, FileAlreadyExists, StorageError
from tiny_ca.domain.lifetime import utc_seconds
from tiny_ca.domain.records import CertificateRecord, Location
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.issuer import Issuer, is_ca, issuer_id_of, key_identifier
from tiny_ca.ports.storage import Artefacts, KeyRequest

__all__ = ["import_ca", "request_ca"]

_LONGEST_SERIAL_BITS = 160
_REQUESTS = "requests"
"""The folder of keys that wait for their certificates."""


def request_ca(services: Services, config: CAConfig) -> x509.CertificateSigningRequest:
    """Make a CA's key, keep it, and give the request that another CA is to sign."""
    key = services.crypto.generate_private_key(config.key_spec)
    csr = services.crypto.sign_request(config.subject, key)
    place = _place_of(key.public_key())
    services.storage.stage(place, KeyRequest(key, csr))
    services.storage.publish(place)
    return csr


def import_ca(
    services: Services,
    certificate: x509.Certificate,
    private_key: PrivateKey | None = None,
    *,
    chain: Sequence[x509.Certificate] = (),
    folder: str | PurePath | None = None,
) -> Issuer | None:
    """Record a CA that was signed elsewhere, and those above it; give it, if its key is held.

    The key is *private_key*, or the one that `request_ca` kept.  Without either the CA only
    vouches for those below it, as an offline root does.  What is on record already stays as
    it is, and gets its key if the storage lacks that.  Raises `ErrorLoadCert` for what is no
    CA's certificate, or another key.
    """
    for each in (certificate, *chain):
        services.crypto.check_readable(each)
        if each.serial_number.bit_length() > _LONGEST_SERIAL_BITS:
            raise ErrorLoadCert(
                "the CA", "its serial number is longer than 20 octets (RFC 5280 §4.1.2.2)."
            )
        if not is_ca(each):
            raise ErrorLoadCert(each.subject.rfc4514_string(), "it is not a CA's certificate.")
    place = _place_of(certificate.public_key())
    kept = None if private_key is not None else _kept(services, place)
    key = kept.private_key if kept is not None else private_key
    issuer = None if key is None else services.crypto.issuer(certificate, key)
    artefacts = Artefacts(certificate, key, None if kept is None else kept.csr)
    has_files = _record(services, artefacts, folder)
    for each in chain:
        _record(services, Artefacts(each), folder)
    if kept is not None and has_files:
        services.storage.delete(place)
    return issuer


def _place_of(public_key: object) -> Location:
    return Location(key_identifier(public_key).hex(), CA_FILE_NAME, _REQUESTS)


def _kept(services: Services, place: Location) -> KeyRequest | None:
    if services.storage.find_folder(place.uuid) is None:
        return None
    return services.storage.load_request(place)


def _record(services: Services, artefacts: Artefacts, folder: str | PurePath | None) -> bool:
    """Stage, record, publish: in that order, so that `recover` knows what is staged.

    Gives whether it has a place for files.
    """
    certificate = artefacts.certificate
    known = services.registry.get_by_serial(certificate.serial_number, issuer_id_of(certificate))
    if known is not None:
        return _add_key(services, known, artefacts)
    location = new_location(services, CA_FILE_NAME, folder, None)
    services.storage.stage(location, artefacts)
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    is_free = not names or active_by_name(services, str(names[0].value)) is None
    try:
        services.registry.register(
            certificate,
            location.uuid,
            CertType.CA,
            utc_seconds(services.clock.now()),
            location=location,
            claims_name=is_free,
        )
    except BaseException as error:
        try:
            services.storage.discard(location.uuid)
        except StorageError as second:
            error.add_note(f"Left for recover(): {second}")
        raise
    services.storage.publish(location)
    return True


def _add_key(services: Services, known: CertificateRecord, artefacts: Artefacts) -> bool:
    """Store the key of a CA that is on record without: it was signed or imported here before."""
    location = location_of(services, known, CA_FILE_NAME)
    if artefacts.private_key is None or location is None:
        return location is not None
    try:
        services.storage.check_vacant(location)
    except FileAlreadyExists:
        stored = load_files(services, known, location)
        if stored.private_key is not None:
            return True
        artefacts = replace(artefacts, csr=artefacts.csr or stored.csr)
    services.storage.stage(location, artefacts, replaces=True)
    services.storage.publish(location)
    return True
