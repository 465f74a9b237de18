"""The command line: what every command promises, JSON and dry runs."""

import base64
import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from psycopg.conninfo import conninfo_to_dict

from tests.command_line import command_paths, environment, tiny_ca
from tests.support import free_port


def tree(folder: Path) -> dict[str, str]:
    """Give what is in a folder: names, modes, contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else os.fsencode(path)
        if not path.name.endswith(("-wal", "-shm")):
            found[str(path)] = f"{path.lstat().st_mode:o} {hashlib.sha256(data).hexdigest()}"
    return found


def started(*arguments: str, preexec_fn: Any = None, stdout: Any = subprocess.PIPE,
            **variables: str) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    """Run the command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "tiny_ca", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=preexec_fn,
        env=environment(**variables),
    )


class TestJSON:
    @pytest.mark.parametrize("path", list(command_paths()), ids=" ".join)
    def test_every_command_takes_it(self, in_an_empty_folder: None, path: tuple[str, ...]) -> None:
        assert "--json" in tiny_ca(*path, "--help").out
        ran = tiny_ca(*path, "--nonsense", "--json")
        assert json.loads(ran.err)["exit_code"] == ran.code in {2, 3}

    def test_a_pem_is_in_it(self, pki: Path) -> None:
        told = tiny_ca("show", "Root", "--pem", "--json").json
        assert told["pem"] == (pki / "ca/ca.pem").read_text()

    def test_an_ocsp_answer_is_in_it(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        leaf, root = (
            x509.load_pem_x509_certificate((pki / file).read_bytes())
            for file in ("live/a.test/cert.pem", "ca/ca.pem")
        )
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf, root, hashes.SHA256())
        Path("a.req").write_bytes(request.build().public_bytes(serialization.Encoding.DER))
        told = tiny_ca("ocsp", "answer", "a.req", "--json").json
        answer = ocsp.load_der_ocsp_response(base64.b64decode(told["base64"]))
        assert answer.serial_number == leaf.serial_number

    def test_a_completion_script_is_in_it(self) -> None:
        told = tiny_ca("completion", "bash", "--json").json
        assert told == {"shell": "bash", "script": tiny_ca("completion", "bash").out}

    def test_profiles_are_in_it_as_settings_write_them(self, in_an_empty_folder: None) -> None:
        told = tiny_ca("profile", "show", "ca", "--json").json
        assert told["key_usage"] == ["crl_sign", "key_cert_sign"]
        assert told["subject_from_csr"] == sorted(told["subject_from_csr"])


