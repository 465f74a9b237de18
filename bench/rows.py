"""What is measured: rows, each with the cases that take turns at it."""

from collections.abc import Iterator

from bench.model import Case, Row, Target

__all__ = ["rows"]

OURS = "tiny_ca"
FILES = {"files": True, "registry": True}
KEYS = {"rsa": "RSA-2048", "p-256": "P-256", "ed25519": "Ed25519", "ml-dsa-65": "ML-DSA-65"}


def rows() -> list[Row]:
    """Give all rows, in the order of the report."""
    return [*_issue(), *_csr(), *_revoke(), *_verify(), *_status(), *_async()]


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
