"""Inspection and exports."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from cryptography import x509

from tiny_ca.adapters.outbound.crypto import CryptographyBundles, CryptographyInspector
from tiny_ca.application import chain as chains
from tiny_ca.application import export, import_ca
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.logs import fields
from tiny_ca.ports.bundles import Bundles
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.inspector import CertificateDetails, Inspector

__all__ = ["Exporting"]


class Exporting(Face):
    """The operations that read certificates and hand them out."""

    _inspector: ClassVar[Inspector] = CryptographyInspector()
    _bundles: ClassVar[Bundles] = CryptographyBundles()

    def import_ca_bundle(
        self,
        data: bytes,
        password: bytes | str | None = None,
        *,
        cert_path: str | Path | None = None,
    ) -> None:
        """Take in a CA from PEM (its certificate, its key, those above it) or PKCS #12.

        Does what `import_ca` does.  *password* opens an encrypted key, or the PKCS #12.  Raises
        `ErrorLoadCert` for what is neither, a wrong password, or no CA's.
        """
        octets = password.encode() if isinstance(password, str) else password
        bundle = self._bundles.read(data, octets)
        issuer = import_ca.import_ca(
            self._with_registry(),
            bundle.certificate,
            bundle.key,
            chain=bundle.others,
            folder=cert_path,
        )
        if issuer is not None:
            self.factory = issuer
        self._log("ca_imported", "Imported", bundle.certificate)

    def inspect_certificate(self, cert: x509.Certificate | bytes | str) -> CertificateDetails:
        """Give what a certificate says, of this CA or another: an object, PEM, or DER.

        Nothing is checked, and no CA is needed.  Raises `ErrorLoadCert` for what is no
        certificate or longer than 64 KiB; what is malformed in it is in `unreadable`.
        """
        return self._inspector.inspect(cert)

    def export_pkcs12(
        self,
        cert: x509.Certificate,
        private_key: PrivateKey | None = None,
        password: bytes | str | None = None,
        name: str | None = None,
        *,
        encrypted: bool = True,
        compatible: bool = False,
        chain: Sequence[x509.Certificate] | None = None,
    ) -> bytes:
        """Give a PKCS #12 (RFC 7292): a certificate, its private key and its chain.

        Without *private_key* the storage's.  *name* is the entry's, the common name by
        default.  *password* encrypts by PBES2 with AES-256 and a SHA-256 MAC; *compatible*
        by triple DES and SHA-1, for readers that know no better.  Choose it at random: the
        MAC takes 2048 rounds only.  Without a password, *encrypted* has to be false: the
        private key is then in the clear.  *chain* is for
        certificates of another CA, their own first.

        Raises `InvalidRequest` without a password, for a key of another certificate, and for
        ML-DSA, which PKCS #12 can't hold yet; `CertNotFound`, `StorageError`, or
        `DBNotInitedError` when the key is not found; `ValidationCertError` if no CA on record
        issued it.
        """
        protection = export.protection_of(password, encrypted=encrypted, compatible=compatible)
        path = self._chain(cert) if chain is None else chain
        if private_key is None:
            private_key = export.stored_key(self._with_registry(), cert)
        bundle = export.export_pkcs12(self._bundles, path, private_key, name, protection)
        self._logger.info(
            "Exported PKCS #12%s",
            "" if protection else " in the clear",
            extra=fields("exported", serial_number=cert.serial_number, encrypted=bool(protection)),
        )
        return bundle

    def export_fullchain(self, cert: x509.Certificate, *, with_root: bool = False) -> bytes:
        """Give PEM of a certificate and the CAs above it, as TLS servers want it.

        Raises `ValidationCertError` if no CA on record issued it.
        """
        return export.export_fullchain(self._bundles, self._chain(cert), with_root=with_root)

    def export_pkcs7(self, cert: x509.Certificate, *, as_der: bool = False) -> bytes:
        """Give a certs-only PKCS #7 (`.p7b`) of a certificate and its chain, root included.

        PEM, or DER with *as_der*.  Raises as `export_fullchain` does.
        """
        return export.export_pkcs7(self._bundles, self._chain(cert), as_der=as_der)

    def export_java_truststore(
        self,
        password: bytes | str | None = None,
        *,
        certificates: Sequence[x509.Certificate] | None = None,
        encrypted: bool = True,
        compatible: bool = False,
    ) -> bytes:
        """Give a PKCS #12 of the *certificates* that Java is to trust: this CA's by default.

        *password*, *encrypted* and *compatible* as in `export_pkcs12`.  Raises
        `InvalidRequest` without a password, `ValueError` without a factory.
        """
        protection = export.protection_of(password, encrypted=encrypted, compatible=compatible)
        trusted = [self._issuer().certificate] if certificates is None else certificates
        return export.export_java_truststore(self._bundles, trusted, protection)

    def get_cert_chain(self, cert: x509.Certificate) -> list[x509.Certificate]:
        """Give a certificate, the CA that issued it, and so on up to the root.

        As far as the CAs are on record, this manager's own included.  Raises
        `ValidationCertError` when none of them issued it, `ErrorLoadCert` if it is malformed.
        """
        return self._chain(cert)

    def _chain(self, cert: x509.Certificate) -> list[x509.Certificate]:
        self._services.crypto.check_readable(cert)
        known = [] if self._factory is None else [self._factory.certificate]
        return chains.chain_of(self._ready(), cert, *known)
