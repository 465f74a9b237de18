"""The validator under test, and the smallest PKI."""

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.chains import NOW, Node, ca
from tiny_ca.adapters.outbound.crypto import CryptographyPathValidator
from tiny_ca.domain.errors import ValidationCertError
from tiny_ca.domain.names import GeneralName
from tiny_ca.domain.paths import PathRequest
from tiny_ca.ports.path import PathMaterial

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ROOT = ca("Root")
ICA = ca("ICA", ROOT)


def validate(
    target: Node,
    *intermediates: Node,
    roots: Sequence[Node] = (ROOT,),
    on_record: Any = None,
    at: Any = NOW,
    **request: Any,
) -> list[x509.Certificate]:
    if isinstance(purpose := request.get("purpose"), x509.ObjectIdentifier):
        request["purpose"] = purpose.dotted_string
    material = PathMaterial(
        [one.certificate for one in roots],
        [one.certificate for one in intermediates],
        on_record=on_record,
    )
    return CryptographyPathValidator().validate(
        target.certificate, PathRequest(at, **request), material
    )


def refused(match: str, target: Node, *intermediates: Node, **request: Any) -> None:
    with pytest.raises(ValidationCertError, match=match):
        validate(target, *intermediates, **request)


def certificates(*nodes: Node) -> list[x509.Certificate]:
    return [node.certificate for node in nodes]


def hosts(*names: str) -> tuple[GeneralName, ...]:
    return tuple(map(GeneralName.dns, names))
