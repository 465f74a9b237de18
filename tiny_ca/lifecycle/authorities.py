"""CAs: make them, open them."""

from pathlib import Path

from tiny_ca.application import bootstrap, once, open_issuer
from tiny_ca.application.requests import CAConfig
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.issuing import made

__all__ = ["Authorities"]


class Authorities(Face):
    """The operations on certificate authorities."""

    def create_self_signed_ca(
        self,
        config: CAConfig,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        is_overwrite: bool = False,
        *,
        idempotency_key: str | None = None,
    ) -> tuple[Path, Path]:
        """Make a root; the manager issues under it from then on.

        Gives the paths of `[cert_path/]<uuid_str>/ca.pem` and `ca.key`.  With *is_overwrite*
        a valid certificate of the same common name is superseded.  Raises
        `NotUniqueCertOwner`, `FileAlreadyExists`, `InvalidRangeTimeCertificate`, `UnsafePath`.
        """
        services = self._ready()
        outcome = once.once(
            services,
            idempotency_key,
            ("root", config.fingerprint(), cert_path, uuid_str, is_overwrite),
            lambda retry_key: bootstrap.create_root(
                services,
                config,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                retry_key=retry_key,
            ),
        )
        certificate, key = outcome.artefacts.certificate, made(outcome.artefacts.private_key)
        self.factory = services.crypto.issuer(certificate, key)
        self._log("Created CA", certificate)
        return outcome.paths[".pem"], outcome.paths[".key"]

    def open_ca(self, common_name: str | None = None) -> None:
        """Load the CA that an earlier `create_self_signed_ca` left, and issue under it.

        By its common name, or the only valid one there is.  Raises `CertNotFound`,
        `StorageError` if its files are gone or encrypted otherwise, `ErrorLoadCert`.
        """
        self.factory = open_issuer.open_issuer(self._with_registry(), common_name)
