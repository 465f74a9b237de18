"""`IssuedCertificate`: a certificate with all that a TLS peer needs of it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from tiny_ca.adapters.outbound.storage import PEM, shown_in_live, write_live
from tiny_ca.adapters.outbound.tls import load_identity
from tiny_ca.application.export import name_of
from tiny_ca.domain.errors import InvalidRequest, StorageError
from tiny_ca.domain.live import LiveLayout, LiveLayoutName
from tiny_ca.domain.names import file_name_of
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.issuer import is_self_issued

__all__ = ["IssuedCertificate", "LiveLayout", "LiveLayoutName"]


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate, its private key, and the CAs above it."""

    certificate: x509.Certificate
    private_key: PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]
    """*certificate* first, then its issuer and so on, up to the root if that is on record."""
    paths: Mapping[str, Path] = field(default_factory=dict, compare=False, repr=False)
    """Where the storage keeps it, by extension, if it has files."""

    @property
    def serial_number(self) -> int:
        """The certificate's."""
        return self.certificate.serial_number

    @property
    def cert_pem(self) -> PEM:
        """The certificate alone."""
        return PEM.of_certificates([self.certificate])

    @property
    def private_key_pem(self) -> PEM:
        """The private key, PKCS #8, in the clear."""
        return PEM.of_private_key(self.private_key)

    @property
    def fullchain_pem(self) -> PEM:
        """The certificate and the intermediates above it, as TLS servers show them.

        Without the root: who trusts it has it (RFC 8446 §4.4.2).
        """
        return PEM.of_certificates(self._shown)

    @property
    def chain_pem(self) -> PEM:
        """The intermediates alone; the root's certificate where there are none.

        For `ssl_trusted_certificate` and the like: nginx refuses an empty file, and the root is
        then the issuer that it needs to check OCSP answers by.
        """
        return PEM.of_certificates(self._shown[1:] or self.chain[-1:])

    @property
    def ca_pem(self) -> PEM:
        """The root, or the last CA above the certificate that is on record."""
        return PEM.of_certificates(self.chain[-1:])

    def write_live(
        self,
        folder: str | Path,
        name: str | None = None,
        *,
        layout: LiveLayout | LiveLayoutName = LiveLayout.CERTBOT,
        keep: int | None = None,
    ) -> Path:
        """Write the files to `<folder>/live/<name>/`, as certbot does, and give that path.

        Atomic and durable: it is a link to `archive/<name>/<number>/`, and one rename switches
        all files.  Writing the same again changes nothing.  *name* is made from the common
        name by default; *keep*, 1 or more: so many versions stay in the archive, else all.
        Keys are PKCS #8 in the clear, 0600.  Raises `UnsafePath`, `StorageError`, also when no
        *name* is given and the link shows the certificate of another common name: `Alice` and
        `alice`, `a/b` and `a_b` make the same one.
        """
        if layout not in list(LiveLayout):
            raise InvalidRequest(f"layout is one of {', '.join(LiveLayout)}, got {layout!r}.")
        if name is None:
            common_name = name_of(self.certificate)
            name = file_name_of(common_name)
            shown = shown_in_live(folder, name)
            if shown is not None and name_of(shown) != common_name:
                raise StorageError(
                    f"{Path(folder) / 'live' / name} shows the certificate of {name_of(shown)!r}: "
                    f"say under which other name that of {common_name!r} is to be written."
                )
        return write_live(folder, name, self._files(LiveLayout(layout)), keep=keep)

    def _files(self, layout: LiveLayout) -> dict[str, PEM]:
        if layout is LiveLayout.KUBERNETES:
            return {
                "tls.crt": self.fullchain_pem,
                "tls.key": self.private_key_pem,
                "ca.crt": self.ca_pem,
            }
        return {
            "cert.pem": self.cert_pem,
            "chain.pem": self.chain_pem,
            "fullchain.pem": self.fullchain_pem,
            "privkey.pem": self.private_key_pem,
        }

    @property
    def _shown(self) -> tuple[x509.Certificate, ...]:
        is_rooted = len(self.chain) > 1 and is_self_issued(self.chain[-1])
        return self.chain[:-1] if is_rooted else self.chain

    def configure_cert(self, context: ssl.SSLContext) -> None:
        """Have a TLS context, a server's or a client's, show this certificate and its chain.

        The private key touches no disk.  Raises `ErrorLoadCert` when this Python's OpenSSL
        does not know the key's algorithm.
        """
        load_identity(context, self._shown, self.private_key)
