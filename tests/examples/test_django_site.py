"""The site behind a proxy, and those who would pass for one."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.examples.running import output_of, started
from tests.support import free_port

NAME = "django_site.py"
SECRET = {"PROXY_SECRET": "between us"}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    arguments = ("runserver", "--noreload", f"127.0.0.1:{port}")
    options = {"ports": (port,), "cwd": tmp_path, "env": SECRET}
    # Django's own server may leave a connection unclosed when it is interrupted.
    with started(NAME, *arguments, **options, tolerating=("ResourceWarning",)):
        yield f"http://127.0.0.1:{port}/"


def test_the_proxys_word_counts_and_the_registrys(url: str, tmp_path: Path) -> None:
    def get(pem: str, secret: str = "between us") -> httpx.Response:
        headers = {"X-Client-Cert": quote(pem), "X-Proxy-Secret": secret}
        return httpx.get(url, headers=headers, trust_env=False)

    output_of(NAME, "certificate", "alice", cwd=tmp_path, env=SECRET)
    pem = (tmp_path / "alice.pem").read_text()
    assert get(pem).json()["you"] == "CN=alice"
    # A certificate is no secret: whoever has seen one could send it.
    assert get(pem, "guess").status_code == 403
    assert httpx.get(url, trust_env=False).status_code == 403
    for nonsense in ("", "nonsense", pem[:-100]):
        assert get(nonsense).status_code == 403

    assert output_of(NAME, "revoke", "alice", cwd=tmp_path, env=SECRET) == "revoked 1\n"
    refused = get(pem)
    assert refused.status_code == 403
    assert "revoked" in refused.text
