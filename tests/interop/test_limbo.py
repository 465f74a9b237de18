"""x509-limbo, every case: what is accepted, what is refused, and why.

`limbo.tsv` has our result of each case and, where it is a refusal, the reason: a verifier that
refuses everything matches most of them.  A result or reason that changes fails here; write the
table anew with `python -m tests.interop.test_limbo`, and read what changed.
"""

import json
import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from tests.support import SHARED, shared
from tiny_ca.adapters.outbound.crypto import CryptographyPathValidator
from tiny_ca.domain.errors import TinyCAError
from tiny_ca.domain.names import GeneralName
from tiny_ca.domain.paths import Conformance, PathRequest
from tiny_ca.domain.plan import ExtendedKeyUsage
from tiny_ca.ports.path import PathMaterial

CASES = "limbo/limbo.json"
TABLE = Path(__file__).with_name("limbo.tsv")

MISMATCHES = {
    "rfc5280::aki::cross-signed-root-missing-aki": (
        "We accept a root that is cross-signed and names no issuer's key: nobody looks for an "
        "issuer beyond a root.  cve::cve-2024-0567 has such a root, and wants it accepted."
    ),
    "webpki::nc::nc-permits-dns-san-pattern": (
        "We refuse it: its common name is none of its alternative names (BR 7.1.4.3), for which "
        "webpki::cn::not-in-san wants it refused."
    ),
    "webpki::san::exact-localhost-ip-san": "As webpki::nc::nc-permits-dns-san-pattern.",
    "webpki::san::leftmost-wildcard-san": "As webpki::nc::nc-permits-dns-san-pattern.",
}
SKIPPED: dict[str, str] = {}
FOR_ANOTHER_REASON = {
    "webpki::san::public-suffix-multi-label-wildcard-san": (
        "Refused for its common name: there is no list of public suffixes here."
    ),
    "webpki::san::public-suffix-private-namespace-wildcard-san": (
        "As webpki::san::public-suffix-multi-label-wildcard-san."
    ),
}
"""Matches all the same."""

NAMES = {"DNS": GeneralName.dns, "IP": GeneralName.ip, "RFC822": GeneralName.email}
PURPOSES = {
    "SERVER": ExtendedKeyUsage.SERVER_AUTH.value,
    "CLIENT": ExtendedKeyUsage.CLIENT_AUTH.value,
}


def _load(pems: list[str]) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]


def _request(case: dict[str, Any]) -> PathRequest:
    """What the case asks; a case of the Web PKI is judged by the rules of the Web PKI."""
    names = [case["expected_peer_name"], *case["expected_peer_names"]]
    at, depth = case["validation_time"], case["max_chain_depth"]
    is_webpki = case["id"].startswith(("webpki::", "online::"))
    return PathRequest(
        at=datetime.fromisoformat(at) if at else datetime.now(UTC),
        purpose=PURPOSES[case["validation_kind"]],
        names=tuple(NAMES[name["kind"]](name["value"]) for name in names if name is not None),
        conformance=Conformance.WEBPKI if is_webpki else Conformance.RFC5280,
        **({} if depth is None else {"max_intermediates": depth}),
    )


def _run(case: dict[str, Any], request: PathRequest | None = None) -> tuple[str, str]:
    """Give the result and the reason."""
    try:
        material = PathMaterial(
            _load(case["trusted_certs"]),
            _load(case["untrusted_intermediates"]),
            [x509.load_pem_x509_crl(pem.encode()) for pem in case["crls"]] or None,
        )
        [target] = _load([case["peer_certificate"]])
        path = CryptographyPathValidator().validate(target, request or _request(case), material)
    except TinyCAError as error:
        return "FAILURE", _reason(error.message)
    assert path[0] == target
    assert path[-1] in material.roots
    return "SUCCESS", ""


def _reason(message: str) -> str:
    """Give what a message says, without the names, numbers and moments of the case."""
    message = re.sub(r"'[^']*' \(0x[0-9a-f]+\)", "…", message)
    message = re.sub(r"(?<=No path leads from … to a trusted root).*?roots\.", ":", message)
    message = re.sub(r"0x[0-9a-f]+|\d{4}-\d\d-\d\dT[0-9:+.]+", "#", message)
    return re.sub(r"(can't be (?:read|verified)).*", r"\1", message)


@cache
def _outcomes() -> dict[str, tuple[str, str]]:
    with warnings.catch_warnings():
        # Cases with serial numbers that cryptography will refuse one day.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return {case["id"]: _run(case) for case in _cases()}


@cache
def _cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((SHARED / CASES).read_text())["testcases"]
    return cases


def _lines() -> Iterator[str]:
    for name, (result, reason) in sorted(_outcomes().items()):
        yield "\t".join([name, result, reason]).rstrip()


@pytest.fixture(autouse=True)
def _limbo() -> None:
    shared(CASES)


def test_every_result_and_reason_is_as_tabled() -> None:
    assert list(_lines()) == TABLE.read_text().splitlines()


def test_every_mismatch_has_a_reason() -> None:
    outcomes = _outcomes()
    mismatches = {
        case["id"] for case in _cases() if outcomes[case["id"]][0] != case["expected_result"]
    }
    assert mismatches == set(MISMATCHES)
    assert not mismatches & set(FOR_ANOTHER_REASON)


def test_the_figures() -> None:
    """208 cases: 204 matches, 4 mismatches, none skipped."""
    assert len(_outcomes()) == len(_cases()) == 208
    assert len(MISMATCHES) == 4
    assert not SKIPPED


def test_nothing_that_matters_mismatches() -> None:
    important = {case["id"] for case in _cases() if case["importance"] in {"high", "critical"}}
    assert len(important) == 14
    assert not important & set(MISMATCHES)


def test_the_cases_with_crls_run() -> None:
    with_crls = {case["id"] for case in _cases() if case["crls"]}
    assert len(with_crls) == 8
    assert not with_crls & set(MISMATCHES)


def test_hostile_cases_end_soon_without_the_rules_that_refuse_them_first() -> None:
    """A path that is only a path, and no names: what is left is the work."""
    hostile = [case for case in _cases() if "denial-of-service" in case["features"]]
    assert len(hostile) == 7
    for case in hostile:
        request = replace(_request(case), names=(), conformance=Conformance.PATH)
        start = time.process_time()
        result, _ = _run(case, request)
        assert result == "FAILURE", case["id"]
        assert time.process_time() - start < 2, case["id"]


def test_constraints_on_distinguished_names_decide_without_a_host() -> None:
    """The cases ask for a host that the certificates don't name, so that is refused first."""
    cases = [case for case in _cases() if "name-constraint-dn" in case["features"]]
    assert len(cases) == 5
    for case in cases:
        result, reason = _run(case, replace(_request(case), names=()))
        assert result == case["expected_result"], case["id"]
        assert result == "SUCCESS" or "distinguished name" in reason


if __name__ == "__main__":
    TABLE.write_text("".join(f"{line}\n" for line in _lines()))
