"""`tiny-ca ca import-history`."""

from pathlib import Path

import pytest

from tests.command_line import tiny_ca
from tests.integration.histories import EasyRSA, OpenSSLCA
from tests.integration.legacy import LegacyRegistry


@pytest.fixture
def old(tmp_path: Path) -> OpenSSLCA:
    ca = OpenSSLCA(tmp_path / "demoCA", passphrase="secret")
    ca.issue("a.test")
    ca.revoke(ca.issue("b.test"), "-crl_reason", "superseded")
    (tmp_path / "password").write_text("secret\n")
    return ca


def test_a_ca_of_openssl_goes_on(old: OpenSSLCA, tmp_path: Path) -> None:
    pki, password = tmp_path / "pki", ("--password-file", tmp_path / "password")
    command = ("ca", "import-history", old.folder, *password, "-C", pki)
    planned = tiny_ca(*command, "--dry-run", "--json").json
    assert planned["dry_run"]
    assert not pki.exists()
    done = tiny_ca(*command, "--json").json
    assert done == {**planned, "dry_run": False}
    assert [int(number, 16) for number in done["recorded"]] == [1, 2]
    assert done["statuses"] == {"valid": 1, "revoked": 1}
    again = tiny_ca(*command)
    assert again.code == 0
    assert "Imported 0 certificates of Demo CA." in again.out
    rehearsed = tiny_ca(*command, "--dry-run")
    assert "Would import 0 certificates" in rehearsed.out
    assert tiny_ca("issue", "new.test", "-C", pki).code == 0
    assert tiny_ca("publish", "-C", pki).code == 0


def test_the_others(tmp_path: Path) -> None:
    easyrsa = EasyRSA(tmp_path)
    easyrsa("build-server-full", "web", "nopass")
    report = tiny_ca("ca", "import-history", easyrsa.pki, "-C", tmp_path / "one", "--json").json
    assert [one["common_name"] for one in report["authorities"]] == ["Easy CA"]
    legacy = LegacyRegistry()
    legacy.add("a.internal")
    legacy.write(f"sqlite:///{tmp_path / 'old.db'}")
    ran = tiny_ca("ca", "import-history", tmp_path / "old.db", "-C", tmp_path / "two")
    assert "Imported 1 certificates of Old Root." in ran.out
    assert "without key" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("missing",), 3, "missing"),
        (("{folder}",), 2, "cakey.pem"),
        (("{folder}", "--files", "x"), 2, "--files"),
        (("{folder}/newcerts",), 2, "index.txt"),
        (("{folder}", "--without-key"), 0, ""),
    ],
)
def test_what_is_wrong_is_a_line(
    old: OpenSSLCA, tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    given = [each.format(folder=old.folder) for each in arguments]
    ran = tiny_ca("ca", "import-history", *given, "-C", tmp_path / "pki")
    assert ran.code == code, ran
    assert told in ran.err
    assert len(ran.err.splitlines()) == bool(code)
