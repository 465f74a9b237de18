"""The portal, served as its docstring says."""

import subprocess
import sys
from collections.abc import Iterator
from os import environ
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from tests.examples.running import EXAMPLES, wait_for
from tests.support import free_port

FLASK = [sys.executable, "-m", "flask", "--app", str(EXAMPLES / "flask_portal.py")]
PASSPHRASE = "correct horse"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[httpx.Client]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "flask.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*FLASK, "run", "--port", str(port)],
            cwd=tmp_path,
            env={**environ, "PORTAL_URL": url},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(port, process, log)
        with httpx.Client(base_url=url, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def ask(site: httpx.Client, address: str, passphrase: str = PASSPHRASE) -> httpx.Response:
    return site.post("/", data={"address": address, "passphrase": passphrase})


def test_a_certificate_from_the_form_to_its_revocation(site: httpx.Client, tmp_path: Path) -> None:
    answer = ask(site, "alice@example.org")
    assert answer.status_code == 200
    bundle = load_pkcs12(answer.content, PASSPHRASE.encode())
    certificate = bundle.cert.certificate
    assert bundle.key.public_key() == certificate.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["alice@example.org"]
    # Only the CA's key is kept, and that of the OCSP responder.
    keys = [path.stem for path in (tmp_path / "portal-pki").rglob("*.key")]
    assert set(keys) <= {"ca", "ocsp"}

    assert ask(site, "alice@example.org").status_code == 409
    assert ask(site, "not an address").status_code == 400
    assert ask(site, "bob@example.org", "short").status_code == 400
    assert "alice@example.org, valid" in site.get("/").text

    revoked = site.post(f"/revoke/{certificate.serial_number:x}", follow_redirects=True)
    assert "alice@example.org, revoked" in revoked.text
    assert site.post("/revoke/17").status_code == 404
    [point] = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    crl = x509.load_der_x509_crl(site.get(point.full_name[0].value).content)
    assert crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def test_the_crl_is_published_from_cron(tmp_path: Path) -> None:
    said = [
        subprocess.run(
            [*FLASK, "publish"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said[0].startswith("published ")
    assert said[1] == ""
