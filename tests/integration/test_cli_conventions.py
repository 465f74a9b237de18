"""The command line: what every command promises, JSON and dry runs."""

import base64
import hashlib
import io
import json
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from tests.command_line import command_paths, tiny_ca


def tree(folder: Path) -> dict[str, str]:
    """Give what is in a folder: names, modes, contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else os.fsencode(path)
        if not path.name.endswith(("-wal", "-shm")):
            found[str(path)] = f"{path.lstat().st_mode:o} {hashlib.sha256(data).hexdigest()}"
    return found


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
