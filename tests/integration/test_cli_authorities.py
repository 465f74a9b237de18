"""The command line: CAs, profiles, copies."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.command_line import tiny_ca
from tests.integration.legacy import LegacyRegistry
from tests.integration.test_damaged_backups import flipped, rewritten, with_manifest


def cas(*more: str | Path) -> list[tuple[str, str, bool]]:
    told = tiny_ca("ca", "list", *more, "--json").json
    return [(each["common_name"], each["status"], each["has_key"]) for each in told]


class TestIntermediate:
    def test_one_issues_below_it(self, pki: Path) -> None:
        assert tiny_ca("ca", "intermediate", "Services", "--permit-dns", "corp.test").code == 0
        assert cas() == [("Services", "valid", True), ("Root", "valid", True)]
        refused = tiny_ca("issue", "a.corp.test")
        assert (refused.code, "--ca" in refused.err) == (3, True)
        told = tiny_ca("issue", "a.corp.test", "--ca", "Services", "--json").json
        chain = Path(told["live"]["fullchain"]).read_bytes()
        assert chain.count(b"BEGIN CERTIFICATE") == 2
        assert told["root"] == "my-pki/ca/ca.pem"
        assert tiny_ca("issue", "a.evil.test", "--ca", "Services").code == 2

    def test_a_dry_run_makes_none(self, pki: Path) -> None:
        told = tiny_ca("ca", "intermediate", "Services", "--dry-run", "--json").json
        assert [each["kind"] for each in told["issue"]] == ["ca"]
        assert cas() == [("Root", "valid", True)]
        assert tiny_ca("ca", "intermediate", "Root", "--dry-run").code == 4


class TestAnOfflineRoot:
    def test_no_key_is_made_for_a_request_that_can_not_be_written(self, pki: Path) -> None:
        refused = tiny_ca("ca", "request", "Issuing", "-o", "nowhere/issuing.csr", "-C", "online")
        assert refused.code == 2
        assert not Path("online").exists()

    def test_request_sign_import(self, pki: Path) -> None:
        made = tiny_ca("ca", "request", "Issuing", "-o", "issuing.csr", "-C", "online")
        assert made.code == 0, made.err
        tiny_ca("sign", "issuing.csr", "-p", "ca", "-o", "issuing.pem", "-C", "my-pki")
        imported = ("ca", "import", "issuing.pem", "--chain", pki / "ca/ca.pem", "-C", "online")
        assert tiny_ca(*imported, "--dry-run").code == 0
        assert cas("-C", "online") == []
        assert tiny_ca(*imported, "--json").json["signs"]
        assert sorted(cas("-C", "online")) == [("Issuing", "valid", True), ("Root", "valid", False)]
        issued = tiny_ca("issue", "a.test", "--ca", "Issuing", "-C", "online")
        assert issued.code == 0, issued.err
        assert tiny_ca("verify", "a.test", "--host", "a.test", "-C", "online").code == 0

    def test_a_dry_run_of_a_request_makes_no_key(self, pki: Path) -> None:
        assert tiny_ca("ca", "request", "A", "-o", "a.csr", "-C", "new", "--dry-run").code == 0
        assert not Path("new").exists()
        assert not Path("a.csr").exists()

    def test_pem_with_a_key_is_taken_into_a_new_folder(self, pki: Path) -> None:
        both = (pki / "ca/ca.pem").read_bytes() + (pki / "ca/ca.key").read_bytes()
        Path("both.pem").write_bytes(both)
        assert "make a registry" in tiny_ca("ca", "import", "both.pem", "-C", "x", "--dry-run").out
        assert not Path("x").exists()
        assert tiny_ca("ca", "import", "both.pem", "-C", "x", "--json").json["signs"]
        assert tiny_ca("issue", "a.test", "-C", "x").code == 0

    def test_what_is_none_is_refused(self, pki: Path) -> None:
        tiny_ca("issue", "a.test")
        assert tiny_ca("ca", "import", pki / "live/a.test/cert.pem").code == 2
        assert tiny_ca("ca", "import", "nothing.pem").code == 3


class TestRollover:
    def test_the_new_one_issues_and_the_limits_stay(self, pki: Path) -> None:
        tiny_ca("ca", "intermediate", "Services", "--permit-dns", "corp.test")
        assert tiny_ca("ca", "rollover", "--ca", "Services", "--dry-run").code == 0
        assert len(cas()) == 2
        told = tiny_ca("ca", "rollover", "--ca", "Services", "--key", "p-384", "--json").json
        assert told["serial"] != told["old_serial"]
        old, new = (
            x509.load_pem_x509_certificate(tiny_ca("show", each, "--pem").out.encode())
            for each in (told["old_serial"], told["serial"])
        )
        for kind in (x509.NameConstraints, x509.BasicConstraints):
            assert old.extensions.get_extension_for_class(kind) == (
                new.extensions.get_extension_for_class(kind)
            )
        drift = (new.not_valid_after_utc - new.not_valid_before_utc) - (
            old.not_valid_after_utc - old.not_valid_before_utc
        )
        assert abs(drift) < timedelta(days=1)
        issued = tiny_ca("issue", "a.corp.test", "--ca", "Services", "--json").json
        path = tiny_ca("verify", issued["serial"], "--json").json["path"]
        assert path[1]["serial"] == told["serial"]
        # The old one goes on answering for what it issued.
        assert tiny_ca("crl", "--ca", told["old_serial"]).code == 0
        assert len(tiny_ca("publish", "--json").json) == 2


class TestProfiles:
    def test_they_are_listed_and_shown(self, in_an_empty_folder: None) -> None:
        names = {each["name"] for each in tiny_ca("profile", "list", "--json").json}
        assert {"server", "client", "mtls", "ca"} <= names
        assert tiny_ca("profile", "show", "server", "--json").json["extended_key_usage"] == [
            "server_auth"
        ]
        assert "server_auth" in tiny_ca("profile", "show", "server").out
        assert "825d" in tiny_ca("profile", "list").out
        assert tiny_ca("profile", "show", "nope").code == 3

    def test_ones_own_are_checked_and_used(self, pki: Path) -> None:
        file = pki / "tiny-ca.toml"
        file.write_text('[profiles.web]\nbase = "server"\nmax_validity = "90d"\n')
        assert tiny_ca("profile", "check", file, "--json").json["profiles"] == ["web"]
        assert tiny_ca("profile", "show", "web", "--json").json["max_validity"] == 90 * 86400
        assert tiny_ca("issue", "a.test", "-p", "web", "--days", "91").code == 2
        file.write_text('[profiles.web]\nbase = "nothing"\n')
        refused = tiny_ca("profile", "check", file)
        assert (refused.code, "nothing" in refused.err) == (2, True)


class TestCopies:
    def test_a_backup_is_restored(self, pki: Path) -> None:
        serial = tiny_ca("issue", "a.test", "--json").json["serial"]
        assert tiny_ca("backup", "pki.tar", "--dry-run").code == 0
        assert not Path("pki.tar").exists()
        assert tiny_ca("backup", "pki.tar", "--json").json["certificates"] == 2
        assert tiny_ca("backup", "pki.tar").code == tiny_ca("backup", "pki.tar", "--dry-run").code
        tiny_ca("revoke", serial)
        tiny_ca("crl")
        restored = ("restore", "pki.tar", "again", "--crl", pki / "crl.pem")
        would = tiny_ca(*restored, "--dry-run", "--json").json
        assert (would["dry_run"], would["certificates"], would["folder"]) == (True, 2, "again")
        assert [each["serial"] for each in would["revoked_again"]] == [serial]
        assert would["parts"]["folders"] == 5
        assert "would" in tiny_ca(*restored, "--dry-run").out.lower()
        assert not Path("again").exists()
        told = tiny_ca(*restored, "--json").json
        assert [each["serial"] for each in told["revoked_again"]] == [serial]
        assert tiny_ca("show", serial, "-C", "again", "--json").json["status"] == "revoked"
        assert tiny_ca(*restored, "--dry-run").code == 4

    @pytest.mark.parametrize("part", ["registry/certificates", "folders"])
    def test_a_dry_run_reads_all_of_the_archive(self, pki: Path, part: str) -> None:
        tiny_ca("issue", "a.test")
        tiny_ca("backup", "pki.tar")
        rewritten(Path("pki.tar"), flipped(part))
        refused = tiny_ca("restore", "pki.tar", "again", "--dry-run")
        assert refused.code == tiny_ca("restore", "pki.tar", "again").code == 1
        assert part in refused.err

    def test_a_dry_run_looks_at_the_schema(self, pki: Path) -> None:
        tiny_ca("backup", "pki.tar")
        rewritten(Path("pki.tar"), with_manifest(revision="of-tomorrow"))
        refused = tiny_ca("restore", "pki.tar", "again", "--dry-run")
        assert (refused.code, "of-tomorrow" in refused.err) == (1, True)
        assert not Path("again").exists()

    def test_a_registry_of_0_1_1_is_migrated(self, in_an_empty_folder: None) -> None:
        old = LegacyRegistry()
        old.add("a.test")
        old.write("sqlite:///old.db")
        would = tiny_ca("migrate", "old.db", "--dry-run")
        assert (would.code, "migrate" in would.out) == (0, True)
        with sqlite3.connect("old.db") as database:
            tables = database.execute("SELECT name FROM sqlite_master").fetchall()
        assert ("alembic_version",) not in tables
        assert tiny_ca("migrate", "old.db", "--json").json["certificates"] >= 1
        assert "of this version" in tiny_ca("migrate", "old.db", "--dry-run").out

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_knows_the_commands(self, shell: str) -> None:
        printed = tiny_ca("completion", shell)
        assert printed.code == 0
        for word in ("issue", "rollover", "dry-run"):
            assert word in printed.out
