"""What is measured: rows, each with the cases that take turns at it."""

from collections.abc import Iterable, Iterator
from typing import Any

from bench.model import Case, Row, Target

__all__ = ["rows"]

OURS = "tiny_ca"
POSTGRESQL = {"postgresql": True}
FILES = {"files": True, "registry": True}
SIZES = (1_000, 10_000, 100_000, 1_000_000)
KEYS = {"rsa": "RSA-2048", "p-256": "P-256", "ed25519": "Ed25519", "ml-dsa-65": "ML-DSA-65"}


def rows() -> list[Row]:
    """Give all rows, in the order of the report."""
    return [
        *_issue(),
        *_issue_by_kind_of_key(),
        *_issue_otherwise(),
        *_csr(),
        *_revoke(),
        *_verify(),
        *_status(),
        *_growth(),
        *_crl(),
        *_ocsp(),
        *_async(),
        *_callers(),
        *_startup(),
    ]


def _issue() -> Iterator[Row]:
    before = Case("tiny_ca 0.1.1, its key stubbed", "tiny_ca 0.1.1", "issue", {"stubbed": True})
    yield Row(
        "issue/p-256",
        "Make a P-256 key, a request and a certificate, three synced files and a durable row.",
        [
            Case(OURS, "tiny_ca", "issue", {"key": "p-256", **FILES}),
            Case("registry only", "tiny_ca", "issue", {"key": "p-256"}),
            Case("files only", "tiny_ca", "issue", {"key": "p-256", **FILES, "registry": False}),
            Case("neither", "tiny_ca", "issue", {"key": "p-256", "registry": False}),
            Case("8 threads", "tiny_ca", "issue", {"key": "p-256", "threads": 8, **FILES}),
            before,
        ],
        count=40,
        targets=[
            Target(OURS, before.name, at_least=3),
            Target("registry only", before.name, at_least=5),
        ],
    )


def _issue_by_kind_of_key() -> Iterator[Row]:
    yield Row(
        "issue/rsa",
        "The same with an RSA-2048 key, which is nearly all of the time.",
        [
            Case(OURS, "tiny_ca", "issue", {"key": "rsa", **FILES}),
            Case("bare key generation", "bare", "keys", {"key": "rsa"}),
            Case("tiny_ca 0.1.1", "tiny_ca 0.1.1", "issue"),
            Case("tiny_ca 0.2.1", "tiny_ca 0.2.1", "issue"),
            Case("ownca", "ownca", "issue"),
        ],
        count=12,
        rounds=9,
        targets=[Target(OURS, "bare key generation", at_least=0.9)],
    )
    for key in ("ed25519", "ml-dsa-65"):
        yield Row(
            f"issue/{key}",
            f"The same with an {KEYS[key]} key.",
            [
                Case(OURS, "tiny_ca", "issue", {"key": key, **FILES}),
                Case("bare key generation", "bare", "keys", {"key": key}),
            ],
            count=40,
            in_quick=False,
        )


def _issue_otherwise() -> Iterator[Row]:
    yield Row(
        "issue/protocol",
        "The same with P-256, and what it costs to record before signing instead of afterwards.",
        [
            Case(OURS, "tiny_ca", "issue", {"key": "p-256", **FILES}),
            Case("recorded afterwards", "tiny_ca", "record_afterwards"),
        ],
        count=40,
        targets=[Target(OURS, "recorded afterwards", at_least=1 / 1.6)],
    )
    yield Row(
        "issue/postgresql",
        "The same with P-256 and without files, in a PostgreSQL that syncs every commit.",
        [
            Case(OURS, "tiny_ca", "issue", {"key": "p-256", "postgresql": True}),
            Case(
                "8 threads", "tiny_ca", "issue", {"key": "p-256", "postgresql": True, "threads": 8}
            ),
            Case("SQLite", "tiny_ca", "issue", {"key": "p-256"}),
            Case("SQLite, 8 threads", "tiny_ca", "issue", {"key": "p-256", "threads": 8}),
        ],
        count=80,
        in_quick=False,
    )


