"""What the contracts work with: a CA, what it reserves and signs, and a moment."""

# ruff: noqa: S101

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from threading import Barrier
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tiny_ca.adapters.outbound.crypto import CryptographyBackend
from tiny_ca.domain.crl import CRLPart, CRLPlan, encode_crl_entry
from tiny_ca.domain.crl_reader import parse_entry
from tiny_ca.domain.der_reader import Reader
from tiny_ca.domain.keys import KeyAlgorithm, KeySpec
from tiny_ca.domain.lifetime import Validity
from tiny_ca.domain.names import SubjectName
from tiny_ca.domain.plan import CertificatePlan, KeyUsage
from tiny_ca.domain.planning import plan_root
from tiny_ca.domain.records import (
    CertificateRecord,
    CertificateStatus,
    CRLEntry,
    Location,
    Reservation,
)
from tiny_ca.domain.requests import RootRequest
from tiny_ca.domain.serial import CertType
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.issuer import Issuer
from tiny_ca.ports.registry import Registry

__all__ = [
    "HOUR",
    "NOW",
    "P256",
    "SampleCA",
    "at_once",
    "damaged_certificates",
    "entries_of",
    "issuer_id_of_name",
    "leaf_plan",
    "record_of",
    "root_plan",
    "sample_key",
    "signed_crl",
]

T = TypeVar("T")

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""When the contracts' stories begin."""
HOUR = timedelta(hours=1)
P256 = KeySpec(KeyAlgorithm.P256)


@cache
def sample_key(which: int = 0) -> PrivateKey:  # noqa: ARG001
    """Give a P-256 key: the same one for the same number."""
    return CryptographyBackend().generate_private_key(P256)


def root_plan(common_name: str = "Contract CA", key: KeySpec = P256) -> CertificatePlan:
    """Plan a CA's own certificate, 3650 days from `NOW`."""
    subject = SubjectName(common_name, organization="ACME", country="UA")
    return plan_root(RootRequest(subject, key), NOW, random_bits=1)


def leaf_plan(serial_number: int = 1, common_name: str = "leaf.example") -> CertificatePlan:
    """Plan an end entity's certificate, 30 days from `NOW`."""
    return CertificatePlan(
        subject=SubjectName(common_name),
        serial_number=serial_number,
        cert_type=CertType.SERVICE,
        key=P256,
        validity=Validity(NOW, NOW + timedelta(days=30)),
        key_usage=frozenset({KeyUsage.DIGITAL_SIGNATURE}),
    )


@cache
def issuer_id_of_name(common_name: str) -> str:
    """Give the id of the CA that a certificate of *common_name* by a `SampleCA` is of."""
    return CryptographyBackend().issuer_id(SubjectName(common_name), sample_key())


