"""End-entity certificates: issue, rotate, prepare."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from tiny_ca.application import issue, join, once, preview, reissue, rotate, sign_csr
from tiny_ca.application.issuance import Outcome, present
from tiny_ca.application.join import PreparedCertificate
from tiny_ca.application.preview import Preview
from tiny_ca.application.requests import ClientConfig
from tiny_ca.application.sign_csr import CSR
from tiny_ca.domain.errors import InvalidRequest
from tiny_ca.lifecycle.base import Face
from tiny_ca.ports.crypto import PrivateKey
from tiny_ca.ports.progress import Progress
from tiny_ca.ports.storage import Artefacts

__all__ = ["Issued", "Issuing"]

Issued = tuple[x509.Certificate, PrivateKey, x509.CertificateSigningRequest]


class Issuing(Face):
    """The operations that issue end-entity certificates."""

    def issue_certificate(
        self,
        config: ClientConfig,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        is_overwrite: bool = False,
        *,
        idempotency_key: str | None = None,
    ) -> Issued:
        """Issue a certificate with a new key: gives certificate, private key and request.

        All or nothing: it is recorded before it is signed, and its files appear at once in
        `[cert_path/]<uuid_str>/`.  With *is_overwrite* the valid certificate of the same
        common name is superseded in the same transaction, and its files are deleted then.
        Raises `ValueError` without a factory, `NotUniqueCertOwner`, `FileAlreadyExists`,
        `InvalidRangeTimeCertificate`, `UnsafePath`.
        """
        outcome = self._issue(config, cert_path, uuid_str, is_overwrite, idempotency_key)
        return self._issued("issued", "Issued", outcome.artefacts)

    def _issue(
        self,
        config: ClientConfig,
        cert_path: str | Path | None,
        uuid_str: str | None,
        is_overwrite: bool,
        idempotency_key: str | None,
    ) -> Outcome:
        services, issuer = self._ready(), self._issuer()
        request = config.fingerprint(), cert_path, uuid_str, is_overwrite
        return once.once(
            services,
            idempotency_key,
            ("issue", issuer.issuer_id, *request),
            lambda retry_key: issue.issue(
                services,
                issuer,
                config,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                retry_key=retry_key,
            ),
        )

    def issue_many(
        self,
        configs: Sequence[ClientConfig],
        cert_path: str | Path | None = None,
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> list[Issued]:
        """Issue certificates with new keys, all or none, in two transactions.

        Gives what `issue_certificate` gives, in the order of *configs*, and raises as it does.
        *progress* is told how many are signed.
        """
        services, issuer = self._ready(), self._issuer()
        if not configs:
            return []
        outcomes = once.once_for_all(
            services,
            idempotency_key,
            [(issuer.issuer_id, one.fingerprint(), cert_path) for one in configs],
            lambda retry_keys: issue.issue_many(
                services, issuer, configs, cert_path, retry_keys=retry_keys, progress=progress
            ),
        )
        return [self._issued("issued", "Issued", outcome.artefacts) for outcome in outcomes]

    def rotate_certificate(
        self, serial: int, config: ClientConfig, *, idempotency_key: str | None = None
    ) -> Issued:
        """Issue the successor of the certificate *serial*, which is superseded as it commits.

        If anything fails, the old certificate is still valid.  The new files go into the same
        *cert_path*.  Raises `CertNotFound`, `ValidationCertError` for a revoked certificate,
        and as `issue_certificate`.
        """
        services, issuer = self._with_registry(), self._issuer()
        outcome = once.once(
            services,
            idempotency_key,
            ("rotate", issuer.issuer_id, serial, config.fingerprint()),
            lambda retry_key: rotate.rotate(services, issuer, serial, config, retry_key=retry_key),
        )
        return self._issued(
            "rotated", f"Rotated {serial} to", outcome.artefacts, predecessor=serial
        )

    def renew_certificate(
        self,
        serial: int,
        days_valid: int = 365,
        valid_from: datetime | None = None,
        *,
        valid_for: timedelta | None = None,
        idempotency_key: str | None = None,
    ) -> x509.Certificate:
        """Issue a certificate like the one with this serial number: same key, new period.

        The old one stays valid until it ends or is revoked, and the new one has its claim on
        the name.  Files, with the key if the storage holds it, go into a folder of their own.
        *valid_for* stands in place of *days_valid*.  Raises `CertNotFound`, `ProfileViolation`,
        and `ValidationCertError` for one that is revoked, a CA's, or another CA's.
        """
        services, issuer = self._with_registry(), self._issuer()
        lifetime = days_valid if valid_for is None else valid_for
        outcome = once.once(
            services,
            idempotency_key,
            ("renew", issuer.issuer_id, serial, str(lifetime), str(valid_from)),
            lambda retry_key: reissue.renew(
                services,
                issuer,
                serial,
                lifetime=lifetime,
                valid_from=valid_from,
                retry_key=retry_key,
            ),
            needs_key=False,
        )
        self._log(
            "renewed",
            f"Renewed {serial} as",
            outcome.artefacts.certificate,
            predecessor=serial,
        )
        return outcome.artefacts.certificate

    def sign_csr(
        self,
        csr: CSR,
        profile: str = "server",
        *,
        common_name: str | None = None,
        days_valid: int | None = None,
        valid_for: timedelta | None = None,
        valid_from: datetime | None = None,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        is_overwrite: bool = False,
        overlap: bool = False,
        idempotency_key: str | None = None,
    ) -> x509.Certificate:
        """Issue a certificate for the key of a CSR (RFC 2986): an object, PEM or DER.

        Of the request only the key and the names that *profile* allows are taken; the profile
        decides the rest, and how long it is valid unless *days_valid* or *valid_for* says.
        *common_name* stands in place of the request's.  A CA is certified by a profile for CAs.
        The active certificate of the same common name is in the way, unless *is_overwrite*
        supersedes it, or *overlap* lets it stay valid until it ends: it gives up its claim on
        the name, and whoever did not get the answer can go on with it, and ask again.
        Raises `InvalidCSR` (malformed, over 64 KiB, more than 100 names, not signed by its own
        key, CA:TRUE), `WeakKey`, `InvalidName`, `ProfileViolation`, `InvalidRequest` for both
        *days_valid* and *valid_for*, and as `issue_certificate`.
        """
        services, issuer = self._ready(), self._issuer()
        request, received = sign_csr.request_of_csr(
            services,
            csr,
            services.policy.profile(profile),
            common_name=common_name,
            lifetime=_lifetime(days_valid, valid_for),
            valid_from=valid_from,
        )
        asked = (received.csr.tbs_certrequest_bytes.hex(), profile, common_name, cert_path)
        period = (days_valid, str(valid_for), str(valid_from))
        options: tuple[object, ...] = (uuid_str, is_overwrite)
        if overlap:  # only when asked for: keys of earlier versions stay theirs
            options += (overlap,)
        outcome = once.once(
            services,
            idempotency_key,
            ("csr", issuer.issuer_id, *asked, *period, *options),
            lambda retry_key: sign_csr.sign_csr(
                services,
                issuer,
                request,
                received,
                cert_path,
                uuid_str,
                is_overwrite=is_overwrite,
                overlap=overlap,
                retry_key=retry_key,
            ),
            needs_key=False,
        )
        self._log("csr_signed", "Signed the request of", outcome.artefacts.certificate)
        return outcome.artefacts.certificate

    def sign_many_csrs(
        self,
        requests: Sequence[CSR],
        profile: str = "server",
        *,
        days_valid: int | None = None,
        valid_for: timedelta | None = None,
        valid_from: datetime | None = None,
        cert_path: str | Path | None = None,
        idempotency_key: str | None = None,
    ) -> list[x509.Certificate]:
        """Issue certificates for the keys of many CSRs, all or none, in two transactions.

        Gives what `sign_csr` gives, in the order of *requests*, and raises as it does; a note
        on the error says which request it was.
        """
        services, issuer = self._ready(), self._issuer()
        if not requests:
            return []
        wanted = sign_csr.requests_of_csrs(
            services,
            requests,
            services.policy.profile(profile),
            lifetime=_lifetime(days_valid, valid_for),
            valid_from=valid_from,
        )
        asked = profile, cert_path, days_valid, str(valid_for), str(valid_from)
        outcomes = once.once_for_all(
            services,
            idempotency_key,
            [
                ("csr", issuer.issuer_id, received.csr.tbs_certrequest_bytes.hex(), *asked)
                for _, received in wanted
            ],
            lambda retry_keys: sign_csr.sign_many_csrs(
                services, issuer, wanted, cert_path, retry_keys=retry_keys
            ),
            needs_key=False,
        )
        certificates = [outcome.artefacts.certificate for outcome in outcomes]
        for certificate in certificates:
            self._log("csr_signed", "Signed the request of", certificate)
        return certificates

    def cosign_certificate(
        self,
        cert: x509.Certificate,
        days_valid: int | None = None,
        valid_from: datetime | None = None,
        *,
        profile: str | None = None,
    ) -> x509.Certificate:
        """Certify the key and names of somebody else's certificate under this CA.

        By *profile*, or for the purposes of TLS servers and clients that it has.  `None` for
        *days_valid*: until the other certificate ends.  Raises `InvalidRequest` for a CA's
        certificate, which `cross_sign_ca` takes; `InvalidName`; `WeakKey`; `ProfileViolation`.
        """
        outcome = reissue.cosign(
            self._with_registry(),
            self._issuer(),
            cert,
            profile=profile,
            lifetime=days_valid,
            valid_from=valid_from,
        )
        self._log("cosigned", "Co-signed", outcome.artefacts.certificate)
        return outcome.artefacts.certificate

    def plan(self, config: ClientConfig) -> Preview:
        """Say what `issue_certificate` would issue, and what is in its way; nothing is written."""
        return preview.preview(self._ready(), self._issuer(), config)

    def prepare_certificate(
        self,
        config: ClientConfig,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
    ) -> PreparedCertificate:
        """Issue a certificate as part of a transaction of your own.

            with ca.prepare_certificate(config) as prepared:
                with Session(engine) as session, session.begin():
                    session.add(Device(serial_number=str(prepared.serial_number)))
                    prepared.join(session)
            certificate, private_key, csr = prepared.issued

        It is reserved and signed when the block begins, valid when your transaction commits,
        and its files appear when the block ends.  If the transaction did not commit, nothing
        is issued.  If the process dies in between, `recover` publishes or undoes it.  Begin
        the transaction inside the block: SQLite has one writer.
        """
        return join.prepare_leaf(self._with_registry(), self._issuer(), config, cert_path, uuid_str)

    def _issued(
        self, event: str, what: str, artefacts: Artefacts, *, predecessor: int | None = None
    ) -> Issued:
        self._log(event, what, artefacts.certificate, predecessor=predecessor)
        return artefacts.certificate, present(artefacts.private_key), present(artefacts.csr)


def _lifetime(days_valid: int | None, valid_for: timedelta | None) -> timedelta | int | None:
    """Give the one of both that is given, if any.  Raises `InvalidRequest` for both."""
    if days_valid is not None and valid_for is not None:
        raise InvalidRequest("Give days_valid or valid_for, not both.")
    return days_valid if valid_for is None else valid_for
