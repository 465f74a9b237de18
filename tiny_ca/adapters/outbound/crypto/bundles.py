"""`ports.bundles.Bundles` by pyca/cryptography."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from tiny_ca.adapters.outbound.crypto.salvage import UNREADABLE
from tiny_ca.domain.errors import ErrorLoadCert, InvalidRequest
from tiny_ca.ports.bundles import Bundle, Protection
from tiny_ca.ports.crypto import PrivateKey

__all__ = ["CryptographyBundles"]


_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


class CryptographyBundles:
    """Writes PEM, PKCS #7, PKCS #12 and Java's truststores; reads PEM and PKCS #12."""

    def read(self, data: bytes, password: bytes | None) -> Bundle:
        """Read certificates and a private key.  Raises `ErrorLoadCert`."""
        try:
            certificates, key = (_of_pem if b"-----BEGIN" in data else _of_pkcs12)(data, password)
            public_keys = [one.public_key() for one in certificates]
        except UNREADABLE as error:
            # TypeError: a password that is missing, or given for a key without one.
            raise ErrorLoadCert(
                "the CA", f"no PEM or PKCS #12, or the password: {error}"
            ) from error
        if not certificates:
            raise ErrorLoadCert("the CA", "there is no certificate in it.")
        mine = certificates[0]
        if key is not None:
            own = key.public_key()
            if own not in public_keys:
                raise ErrorLoadCert("the CA", "the private key belongs to no certificate in it.")
            mine = certificates[public_keys.index(own)]
        return Bundle(mine, key, tuple(one for one in certificates if one != mine))

    def pem(self, certificates: Sequence[x509.Certificate]) -> bytes:
        """Give one PEM text in the order given."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)

    def pkcs7(self, certificates: Sequence[x509.Certificate], *, as_der: bool) -> bytes:
        """Give a certs-only SignedData."""
        encoding = Encoding.DER if as_der else Encoding.PEM
        return pkcs7.serialize_certificates(list(certificates), encoding)

    def pkcs12(
        self,
        certificates: Sequence[x509.Certificate],
        key: PrivateKey,
        name: str,
        protection: Protection | None,
    ) -> bytes:
        """Give a PKCS #12 of a certificate, its key and its chain.  Raises `InvalidRequest`."""
        _check_key(certificates[0], key)
        try:
            return pkcs12.serialize_key_and_certificates(
                name.encode(),
                key,  # type: ignore[arg-type]  # _check_key narrowed it
                certificates[0],
                certificates[1:],
                _encryption(protection),
            )
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise InvalidRequest(f"The PKCS #12 can't be written: {error}") from error

    def java_truststore(
        self, certificates: Sequence[x509.Certificate], protection: Protection | None
    ) -> bytes:
        """Give a PKCS #12 whose certificates have Java's trusted-key attribute."""
        entries = [
            pkcs12.PKCS12Certificate(certificate, alias.encode())
            for alias, certificate in zip(_aliases(certificates), certificates, strict=True)
        ]
        return pkcs12.serialize_java_truststore(entries, _encryption(protection))


_Contents = tuple[list[x509.Certificate], PrivateKey | None]


def _of_pem(data: bytes, password: bytes | None) -> _Contents:
    block = _PRIVATE_KEY.search(data)
    key: Any = None if block is None else load_pem_private_key(block[0], password)
    return x509.load_pem_x509_certificates(data), key


def _of_pkcs12(data: bytes, password: bytes | None) -> _Contents:
    read = pkcs12.load_pkcs12(data, password)
    found = [] if read.cert is None else [read.cert]
    key: Any = read.key
    return [one.certificate for one in (*found, *read.additional_certs)], key


def _check_key(certificate: x509.Certificate, key: PrivateKey) -> None:
    try:
        belongs = key.public_key() == certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequest(f"The certificate's public key can't be read: {error}") from error
    if not belongs:
        raise InvalidRequest("The private key does not belong to the certificate.")
    if not isinstance(key, get_args(pkcs12.PKCS12PrivateKeyTypes)):
        raise InvalidRequest(
            f"PKCS #12 can't hold a {type(key).__name__} (RSA, EC, Ed25519 and Ed448 it can): "
            "hand the key out as PKCS #8, and the chain by export_fullchain."
        )


def _encryption(protection: Protection | None) -> KeySerializationEncryption:
    if protection is None:
        return NoEncryption()
    # The rounds are cryptography's: more of them would not slow a guess down, which tries the
    # MAC, whose rounds are fixed.
    builder = PrivateFormat.PKCS12.encryption_builder()
    if protection.is_compatible:
        # What Windows Server 2016 and Java before 8u301 can open.
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        return builder.hmac_hash(SHA1()).build(protection.password)  # noqa: S303
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    return builder.hmac_hash(SHA256()).build(protection.password)


def _aliases(certificates: Sequence[x509.Certificate]) -> Iterator[str]:
    """Name entries by common name, or serial number; Java does not tell cases apart."""
    taken: set[str] = set()
    for certificate in certificates:
        base = _common_name(certificate).lower() or f"{certificate.serial_number:x}"
        alias, count = base, 1
        while alias in taken:
            count += 1
            alias = f"{base}-{count}"
        taken.add(alias)
        yield alias


def _common_name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        raise InvalidRequest(f"A certificate's subject can't be read: {error}") from error
    return str(names[0].value) if names else ""
