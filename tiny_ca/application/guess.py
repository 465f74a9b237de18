"""A request from names alone, each of the kind that it looks like."""

from collections.abc import Mapping, Sequence
from typing import Any

from tiny_ca.application.requests import ClientConfig, to_a_labels
from tiny_ca.domain.errors import InvalidName, InvalidRequest
from tiny_ca.domain.names import GeneralName, GeneralNameKind, SubjectName

__all__ = ["config_of_names", "guessed"]


def guessed(text: str) -> GeneralName:
    """Give the alternative name that *text* looks like.  Raises `InvalidName`."""
    if "://" in text:
        return GeneralName.uri(text)
    if "@" in text:
        return GeneralName.email(text)
    try:
        return GeneralName.ip(text)
    except InvalidName:
        return GeneralName.dns(to_a_labels(text))


def config_of_names(
    names: Sequence[str], common_name: str | None, fields: Mapping[str, Any]
) -> ClientConfig:
    """Give the request for a certificate with *names*; *fields* are others of `ClientConfig`.

    Without a profile, for TLS servers and clients, or clients alone if all are mailboxes.
    Raises `InvalidName`, `InvalidRequest`, and `pydantic.ValidationError` for the fields.
    """
    if not names:
        raise InvalidRequest("Say what the certificate is for: one name or more.")
    kinds = [guessed(name) for name in names]
    listed = {
        f"san_{kind.value}": [one.value for one in kinds if one.kind is kind]
        for kind in GeneralNameKind
    }
    purposes = {}
    if fields.get("profile") is None:
        is_person = all(one.kind is GeneralNameKind.EMAIL for one in kinds)
        purposes = {"is_server_cert": not is_person, "is_client_cert": True}
    return ClientConfig(
        common_name=common_name or _common_name(names),
        **{**purposes, **{name: values or None for name, values in listed.items()}, **fields},
    )


def _common_name(names: Sequence[str]) -> str:
    for name in names:
        try:
            return SubjectName(name).common_name
        except InvalidName:
            continue
    raise InvalidName("No name is short enough for a common name: pass common_name=.")
