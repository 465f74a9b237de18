"""Files that certbot's users and Kubernetes' expect, switched in one step."""

import os
import ssl
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.integration.test_tls_values import issue
from tests.interop.test_tls import shake_hands
from tests.support import free_port, need, program, run
from tiny_ca import (
    AsyncCertLifecycleManager,
    CAConfig,
    CertLifecycleManager,
    IssuedCertificate,
    LiveLayout,
    MemoryRegistry,
    MemoryStorage,
)
from tiny_ca.domain.errors import InvalidRequest, StorageError, UnsafePath


@pytest.fixture
def ca() -> CertLifecycleManager:
    made = CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry())
    made.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
    return made


def renewed(ca: CertLifecycleManager, name: str = "a.example") -> IssuedCertificate:
    return issue(ca, name, is_overwrite=True)


def read(folder: Path) -> dict[str, list[x509.Certificate]]:
    load = x509.load_pem_x509_certificates
    return {path.name: load(path.read_bytes()) for path in folder.glob("[!pt]*")} | {
        path.name: load(path.read_bytes()) for path in folder.glob("*.crt")
    }


class TestWhatIsInThem:
    def test_certbots(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        ca.issue_intermediate_ca("Middle", key_algorithm="p-256")
        issued = issue(ca.under("Middle"), "a.example")
        leaf, middle, _root = issued.chain
        live = issued.write_live(tmp_path)
        assert live == tmp_path / "live/a.example"
        assert read(live) == {
            "cert.pem": [leaf], "chain.pem": [middle], "fullchain.pem": [leaf, middle],
        }  # fmt: skip
        key = load_pem_private_key((live / "privkey.pem").read_bytes(), None)
        assert key.public_key() == leaf.public_key()
        assert (live / "privkey.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY")

    def test_certbots_under_a_root(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        issued = issue(ca, "a.example")
        leaf, root = issued.chain
        found = read(issued.write_live(tmp_path))
        assert found == {"cert.pem": [leaf], "chain.pem": [root], "fullchain.pem": [leaf]}

    def test_kubernetes(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        ca.issue_intermediate_ca("Middle", key_algorithm="p-256")
        issued = issue(ca.under("Middle"), "a.example")
        live = issued.write_live(tmp_path, "web", layout="kubernetes")
        assert sorted(path.name for path in live.iterdir()) == ["ca.crt", "tls.crt", "tls.key"]
        assert read(live) == {"tls.crt": list(issued.chain[:2]), "ca.crt": [issued.chain[2]]}
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(live / "tls.crt", live / "tls.key")
        client = ssl.create_default_context(cafile=live / "ca.crt")
        shake_hands(server, client, "a.example")

    def test_only_the_owner_reads_keys(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        live = issue(ca, "a.example").write_live(tmp_path / "new")
        modes = {path.name: path.stat().st_mode & 0o777 for path in live.iterdir()}
        assert modes["privkey.pem"] == 0o600
        assert modes["fullchain.pem"] == 0o644
        for name in ("live", "archive"):
            assert (tmp_path / "new" / name).stat().st_mode & 0o777 == 0o700

    def test_of_a_certificate_on_record(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        issued = issue(ca, "*.example.org")
        live = ca.write_live(issued.serial_number, tmp_path)
        assert live == tmp_path / "live/_.example.org"
        assert read(live)["cert.pem"] == [issued.certificate]

    @pytest.mark.anyio
    async def test_async(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        awaited = AsyncCertLifecycleManager.wrapping(ca)
        serial = issue(ca, "a.example").serial_number
        live = await awaited.write_live(serial, tmp_path, layout=LiveLayout.KUBERNETES)
        assert (live / "tls.crt").exists()


class TestVersions:
    def test_the_link_leads_to_the_newest(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        versions = [renewed(ca) for _ in range(3)]
        for issued in versions:
            live = issued.write_live(tmp_path)
            assert read(live)["cert.pem"] == [issued.certificate]
        assert str(live.readlink()) == "../archive/a.example/0003"
        kept = sorted((tmp_path / "archive/a.example").iterdir())
        assert [read(path)["cert.pem"][0] for path in kept] == [one.certificate for one in versions]

    def test_the_same_again_changes_nothing(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        issued = issue(ca, "a.example")
        before = issued.write_live(tmp_path).lstat()
        assert issued.write_live(tmp_path).lstat() == before
        assert len(list((tmp_path / "archive/a.example").iterdir())) == 1
        # Files that were damaged are written again.
        (tmp_path / "live/a.example/cert.pem").write_text("")
        assert read(issued.write_live(tmp_path))["cert.pem"] == [issued.certificate]

    def test_only_so_many_are_kept(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        for _ in range(4):
            issued = renewed(ca)
            live = issued.write_live(tmp_path, keep=2)
        names = sorted(path.name for path in (tmp_path / "archive/a.example").iterdir())
        assert names == ["0003", "0004"]
        assert read(live)["cert.pem"] == [issued.certificate]
        with pytest.raises(InvalidRequest, match="keep is 1 or more"):
            issued.write_live(tmp_path, keep=0)

    def test_what_a_killed_process_left(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        first = renewed(ca)
        live = first.write_live(tmp_path)
        archive = tmp_path / "archive/a.example"
        (archive / ".new").mkdir()
        (archive / ".new/cert.pem").write_text("half")
        (archive / "0002").mkdir()
        live.with_name(".a.example").symlink_to("nowhere")
        assert read(live)["cert.pem"] == [first.certificate]
        second = renewed(ca)
        assert read(second.write_live(tmp_path))["cert.pem"] == [second.certificate]
        assert sorted(path.name for path in archive.iterdir()) == ["0001", "0002", "0003"]
        assert [path.name for path in live.parent.iterdir()] == ["a.example"]


class TestWhatIsInTheWay:
    def test_another_programs_folder(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        taken = tmp_path / "live/a.example"
        taken.mkdir(parents=True)
        (taken / "README").write_text("certbot's")
        with pytest.raises(StorageError, match="move it away"):
            issue(ca, "a.example").write_live(tmp_path)
        assert (taken / "README").read_text() == "certbot's"
        assert list((tmp_path / "archive/a.example").iterdir()) == []

    @pytest.mark.parametrize("layout", LiveLayout)
    def test_a_name_that_makes_the_same_file_name(
        self, ca: CertLifecycleManager, tmp_path: Path, layout: LiveLayout
    ) -> None:
        first, second = (
            ca.issue(name, key_algorithm="p-256", profile="client") for name in ("Alice", "alice")
        )
        live = first.write_live(tmp_path, layout=layout)
        before = read(live)
        with pytest.raises(StorageError, match="'Alice'"):
            second.write_live(tmp_path, layout=layout)
        assert read(live) == before
        second.write_live(tmp_path, "alice-2", layout=layout)
        second.write_live(tmp_path, "alice", layout=layout)
        assert read(live) == read(tmp_path / "live/alice-2")

    @pytest.mark.parametrize("name", ["../a", "a/b", ".hidden", ""])
    def test_a_name_that_is_a_path(
        self, ca: CertLifecycleManager, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(UnsafePath):
            issue(ca, "a.example").write_live(tmp_path, name)
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_layout(self, ca: CertLifecycleManager, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="certbot, kubernetes"):
            issue(ca, "a.example").write_live(tmp_path, layout="traefik")


def test_no_reader_sees_two_versions(ca: CertLifecycleManager, tmp_path: Path) -> None:
    versions, done = [renewed(ca) for _ in range(2)], Event()
    serial_numbers = {issued.serial_number for issued in versions}
    live = versions[0].write_live(tmp_path, keep=2)

    def switch() -> None:
        while not done.is_set():
            for issued in versions:
                issued.write_live(tmp_path, keep=2)

    switching = Thread(target=switch)
    switching.start()
    try:
        seen: set[int | None] = set()
        for reads in range(20_000):
            seen.add(consistent_serial(live))
            if reads >= 300 and seen >= serial_numbers:
                break
    finally:
        done.set()
        switching.join(20)
    assert seen - {None} == serial_numbers


def consistent_serial(live: Path) -> int | None:
    """Read one version, by its folder; `None`: it was removed meanwhile."""
    version = live.parent / live.readlink()  # the link itself is never missing
    try:
        folder = os.open(version, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        files = {}
        for name in ("privkey.pem", "cert.pem", "fullchain.pem"):
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=folder), "rb") as file:
                files[name] = file.read()
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)
    certificate = x509.load_pem_x509_certificate(files["cert.pem"])
    assert x509.load_pem_x509_certificates(files["fullchain.pem"])[0] == certificate
    key = load_pem_private_key(files["privkey.pem"], None)
    assert key.public_key() == certificate.public_key()
    return certificate.serial_number


TWO_AT_ONCE = """
import sys
from tiny_ca import PEM
from tiny_ca.adapters.outbound.storage import write_live
for number in range(20):
    data = f"{sys.argv[2]} {number}".encode()
    write_live(sys.argv[1], "a", {"cert.pem": PEM(data), "privkey.pem": PEM(data, is_secret=True)})
"""


def test_two_processes_write_one_after_the_other(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", TWO_AT_ONCE, tmp_path, name])
        for name in ("one", "two")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    versions = sorted((tmp_path / "archive/a").iterdir())
    assert [path.name for path in versions] == [f"{number:04}" for number in range(1, 41)]
    for version in versions:
        assert (version / "cert.pem").read_bytes() == (version / "privkey.pem").read_bytes()
    assert (tmp_path / "live/a").resolve() == versions[-1]


NGINX = """\
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {live}/fullchain.pem;
        ssl_certificate_key {live}/privkey.pem;
        ssl_trusted_certificate {live}/chain.pem;
    }}
}}
"""


@pytest.mark.parametrize("under", [None, "Middle"])
def test_nginx_takes_certbots_files(
    ca: CertLifecycleManager, tmp_path: Path, under: str | None
) -> None:
    need("nginx")
    if under is not None:
        ca.issue_intermediate_ca(under, key_algorithm="p-256")
        ca = ca.under(under)
    live = issue(ca, "a.example").write_live(tmp_path)
    text = NGINX.format(folder=tmp_path, live=live, port=free_port(), user="root")
    (tmp_path / "nginx.conf").write_text(text)
    # A file that is empty, which chain.pem could have been, is what nginx refuses.
    for content, is_fine in ((None, True), ("", False)):
        if content is not None:
            (live / "chain.pem").write_text(content)
        assert program("nginx")
        tried = run("nginx", "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr")
        assert (tried.returncode == 0) is is_fine, tried.stderr
