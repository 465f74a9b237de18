"""The command line: what every command has in common, and the first ones."""

import json
import re
from pathlib import Path

import pytest
from cryptography import x509

from tests.command_line import command_paths, tiny_ca
from tests.unit.test_project import ROOT
from tiny_ca.adapters.inbound.cli.commands import all_commands

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


class TestHelp:
    @pytest.mark.parametrize("words", sorted(command_paths()), ids=" ".join)
    def test_every_command_shows_an_example_of_itself(self, words: tuple[str, ...]) -> None:
        shown = tiny_ca(*words, "--help")
        assert shown.code == 0
        assert re.search(rf"For example:\n\n +tiny-ca {' '.join(words)}\b", shown.out), shown.out

    def test_the_overview_says_what_the_commands_say_of_themselves(self) -> None:
        for each in all_commands():
            assert f"  {each.name:14}{each.summary}.\n" in tiny_ca("--help").out
            assert f"\n{each.summary}.\n" in tiny_ca(each.name, "--help").out

    def test_the_page_on_the_command_line_has_them_all(self) -> None:
        page = (ROOT / "docs/cli.md").read_text()
        for words in command_paths():
            assert f"`{words[-1]}" in page or f"`{' '.join(words)}" in page, words

    def test_it_says_its_version(self) -> None:
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", tiny_ca("--version").out)

    @pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
    def test_without_a_command_it_gives_the_overview(self, arguments: tuple[str, ...]) -> None:
        assert tiny_ca(*arguments).out.startswith("Usage: tiny-ca")


class TestInit:
    def test_it_makes_a_ca(self, pki: Path) -> None:
        root = x509.load_pem_x509_certificate((pki / "ca/ca.pem").read_bytes())
        assert root.subject.rfc4514_string() == "CN=Root"
        assert (pki / "ca/ca.key").stat().st_mode & 0o777 == 0o600

    def test_again_changes_nothing(self, pki: Path) -> None:
        before = {each: each.read_bytes() for each in pki.rglob("*.pem")}
        again = tiny_ca("init", "my-pki", "--json").json
        assert (again["made"], again["common_name"]) == (False, "Root")
        assert {each: each.read_bytes() for each in pki.rglob("*.pem")} == before

    def test_another_root_is_not_slipped_in(self, pki: Path) -> None:
        refused = tiny_ca("init", "my-pki", "--name", "Other")
        assert refused.code == 2
        assert "another folder" in refused.err

    def test_with_names_it_issues_once(self, tmp_path: Path) -> None:
        command = ("init", "my-pki", "--issue", "localhost", "127.0.0.1", "--json")
        first, second = tiny_ca(*command).json, tiny_ca(*command).json
        assert first["issued"].pop("made")
        assert not second["issued"].pop("made")
        assert first["issued"] == second["issued"]
        assert first["issued"]["names"] == ["localhost", "127.0.0.1"]

    def test_a_dry_run_makes_nothing(self, tmp_path: Path) -> None:
        assert "Would make" in tiny_ca("init", "my-pki", "--dry-run").out
        assert not list(tmp_path.iterdir())

    def test_a_name_that_is_none_is_refused_before_the_ca_is_made(self, tmp_path: Path) -> None:
        assert tiny_ca("init", "my-pki", "--issue", "no..name").code == 2
        assert not list(tmp_path.iterdir())