class TestDryRuns:
    def test_a_name_that_is_taken_is_as_much_in_the_way(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        real, planned = (tiny_ca("issue", "a.test", *more) for more in ((), ("--dry-run",)))
        assert (planned.code, planned.err) == (real.code, real.err)
        assert planned.code == 4

    def test_what_is_superseded_is_said(self, pki: Path) -> None:
        old = tiny_ca("issue", "a.test", "--json").json["serial"]
        told = tiny_ca("issue", "a.test", "--replace", "--dry-run", "--json").json
        assert told["supersedes"] == old

    def test_init_says_what_is_there(self, pki: Path) -> None:
        assert tiny_ca("init", pki, "--dry-run").out.startswith("There is the CA Root")
        assert tiny_ca("init", pki, "--name", "Other", "--dry-run").code == 2
        planned = tiny_ca("init", pki, "--issue", "b.test", "--dry-run", "--json").json
        assert [each["common_name"] for each in planned["issue"]] == ["b.test"]
        assert len(tiny_ca("list", "--json").json) == 1

    def test_init_says_what_would_be_issued(self, in_an_empty_folder: None) -> None:
        planned = tiny_ca("init", "new", "--issue", "b.test", "--dry-run", "--json").json
        assert (planned["common_name"], planned["issue"]) == ("new CA", "b.test")
        Path("file").touch()
        assert tiny_ca("init", "file", "--dry-run").code == tiny_ca("init", "file").code == 1
        assert [path.name for path in Path().iterdir()] == ["file"]

    def test_live_files_are_left_as_they_are(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        (pki / "live/a.test").unlink()
        before = tree(pki)
        for command in (("issue", "a.test", "--if-needed"), ("init", pki, "--issue", "a.test")):
            assert tiny_ca(*command, "--dry-run").code == 0
            assert tree(pki) == before
            assert tiny_ca(*command).code == 0
            assert (pki / "live/a.test/cert.pem").exists()
            (pki / "live/a.test").unlink()
            before = tree(pki)

    def test_the_doctor_repairs_nothing(self, pki: Path) -> None:
        key = pki / "ca/ca.key"
        key.chmod(0o644)
        planned = tiny_ca("doctor", "--fix", "--dry-run", "--json")
        assert (planned.code, key.stat().st_mode & 0o777) == (5, 0o644)
        assert [each["repaired"] for each in json.loads(planned.out)["findings"]] == [False]
        assert tiny_ca("doctor", "--fix").code == 0


class TestStandardInput:
    def test_what_needs_renewal(self, pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tiny_ca("issue", "a.test")
        leaf = x509.load_pem_x509_certificate((pki / "live/a.test/cert.pem").read_bytes())
        for encoding in serialization.Encoding.PEM, serialization.Encoding.DER:
            given = io.TextIOWrapper(io.BytesIO(leaf.public_bytes(encoding)))
            monkeypatch.setattr("sys.stdin", given)
            assert tiny_ca("needs-renewal", "-").code == 10


class TestStreams:
    @pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("list",), ("issue", "-h")])
    def test_a_full_disk_is_told_of_in_one_line(self, pki: Path, arguments: tuple[str]) -> None:
        with open("/dev/full", "w") as full:  # noqa: PTH123 - no file
            ran = started(*arguments, stdout=full)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert "No space left on device" in ran.stderr

    @pytest.mark.parametrize("arguments", [("--help",), ("list", "--json"), ("issue", "--help")])
    def test_a_reader_that_has_gone(self, pki: Path, arguments: tuple[str]) -> None:
        read, write = os.pipe()
        os.close(read)
        ran = started(*arguments, stdout=write)
        os.close(write)
        assert (ran.returncode, ran.stderr) == (141, "")

    def test_no_output_at_all(self, pki: Path) -> None:
        ran = started("list", preexec_fn=lambda: (os.close(1), os.close(2)))
        assert ran.returncode == 0

    def test_an_encoding_without_the_letters(self, pki: Path) -> None:
        ran = started("issue", "b\u00fccher.example", PYTHONIOENCODING="ascii")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith("Issued b\\xfccher.example")


class TestInterrupted:
    def test_it_is_told_of_whatever_was_under_way(
        self, pki: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_args: object, **_more: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("tiny_ca.lifecycle.CertLifecycleManager.list_certificates", interrupt)
        ran = tiny_ca("list")
        assert (ran.code, ran.err) == (130, "tiny-ca: Interrupted.\n")
        assert json.loads(tiny_ca("list", "--json").err)["exit_code"] == 130
        monkeypatch.setattr(sys.modules["tiny_ca.adapters.inbound.cli.main"], "app", interrupt)
        half = types.ModuleType("cyclopts")
        half.__spec__ = sys.modules["cyclopts"].__spec__
        monkeypatch.setitem(sys.modules, "cyclopts", half)
        assert tiny_ca("list").code == 130


class TestMessages:
    @pytest.mark.parametrize(
        "arguments",
        [("crl", "--days", "1e10"), ("crl", "--days", "inf"), ("crl", "--days", "nan"),
         ("needs-renewal", "Root", "--before", "9" * 12)],
    )  # fmt: skip
    def test_a_number_that_is_too_large(self, pki: Path, arguments: tuple[str, ...]) -> None:
        ran = tiny_ca(*arguments)
        assert (ran.code, "--debug" in ran.err) == (2, False)

    def test_a_port_that_is_none(self, pki: Path) -> None:
        for port in ("-1", "65536"):
            ran = tiny_ca("serve", "--port", port)
            assert (ran.code, ran.err) == (2, f"tiny-ca: --port is 0-65535, got {port}.\n")

    def test_what_could_not_be_reached_is_named(self, in_an_empty_folder: None) -> None:
        address = f"127.0.0.1:{free_port()}"
        ran = tiny_ca("inspect", address)
        assert (ran.code, ran.err) == (1, f"tiny-ca: {address}: Connection refused.\n")

    def test_a_settings_file_is_named(self, pki: Path) -> None:
        (pki / "tiny-ca.toml").write_text("common_name =")
        ran = tiny_ca("list")
        assert (ran.code, "my-pki/tiny-ca.toml" in ran.err) == (2, True)

    def test_a_passphrase_file_is_named(self, pki: Path) -> None:
        Path("key").write_bytes(b"\xff\xfe")
        ran = tiny_ca("issue", "a.test", "--passphrase-file", "key")
        assert (ran.code, ran.err.startswith("tiny-ca: key is no UTF-8 text")) == (2, True)


class TestDoctorAndRestore:
    def test_a_finding_is_told_of_once(self, pki: Path) -> None:
        (pki / "ca/ca.key").chmod(0o644)
        ran = tiny_ca("doctor")
        assert (ran.out.count("0600"), ran.err) == (1, "")

    def test_a_ca_whose_certificate_is_gone(self, pki: Path) -> None:
        before = (pki / "ca/ca.pem").read_bytes()
        (pki / "ca/ca.pem").unlink()
        [finding] = json.loads(tiny_ca("doctor", "--json").out)["findings"]
        assert (finding["problem"], finding["repaired"]) == ("files-missing", False)
        assert tiny_ca("doctor", "--fix").code == 0
        assert (pki / "ca/ca.pem").read_bytes() == before
        assert tiny_ca("issue", "a.test").code == 0

    def test_what_is_refused_leaves_nothing(self, pki: Path) -> None:
        Path("no.tar").write_bytes(b"x" * 5000)
        aside = Path("there/registry.db.old")
        aside.parent.mkdir()
        aside.write_bytes(b"of before")
        for folder in ("new", "there"):
            assert tiny_ca("restore", "no.tar", folder).code == 1
        assert not Path("new").exists()
        assert list(Path("there").iterdir()) == [aside]


class TestNextSteps:
    """Lines are to be copied as they stand."""

    @pytest.mark.parametrize("folder", ["pki", "my pki", "it's", 'a "b" \\c'])
    def test_paths_arrive_whole(self, in_an_empty_folder: None, folder: str) -> None:
        told = tiny_ca("init", folder, "--issue", "localhost").out
        root = str(Path(folder).absolute() / "ca/ca.pem")
        said = {line[:9].strip(): line[9:] for line in told.splitlines() if line[:9].strip()}
        assert root in shlex.split(said["curl"])
        assert str(Path(folder).absolute() / "live/localhost/fullchain.pem") in shlex.split(
            said["uvicorn"]
        )
        psql, connection = shlex.split(said["psql"])
        assert psql == "psql"
        assert conninfo_to_dict(connection) == {
            "host": "localhost", "sslmode": "verify-full", "sslrootcert": root,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("names", "host"),
        [
            (["b\u00fccher.example"], "xn--bcher-kva.example"),
            (["*.example.org", "example.org"], "example.org"),
            (["*.example.org"], "www.example.org"),
            (["::1", "localhost"], "[::1]"),
        ],
    )
    def test_hosts_can_be_asked_for(self, pki: Path, names: list[str], host: str) -> None:
        lines = tiny_ca("issue", *names).out.splitlines()
        [curl] = [line for line in lines if line.startswith("curl ")]
        assert shlex.split(curl)[-1] == f"https://{host}:8000/"
