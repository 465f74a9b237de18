"""A chain of three, made once for each kind of key: a root, a CA below it, and leaf keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tiny_ca import CAConfig, CertLifecycleManager, LocalStorage, PublicationURLs, SyncDBHandler
from tiny_ca.adapters.outbound.crypto.keys import generate_private_key, signature_hash
from tiny_ca.domain.keys import KeySpec

URLS = PublicationURLs(
    crl=("http://pki.example/{issuer_id}.crl",),
    ocsp=("http://ocsp.example/{issuer_id}",),
    issuer=("http://pki.example/{issuer_id}.cer",),
)
_NUMBERS = count(1)


@dataclass(frozen=True)
class Served:
    """A certificate with what stands between it and the root, and its key, as files."""

    certificate: x509.Certificate
    pem: Path
    key: Path

    @property
    def serial_number(self) -> int:
        return self.certificate.serial_number


@dataclass
class Three:
    folder: Path
    spec: KeySpec
    root_ca: CertLifecycleManager
    issuing_ca: CertLifecycleManager

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, spec: KeySpec) -> Iterator[Self]:
        with CertLifecycleManager(
            LocalStorage(folder / "pki"),
            db_handler=SyncDBHandler(f"sqlite:///{folder / 'registry.db'}"),
            urls=URLS,
        ) as ca:
            key: dict[str, Any] = {"key_algorithm": spec.algorithm, "key_size": spec.rsa_bits}
            config = CAConfig(common_name="Interop Root", organization="ACME", country="UA", **key)
            ca.create_self_signed_ca(config)
            ca.issue_intermediate_ca("Interop Issuing", **key)
            yield cls(folder, spec, ca, ca.under("Interop Issuing"))

    @property
    def root(self) -> x509.Certificate:
        assert self.root_ca.factory is not None
        return self.root_ca.factory.certificate

    @property
    def issuing(self) -> x509.Certificate:
        assert self.issuing_ca.factory is not None
        return self.issuing_ca.factory.certificate

    @cached_property
    def leaf_key(self) -> Any:
        """The one key of all leaves, so that RSA's is made once."""
        return generate_private_key(self.spec)

    @cached_property
    def root_pem(self) -> Path:
        return self.write("root.pem", self.root.public_bytes(Encoding.PEM))

    @cached_property
    def issuing_pem(self) -> Path:
        return self.write("issuing.pem", self.issuing.public_bytes(Encoding.PEM))

    @cached_property
    def crl_pem(self) -> Path:
        """The CRLs of both CAs."""
        crls = [
            ca.generate_crl().public_bytes(Encoding.PEM) for ca in (self.issuing_ca, self.root_ca)
        ]
        return self.write("crls.pem", b"".join(crls))

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def issue(self, profile: str, *names: x509.GeneralName, **options: Any) -> x509.Certificate:
        """Issue by a profile what a CSR asks for; a CA below the root, all else a step lower."""
        attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{profile} {next(_NUMBERS)}")]
        attributes += [
            x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, name.value)
            for name in names
            if isinstance(name, x509.RFC822Name)
        ]
        builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        csr = builder.sign(self.leaf_key, signature_hash(self.leaf_key))
        ca = self.root_ca if profile == "ca" else self.issuing_ca
        return ca.sign_csr(csr, profile=profile, **options)

    def serve(self, profile: str, *names: x509.GeneralName) -> Served:
        """Issue, and write what a program serves."""
        certificate = self.issue(profile, *names)
        stem = f"{certificate.serial_number:x}"
        key = self.leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = self.issuing_ca.export_fullchain(certificate)
        return Served(certificate, self.write(f"{stem}.pem", chain), self.write(f"{stem}.key", key))