class TestTheFolder:
    def test_the_one_that_is_here_is_found(
        self, pki: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert [each["common_name"] for each in tiny_ca("list", "--json").json] == ["Root"]
        monkeypatch.chdir(pki)
        assert [each["common_name"] for each in tiny_ca("list", "--json").json] == ["Root"]

    def test_of_two_one_has_to_be_said(self, pki: Path) -> None:
        tiny_ca("init", "other")
        refused = tiny_ca("list")
        assert (refused.code, "my-pki, other" in refused.err) == (2, True)
        assert tiny_ca("-C", "other", "list").code == 0
        assert tiny_ca("list", "--folder=other").code == 0

    def test_without_one_nothing_is_made(self, tmp_path: Path) -> None:
        for command in (("list",), ("list", "-C", "nowhere"), ("issue", "a.test", "-C", "nowhere")):
            refused = tiny_ca(*command)
            assert (refused.code, "tiny-ca init" in refused.err) == (3, True)
        assert not list(tmp_path.iterdir())

    def test_the_environment_says_it(self, pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tiny_ca("init", "other")
        monkeypatch.setenv("TINY_CA_BASE_FOLDER", "my-pki")
        assert [each["common_name"] for each in tiny_ca("list", "--json").json] == ["Root"]

    def test_settings_lie_in_it(self, pki: Path) -> None:
        (pki / "tiny-ca.toml").write_text('crl_urls = ["http://pki.test/crl"]\n')
        issued = tiny_ca("issue", "a.test", "--json").json
        shown = tiny_ca("show", issued["serial"], "--pem").out
        certificate = x509.load_pem_x509_certificate(shown.encode())
        [point] = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert point.full_name == [x509.UniformResourceIdentifier("http://pki.test/crl")]


class TestIssue:
    def test_the_pair_is_where_it_says(self, pki: Path) -> None:
        told = tiny_ca("issue", "localhost", "127.0.0.1", "::1", "--json").json
        certificate = x509.load_pem_x509_certificate(Path(told["files"]["pem"]).read_bytes())
        assert told["serial"] == f"{certificate.serial_number:x}"
        assert told["names"] == ["localhost", "127.0.0.1", "::1"]
        assert Path(told["root"]).read_bytes() == (pki / "ca/ca.pem").read_bytes()

    def test_it_prints_what_to_do_next(self, pki: Path) -> None:
        printed = tiny_ca("issue", "localhost").out
        for line in (
            f"ssl_certificate {pki}/live/localhost/fullchain.pem;",
            f"--ssl-keyfile {pki}/live/localhost/privkey.pem",
            f"curl --cacert {pki}/ca/ca.pem https://localhost:8000/",
            f"sslrootcert={pki}/ca/ca.pem",
        ):
            assert line in printed

    def test_a_name_that_is_taken_is_replaced_only_on_demand(self, pki: Path) -> None:
        first = tiny_ca("issue", "a.test", "--json").json
        refused = tiny_ca("issue", "a.test")
        assert (refused.code, "--replace" in refused.err) == (4, True)
        second = tiny_ca("issue", "a.test", "--replace", "--json").json
        assert tiny_ca("show", first["serial"], "--json").json["reason"] == "superseded"
        assert tiny_ca("show", "a.test", "--json").json["serial"] == second["serial"]

    def test_each_name_is_of_its_kind(self, pki: Path) -> None:
        told = tiny_ca("issue", "me@a.test", "-p", "user", "--json").json
        assert told["names"] == ["me@a.test"]
        told = tiny_ca("issue", "a.test", "spiffe://a.test/b", "-p", "mtls", "--json").json
        assert told["names"] == ["a.test", "spiffe://a.test/b"]

    def test_a_dry_run_issues_nothing_and_says_what_is_in_the_way(self, pki: Path) -> None:
        assert "Would issue a.test" in tiny_ca("issue", "a.test", "--dry-run").out
        assert len(tiny_ca("list", "--json").json) == 1
        tiny_ca("issue", "a.test")
        refused = tiny_ca("issue", "a.test", "--dry-run", "--days", "1000")
        assert refused.code == 2
        assert "1000 days" in refused.err
        assert tiny_ca("issue", "a.test", "--dry-run", "--replace").code == 0

    def test_without_names_it_says_so(self, pki: Path) -> None:
        assert tiny_ca("issue").code == 2


class TestRevoke:
    def test_a_certificate_is_revoked_and_crls_say_so(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        told = tiny_ca("revoke", "a.test", "--reason", "key-compromise", "--json").json
        assert told["revoked"] == [serial]
        shown = tiny_ca("show", serial, "--json").json
        assert (shown["status"], shown["reason"]) == ("revoked", "keyCompromise")
        published = tiny_ca("crl", "--days", "3", "--json").json
        assert (published["number"], published["revoked"]) == (1, 1)
        [entry] = x509.load_pem_x509_crl((pki / "crl.pem").read_bytes())
        assert f"{entry.serial_number:x}" == serial

    def test_again_is_no_error(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        tiny_ca("revoke", serial)
        assert tiny_ca("revoke", serial, "--json").json["already"] == [serial]

    def test_a_dry_run_revokes_nothing(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        assert tiny_ca("revoke", "a.test", "--dry-run", "--json").json["revoked"] == [serial]
        assert tiny_ca("show", "a.test", "--json").json["status"] == "valid"
        assert tiny_ca("crl", "--dry-run", "--json").json["revoked"] == 0
        assert not (pki / "crl.pem").exists()

    def test_a_hold_is_lifted(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        assert tiny_ca("revoke", serial, "--release").code == 4
        tiny_ca("revoke", serial, "--reason", "certificate-hold")
        assert tiny_ca("revoke", serial, "--release", "--dry-run").code == 0
        assert tiny_ca("revoke", serial, "--release", "--json").json["released"] == [serial]
        assert tiny_ca("show", serial, "--json").json["status"] == "valid"

    def test_what_is_not_there_revokes_nothing_else(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        assert tiny_ca("revoke", "a.test", "b.test").code == 3
        assert tiny_ca("show", "a.test", "--json").json["status"] == "valid"


class TestList:
    def test_filters_agree(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        tiny_ca("issue", "b.test", "-p", "client")
        tiny_ca("revoke", "b.test")
        listed = tiny_ca("list", "*.test", "--json").json
        assert [(each["common_name"], each["status"]) for each in listed] == [
            ("b.test", "revoked"),
            ("a.test", "valid"),
        ]
        assert len(tiny_ca("list", "--status", "valid", "--limit", "0", "--json").json) == 2
        assert [each["profile"] for each in tiny_ca("list", "--kind", "ca", "--json").json] == [
            None
        ]
        assert "and more" in tiny_ca("list", "--limit", "1").out

    def test_a_line_of_the_table_is_whole_in_a_pipe(self, pki: Path) -> None:
        serial = tiny_ca("issue", f"{'a' * 60}.{'b' * 50}", "--json")
        name = "a" * 60 + ".test"
        assert serial.code == 2
        tiny_ca("issue", name[-64:])
        assert name[-64:] in tiny_ca("list").out

    def test_show_prints_the_certificate(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        assert tiny_ca("show", "a.test", "--pem").out == (pki / "live/a.test/cert.pem").read_text()


class TestErrors:
    def test_they_are_a_line(self, pki: Path) -> None:
        for command in (("issue", "a.test", "--nope"), ("nope",), ("show",), ("show", "0xzz")):
            refused = tiny_ca(*command)
            assert refused.code in {2, 3}
            assert refused.err.startswith("tiny-ca: ")
            assert refused.err.count("\n") == 1
            assert not refused.out

    def test_json_wants_json(self, pki: Path) -> None:
        refused = tiny_ca("show", "b.test", "--json")
        told = json.loads(refused.err)
        assert (told["kind"], told["exit_code"]) == ("CertNotFound", refused.code)

    def test_debug_shows_where(self, pki: Path) -> None:
        assert "Traceback" in tiny_ca("show", "b.test", "--debug").err
        assert "Traceback" not in tiny_ca("show", "b.test").err

    def test_settings_that_are_wrong_are_a_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TINY_CA_PASSPHRASE", "x")
        refused = tiny_ca("list")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "TINY_CA_PASSPHRASE" in refused.err


class TestPassphrases:
    def test_a_file_encrypts_and_opens(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("correct horse\n")
        made = tiny_ca("init", "my-pki", "--passphrase-file", "secret")
        assert made.code == 0, made.err
        assert b"ENCRYPTED" in (tmp_path / "my-pki/ca/ca.key").read_bytes()
        refused = tiny_ca("issue", "a.test")
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert "pass --passphrase-file or --ask-passphrase" in refused.err
        assert tiny_ca("issue", "a.test", "--passphrase-file", "secret").code == 0

    def test_the_environment_does(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TINY_CA_KEY_PASSPHRASE", "correct horse")
        assert tiny_ca("init", "my-pki", "--issue", "a.test").code == 0
        for key in (tmp_path / "my-pki").rglob("*.key"):
            assert b"ENCRYPTED" in key.read_bytes()

    def test_an_empty_file_or_no_terminal_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("\n")
        assert tiny_ca("init", "my-pki", "--passphrase-file", "secret").code == 2
        assert tiny_ca("init", "my-pki", "--ask-passphrase").code == 2
        assert not (tmp_path / "my-pki").exists()