def _csr() -> Iterator[Row]:
    yield Row(
        "csr/single",
        "Check a P-256 request, sign it, and have a durable row, one after the other.",
        [
            Case(OURS, "tiny_ca", "sign_csr"),
            Case("bare signature and commit", "bare", "sign_and_commit"),
            Case("bare signature", "bare", "sign"),
            Case("bare commit", "bare", "commit"),
            Case("openssl ca", "openssl", "sign_csr", count=20),
            Case("cfssl sign", "cfssl", "sign_csr", count=20),
            Case("cfssl serve", "cfssl", "over_http"),
            Case("easy-rsa", "easy-rsa", "sign_csr", count=2),
            Case("django-ca", "django-ca", "sign_csr"),
        ],
        count=100,
        targets=[
            Target(OURS, "bare signature and commit", at_least=0.5),
            Target(OURS, "openssl ca", at_least=10),
        ],
    )

    for batch in (100, 500):
        yield Row(
            f"csr/batch-{batch}",
            f"The same for 500 requests in batches of {batch}, each all or none.",
            [
                Case(OURS, "tiny_ca", "sign_many", {"batch": batch}),
                Case("bare signature", "bare", "sign"),
                Case("openssl ca -infiles", "openssl", "sign_in_bulk"),
            ],
            count=500,
            targets=[
                Target(OURS, "bare signature", at_least=0.5),
                Target(OURS, "openssl ca -infiles", at_least=2.5),
            ],
            in_quick=batch == 500,
        )


def _revoke() -> Iterator[Row]:
    yield Row(
        "revoke/single",
        "Revoke one certificate, durably, and have it ready for the next CRL.",
        [
            Case(OURS, "tiny_ca", "revoke"),
            Case("bare commit", "bare", "commit"),
            Case("tiny_ca 0.1.1", "tiny_ca 0.1.1", "revoke", count=40),
        ],
        count=100,
        targets=[Target(OURS, "tiny_ca 0.1.1", at_least=8)],
    )
    yield Row(
        "revoke/many",
        "Revoke 5,000 certificates by their serial numbers.",
        [
            Case(OURS, "tiny_ca", "revoke_many"),
            Case("tiny_ca 0.1.1, one by one", "tiny_ca 0.1.1", "revoke", count=40),
        ],
        count=5000,
        rounds=3,
        targets=[Target(OURS, "tiny_ca 0.1.1, one by one", at_least=100)],
        in_quick=False,
    )


def _verify() -> Iterator[Row]:
    yield Row(
        "verify/one",
        "Check a certificate's signature and period, and that the registry has it, valid.",
        [
            Case(OURS, "tiny_ca", "verify"),
            Case("for the second time", "tiny_ca", "verify_again"),
            Case("bare signature check", "bare", "verify"),
            Case("tiny_ca 0.2.1", "tiny_ca 0.2.1", "verify", count=100),
        ],
        count=300,
        targets=[Target(OURS, "tiny_ca 0.2.1", at_least=4)],
    )
    yield Row(
        "verify/chain",
        "Build and validate the path from a certificate over an intermediate CA to the root.",
        [
            Case(OURS, "tiny_ca", "verify_chain"),
            Case("bare signature check", "bare", "verify"),
        ],
        count=50,
    )


def _status() -> Iterator[Row]:
    yield Row(
        "status/serial",
        "Ask the registry for a certificate's status by its serial number.",
        [
            Case(OURS, "tiny_ca", "status"),
            Case("bare select", "bare", "select"),
            Case("tiny_ca 0.2.1", "tiny_ca 0.2.1", "status", count=100),
        ],
        count=1000,
        unit="look-ups",
        targets=[Target(OURS, at_least=5000)],
    )


def _sized(name: str, peer: str, work: str, sizes: Iterable[int], **more: Any) -> list[Case]:
    """Give a case for each size, named after it."""
    return [
        Case(f"{name}, {size:,} rows", peer, work, {"rows": size}, size=size, **more)
        for size in sizes
    ]


