"""OpenSSL and pkilint read our delta CRLs and shards, and a CRL of a million entries."""

from pathlib import Path

import pytest
from cryptography import x509

from bench.registries import filled_registry
from tests.interop.pki import PKI
from tests.interop.test_pkilint import lint_crl
from tests.support import need, run
from tiny_ca import PublicationURLs
from tiny_ca.domain.crl import Shard

URLS = PublicationURLs(
    crl=("http://pki.example/root.crl",), delta=("http://pki.example/delta.crl",)
)
SHARDED = PublicationURLs(crl=("http://pki.example/{shard}.crl",), crl_shards=3)


def check(pki: PKI, leaf: Path, *crls: Path, deltas: bool = False, whole_path: bool = False) -> str:
    """Verify a certificate with CRLs; give what openssl says."""
    bundle = pki.folder / "crls.pem"
    bundle.write_bytes(b"".join(path.read_bytes() for path in crls))
    # Of the certificate alone, as a rule: a root names no shard.
    options = ["-crl_check_all" if deltas or whole_path else "-crl_check"]
    options += ["-use_deltas"] if deltas else []
    result = run(
        *("openssl", "verify", "-x509_strict", "-extended_crl", *options),
        *("-CAfile", pki.root_pem, "-CRLfile", bundle, leaf),
    )
    return result.stdout + result.stderr


def pem(pki: PKI, name: str) -> Path:
    return pki.crl_pem.with_name(f"{name}.pem")


def test_a_delta_is_used(tmp_path: Path) -> None:
    need("openssl")
    with PKI.opened(tmp_path, urls=URLS) as pki:
        early, late, held = (pki.issue(f"{name}.example") for name in ("early", "late", "held"))
        pki.revoke(early)
        pki.revoke(held, x509.ReasonFlags.certificate_hold)
        pki.ca.publish_crl()
        pki.revoke(late)
        pki.ca.release_certificate(held.serial_number)
        delta = pki.ca.publish_crl(is_delta=True)
        base = pem(pki, "crl")
        assert "OK" in check(pki, late.pem, base)
        both = (base, pem(pki, "crl-delta"))
        assert "revoked" in check(pki, late.pem, *both, deltas=True)
        assert "revoked" in check(pki, early.pem, *both, deltas=True)
        assert "revoked" in check(pki, held.pem, base)
        assert "OK" in check(pki, held.pem, *both, deltas=True)
        assert lint_crl(x509.load_der_x509_crl(bytes(delta.data))) == []
        verified = run("openssl", "crl", "-in", both[1], "-CAfile", pki.root_pem, "-noout")
        assert "verify OK" in verified.stderr


def test_shards_are_told_apart(tmp_path: Path) -> None:
    need("openssl")
    with PKI.opened(tmp_path, urls=SHARDED) as pki:
        leaves = [pki.issue(f"n{number}.example") for number in range(6)]
        for leaf in leaves[::2]:
            pki.revoke(leaf)
        for index in range(3):
            published = pki.ca.publish_crl(shard=index)
            assert lint_crl(x509.load_der_x509_crl(bytes(published.data))) == []
        for number, leaf in enumerate(leaves):
            shard = Shard.of(leaf.serial_number, 3)
            said = check(pki, leaf.pem, pem(pki, f"crl-{shard}"))
            assert ("OK" if number % 2 else "revoked") in said
            # The root is on the complete one.
            pki.ca.publish_crl()
            both = (pem(pki, "crl"), pem(pki, f"crl-{shard}"))
            said = check(pki, leaf.pem, *both, whole_path=True)
            assert ("OK" if number % 2 else "revoked") in said
            # The CRL of another shard says nothing of it.
            other = Shard((shard.index + 1) % 3, 3)
            assert "OK" not in check(pki, leaf.pem, pem(pki, f"crl-{other}")).splitlines()


@pytest.mark.million
def test_a_million_entries(tmp_path: Path) -> None:
    need("openssl")
    with filled_registry(tmp_path, 1_000_000) as (ca, serials):
        published = ca.publish_crl()
        assert published.count == 1_000_000
        root = tmp_path / "root.pem"
        root.write_bytes(ca.export_fullchain(ca.factory.certificate))
        verified = run(
            *("openssl", "crl", "-inform", "DER", "-in", published.path.with_suffix(".der")),
            *("-CAfile", root, "-noout"),
        )
        assert "verify OK" in verified.stderr, verified.stderr
        text = tmp_path / "text"
        read = run("openssl", "crl", "-in", published.path, "-noout", "-text", "-out", text)
        assert read.returncode == 0, read.stderr
        listed = text.read_text()
        assert listed.count("Serial Number:") == 1_000_000
        for serial in (serials[0], serials[500_000], serials[-1]):
            assert f"Serial Number: {serial:X}" in listed