class SampleCA:
    """A P-256 CA of its own, with the reservations and certificates that are its."""

    def __init__(self, common_name: str = "Contract CA") -> None:
        crypto = CryptographyBackend()
        self.key = crypto.generate_private_key(P256)
        certificate = crypto.self_sign(root_plan(common_name), self.key)
        self.issuer: Issuer = crypto.issuer(certificate, self.key)

    @property
    def issuer_id(self) -> str:
        """The registry's name for it."""
        return self.issuer.issuer_id

    def reservation(
        self,
        serial_number: int,
        common_name: str,
        *,
        cert_type: CertType = CertType.SERVICE,
        not_after: datetime = NOW + 24 * HOUR,
        created_at: datetime = NOW,
        uuid: str | None = None,
        predecessor: int | None = None,
        supersedes: bool = True,
        claims_name: bool = True,
    ) -> Reservation:
        """Describe a row, valid from an hour before `NOW`."""
        return Reservation(
            serial_number=serial_number,
            issuer_id=self.issuer_id,
            common_name=common_name,
            cert_type=cert_type,
            validity=Validity(NOW - HOUR, not_after),
            location=Location(uuid or f"uuid-{serial_number}", "file", "some/folder"),
            created_at=created_at,
            predecessor=predecessor,
            supersedes=supersedes,
            claims_name=claims_name,
        )

    def certificate(self, reservation: Reservation) -> x509.Certificate:
        """Sign what was reserved."""
        plan = CertificatePlan(
            subject=SubjectName(reservation.common_name),
            serial_number=reservation.serial_number,
            cert_type=reservation.cert_type,
            key=P256,
            validity=reservation.validity,
            key_usage=frozenset({KeyUsage.DIGITAL_SIGNATURE}),
            is_ca=reservation.cert_type is CertType.CA,
        )
        return self.issuer.sign_certificate(plan, sample_key().public_key())

    def commit(self, registry: Registry, reservation: Reservation, at: datetime = NOW) -> None:
        """Sign what was reserved, and commit it."""
        registry.commit([(reservation, self.certificate(reservation))], at)

    def issue(
        self, registry: Registry, serial_number: int, common_name: str, **changes: Any
    ) -> Reservation:
        """Reserve and commit."""
        reservation = self.reservation(serial_number, common_name, **changes)
        registry.reserve([reservation])
        self.commit(registry, reservation, reservation.created_at)
        return reservation


def damaged_certificates() -> list[x509.Certificate]:
    """Give certificates that parse, with a name, a key and an extension that do not."""
    ca = SampleCA()
    der = ca.certificate(ca.reservation(1, "leaf.example")).public_bytes(Encoding.DER)
    damages = (
        (b"leaf.example", b"leaf\xff\xfexample"),
        # A curve that there is not; a SEQUENCE without its content.
        (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x7f"),
        (b"\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00", b"\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x01"),
    )
    assert all(before in der for before, _ in damages)
    return [x509.load_der_x509_certificate(der.replace(*each)) for each in damages]


def entries_of(parts: Iterable[CRLPart]) -> list[CRLEntry]:
    """Read what a registry gives for a CRL, and check that the parts say how many they hold."""
    entries: list[CRLEntry] = []
    for part in parts:
        reader, before = Reader(part.entries), len(entries)
        while reader:
            entries.append(parse_entry(reader))
        assert len(entries) - before == part.count > 0
    return entries


def signed_crl(
    issuer: Issuer, plan: CRLPlan, entries: Iterable[CRLEntry] = ()
) -> x509.CertificateRevocationList:
    """Sign a CRL of these entries, one a part."""
    file = BytesIO()
    issuer.sign_crl(plan, map(encode_crl_entry, entries), file)
    return x509.load_der_x509_crl(file.getvalue())


def record_of(
    reservation: Reservation, status: CertificateStatus, certificate: x509.Certificate | None = None
) -> CertificateRecord:
    """Give the record that a registry has to give of *reservation*."""
    retry_key = reservation.retry_key
    pem = None if certificate is None else certificate.public_bytes(Encoding.PEM).decode()
    return CertificateRecord(
        serial_number=reservation.serial_number,
        issuer_id=reservation.issuer_id,
        common_name=reservation.common_name,
        cert_type=reservation.cert_type,
        status=status,
        not_before=reservation.validity.not_before,
        not_after=reservation.validity.not_after,
        uuid=reservation.location.uuid,
        cert_path=reservation.location.folder,
        file_name=reservation.location.file_name,
        created_at=reservation.created_at,
        certificate_pem=pem,
        revocation_date=None,
        revocation_reason=None,
        request_hash=None if retry_key is None else retry_key.request_hash,
        profile=reservation.profile,
        claims_name=reservation.claims_name,
    )


def at_once(threads: int, work: Callable[[int], T]) -> list[T | Exception]:
    """Run *work* in threads that start together; give what each returned or raised."""
    start = Barrier(threads)

    def run(index: int) -> T | Exception:
        start.wait(30)
        try:
            return work(index)
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))
