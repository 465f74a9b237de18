"""What TLS servers and clients are set up with."""

import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from cryptography import x509

from tiny_ca.adapters.outbound.storage import PEM
from tiny_ca.adapters.outbound.tls import load_roots
from tiny_ca.application import chain as chains
from tiny_ca.application import ensure, export, find, renewals
from tiny_ca.application.guess import config_of_names
from tiny_ca.application.issuance import present
from tiny_ca.application.requests import ClientConfig
from tiny_ca.domain.errors import InvalidName, InvalidRequest
from tiny_ca.domain.keys import KeyAlgorithm, KeyAlgorithmName
from tiny_ca.domain.records import CertificateRecord
from tiny_ca.lifecycle.base import Face
from tiny_ca.lifecycle.exporting import Exporting
from tiny_ca.lifecycle.issued import IssuedCertificate, LiveLayout, LiveLayoutName
from tiny_ca.lifecycle.issuing import Issuing
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["Serving"]


class Serving(Issuing, Exporting, Face):
    """The operations that give certificates as values which set up TLS."""

    def issue(
        self,
        /,
        *names: str | IPv4Address | IPv6Address,
        common_name: str | None = None,
        profile: str | None = None,
        key_algorithm: KeyAlgorithm | KeyAlgorithmName | None = None,
        days_valid: int | None = None,
        valid_for: timedelta | None = None,
        cert_path: str | Path | None = None,
        uuid_str: str | None = None,
        is_overwrite: bool = False,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> IssuedCertificate:
        """Issue a certificate for *names*: DNS names, IP addresses, e-mail addresses, URIs.

        Each is an alternative name of the kind that it looks like: with `://` a URI, with `@`
        an e-mail address, else an IP address or a DNS name (`*.example.org` too).  The first
        that is short enough is the *common_name* unless that is given.  Without a *profile* it
        is for TLS servers and clients; for clients, if all are e-mail addresses.  *fields* are
        `ClientConfig`'s.  Otherwise as `issue_certificate`.  Raises `InvalidName` for a name
        that is none, `InvalidRequest` without any, and as `issue_certificate`.
        """
        fields |= _given(
            profile=profile, key_algorithm=key_algorithm, days_valid=days_valid, valid_for=valid_for
        )
        config = config_of_names([_text(name) for name in names], common_name, fields)
        outcome = self._issue(config, cert_path, uuid_str, is_overwrite, idempotency_key)
        certificate, key, _ = self._issued("issued", "Issued", outcome.artefacts)
        return self._value(certificate, key, outcome.paths)

    def ensure_certificate(
        self,
        /,
        *names: str | IPv4Address | IPv6Address | ClientConfig,
        within: timedelta | None = None,
        common_name: str | None = None,
        profile: str | None = None,
        key_algorithm: KeyAlgorithm | KeyAlgorithmName | None = None,
        days_valid: int | None = None,
        valid_for: timedelta | None = None,
        cert_path: str | Path | None = None,
        **fields: Any,
    ) -> IssuedCertificate:
        """Give the current certificate for *names*, with its key, or issue one: as often as asked.

        The current one is the active one of the common name, as long as it is not due (as
        `due_for_renewal` says, *within* too) and is what is asked for: the same names, profile,
        purposes and kind of key.  Otherwise, and after a revocation, one with a new key is
        issued; the former one stays valid until it ends, and has no claim on the name.  Of
        several processes that ask at once, one issues, and all get that.

        Takes what `issue` takes, or one `ClientConfig`; the storage has to hold the key, and
        one common name is asked for in one way.  Raises `StorageError` if the key is not in it,
        `AnotherIssuer`, `InvalidRequest` for a profile by which names have many certificates,
        and as `issue`.
        """
        fields |= _given(
            profile=profile, key_algorithm=key_algorithm, days_valid=days_valid, valid_for=valid_for
        )
        config = _config(names, common_name, fields)
        services, issuer = self._with_registry(), self._issuer()
        outcome, is_new = ensure.ensure(services, issuer, config, within, cert_path)
        artefacts = outcome.artefacts
        if is_new:
            self._log("issued", "Issued", artefacts.certificate)
        return self._value(artefacts.certificate, present(artefacts.private_key), outcome.paths)

    def get_issued(self, serial: int) -> IssuedCertificate:
        """Give a certificate of this registry, with its private key from the storage.

        After `renew_certificate` or `rotate_certificate`, for instance.  Raises `CertNotFound`,
        `StorageError` if the storage does not hold the key, `DBNotInitedError`.
        """
        return self._get_issued(serial)

    def _get_issued(self, serial: int) -> IssuedCertificate:
        services = self._with_registry()
        record = find.get(services, serial, self._factory)
        artefacts, key = export.stored_with_key(services, record)
        return self._value(artefacts.certificate, key, artefacts.paths)

    def _value(
        self, certificate: x509.Certificate, key: PrivateKey, paths: Mapping[str, Path]
    ) -> IssuedCertificate:
        return IssuedCertificate(certificate, key, tuple(self._chain(certificate)), paths)

    def write_live(
        self,
        serial: int,
        folder: str | Path,
        name: str | None = None,
        *,
        layout: LiveLayout | LiveLayoutName = LiveLayout.CERTBOT,
        keep: int | None = None,
    ) -> Path:
        """Write a certificate's files to `<folder>/live/<name>/`, switched in one step.

        Does what `IssuedCertificate.write_live` does, and raises as it and `get_issued`.
        """
        return self._get_issued(serial).write_live(folder, name, layout=layout, keep=keep)

    def due_for_renewal(
        self, name: str = "*", *, within: timedelta | None = None
    ) -> list[CertificateRecord]:
        """Give the active certificates of this CA with this common name that are to be renewed.

        `*` in *name* stands for any characters.  One is due when the last third of its life has
        begun, or when it ends *within*, but not in its first third.  CAs are left out.  Raises
        `InvalidRequest` for a negative *within*, `DBNotInitedError`.
        """
        return list(renewals.due(self._with_registry(), self._issuer(), name, within))

    def trusted_roots(self) -> list[x509.Certificate]:
        """Give the roots that vouch for this CA: the one above it, and after a rollover both.

        Raises `ValidationCertError` if the root is not on record, `ValueError` without a factory.
        """
        return self._roots()

    def _roots(self) -> list[x509.Certificate]:
        return chains.roots_above(
            self._ready(), self._issuer().certificate, has_registry=self._has_registry
        )

    def trust_pem(self) -> PEM:
        """Give what others have to trust, as PEM.  Raises as `trusted_roots`."""
        return PEM.of_certificates(self._roots())

    def configure_trust(self, context: ssl.SSLContext) -> None:
        """Have a TLS context, a server's or a client's, trust this CA's roots.

        Beside what it trusts already: begin with `ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)` to
        trust nothing else.  Raises as `trusted_roots`.
        """
        load_roots(context, self._roots())


def _given(**options: object) -> dict[str, Any]:
    """Give the options that are not `None`."""
    return {name: value for name, value in options.items() if value is not None}


def _text(name: object) -> str:
    """Give a name as text.  Raises `InvalidName` for what is none, such as `None`."""
    if isinstance(name, (str, IPv4Address, IPv6Address)):
        return str(name)
    raise InvalidName(f"{name!r} is no name: give text, or an IP address.")


def _config(
    names: Sequence[str | IPv4Address | IPv6Address | ClientConfig],
    common_name: str | None,
    fields: dict[str, Any],
) -> ClientConfig:
    """Give the only `ClientConfig`, or the one of *names*."""
    config = next((one for one in names if isinstance(one, ClientConfig)), None)
    if config is None:
        return config_of_names([_text(name) for name in names], common_name, fields)
    if len(names) > 1 or common_name is not None or fields:
        raise InvalidRequest("A ClientConfig says all that is asked for: pass it alone.")
    return config