def _growth() -> Iterator[Row]:
    largest = f"{OURS}, {SIZES[-1]:,} rows"
    smallest = f"{OURS}, {SIZES[0]:,} rows"
    for work, does, unit in (
        (
            "sign_csr",
            "Sign a request, as csr/single does, in a registry of many rows.",
            "certificates",
        ),
        ("status", "Ask for a status by serial number in a registry of many rows.", "look-ups"),
        ("by_name", "Look for the valid certificate of a name among many rows.", "look-ups"),
    ):
        is_issue = work == "sign_csr"
        cases = _sized(OURS, "tiny_ca, grown", work, SIZES)
        if is_issue:
            cases += _sized("openssl ca", "openssl", work, SIZES[:3], count=2)
        yield Row(
            f"growth/{'csr' if is_issue else work}",
            does,
            cases,
            count=100 if is_issue else 500,
            unit=unit,
            targets=[Target(largest, smallest, at_least=1 / 1.2)] if is_issue else [],
            in_quick=False,
        )


def _crl() -> Iterator[Row]:
    yield Row(
        "crl/growth",
        "Publish a CRL of so many entries: read, sign, write, sync, read back, verify.",
        [
            *_sized(OURS, "tiny_ca, grown", "crl", SIZES),
            *_sized("cryptography's constructor", "bare", "crl", SIZES[:3]),
            *_sized("openssl ca -gencrl", "openssl", "crl", SIZES),
        ],
        count=1,
        unit="CRLs",
        rounds=3,
        in_quick=False,
    )


def _ocsp() -> Iterator[Row]:
    yield Row(
        "ocsp/respond",
        "Answer an OCSP request, DER in and DER out, for one of 500 certificates.",
        [
            Case("signed on demand", "tiny_ca", "ocsp", {"way": "on_demand"}),
            Case("signed beforehand", "tiny_ca", "ocsp", {"way": "from_table"}),
            Case("bare OCSPResponseBuilder", "tiny_ca", "ocsp", {"way": "bare"}),
        ],
        count=500,
        unit="answers",
        targets=[
            Target("signed on demand", "bare OCSPResponseBuilder", at_least=0.5),
            Target("signed beforehand", "bare OCSPResponseBuilder", at_least=2),
        ],
        in_quick=False,
    )


def _callers() -> Iterator[Row]:
    yield Row(
        "callers/slow-disk",
        "Sign requests of 32 callers in threads, on a disk whose syncs take 8 ms longer.",
        [
            Case("32 callers", "tiny_ca", "callers", {"threads": 32}, delay_ms=8),
            Case("one caller", "tiny_ca", "callers", {"threads": 1}, count=16, delay_ms=8),
        ],
        count=320,
        rounds=3,
        targets=[Target("32 callers", "one caller", at_least=8)],
        in_quick=False,
    )


def _startup() -> Iterator[Row]:
    code = "import tiny_ca"
    yield Row(
        "startup/import",
        "Start an interpreter that imports tiny_ca and does nothing with it.",
        [
            Case(OURS, "tiny_ca", "start", {"arguments": ["-c", code]}),
            Case("tiny_ca 0.1.1", "tiny_ca 0.1.1", "start", {"arguments": ["-c", code]}),
            Case("nothing imported", "tiny_ca", "start", {"arguments": ["-c", ""]}),
        ],
        count=5,
        unit="starts",
        targets=[Target(OURS, figure="over_ms", at_most=50)],
    )
    yield Row(
        "startup/help",
        "Run `tiny-ca --help`.",
        [
            Case(OURS, "tiny_ca", "start", {"arguments": ["-m", "tiny_ca", "--help"]}),
            Case("nothing imported", "tiny_ca", "start", {"arguments": ["-c", ""]}),
        ],
        count=5,
        unit="starts",
    )


def _async() -> Iterator[Row]:
    yield Row(
        "async/rsa",
        "Issue 50 RSA-2048 certificates in 50 tasks at once, with files and registry.",
        [
            Case(OURS, "tiny_ca", "asynchronous", {"key": "rsa"}),
            Case("bare key generation, 2 threads", "bare", "keys", {"key": "rsa", "threads": 2}),
            Case("tiny_ca 0.1.1, no registry", "tiny_ca 0.1.1", "asynchronous"),
        ],
        count=50,
        rounds=3,
        targets=[
            Target(OURS, figure="stall_ms", at_most=10),
            Target(OURS, "bare key generation, 2 threads", at_least=1 / 1.1),
        ],
        in_quick=False,
    )
