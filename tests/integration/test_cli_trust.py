"""`tiny-ca trust`: a real NSS database, a real Java keystore, and commands that are planned."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import tiny_ca
from tests.integration.test_tls_values import issue
from tests.support import need, run
from tiny_ca import CAConfig, CertLifecycleManager, MemoryRegistry, MemoryStorage, open_ca
from tiny_ca.adapters.inbound.cli import trust_runner
from tiny_ca.adapters.inbound.cli.trust_plan import (
    JAVA_PASSWORD,
    Action,
    Facts,
    Root,
    Store,
    plan,
)
from tiny_ca.adapters.inbound.cli.trust_runner import State, facts_here

ROOT = Root(Path("/pki/ca.pem"), "tiny-ca root 0123abcd", "tiny-ca-0123.crt")
EVERYTHING = Facts(
    Path("/usr/local/share/ca-certificates"),
    Path("/etc/pki/ca-trust/source/anchors"),
    (Path("/home/a/.pki/nssdb"),),
    (Path("/usr/lib/jvm/cacerts"),),
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TINY_CA_KEY_PASSPHRASE", raising=False)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    assert tiny_ca("init", "my-pki", "--name", "Root").code == 0
    return tmp_path / "my-pki"


class TestPlan:
    def test_every_store_that_there_is(self) -> None:
        steps = plan(Action.INSTALL, ROOT, EVERYTHING, list(Store))
        debian, fedora = EVERYTHING.debian_folder, EVERYTHING.fedora_folder
        install = ("install", "-m", "0644", "/pki/ca.pem")
        assert [step.commands for step in steps] == [
            ((*install, f"{debian}/tiny-ca-0123.crt"), ("update-ca-certificates",)),
            ((*install, f"{fedora}/tiny-ca-0123.crt"), ("update-ca-trust", "extract")),
            (
                (
                    "certutil", "-d", "sql:/home/a/.pki/nssdb", "-A", "-t", "C,,",
                    "-n", "tiny-ca root 0123abcd", "-i", "/pki/ca.pem",
                ),
            ),
            (
                (
                    "keytool", "-importcert", "-noprompt", "-keystore", "/usr/lib/jvm/cacerts",
                    "-storepass:env", JAVA_PASSWORD, "-alias", "tiny-ca root 0123abcd",
                    "-file", "/pki/ca.pem",
                ),
            ),
        ]  # fmt: skip
        assert [step.needs_root for step in steps] == [True, True, False, False]

    def test_out_of_each(self) -> None:
        steps = plan(Action.UNINSTALL, ROOT, EVERYTHING, list(Store))
        assert [step.commands[0][0] for step in steps] == ["rm", "rm", "certutil", "keytool"]
        assert [step.commands[-1][0] for step in steps[:2]] == [
            "update-ca-certificates", "update-ca-trust",
        ]  # fmt: skip

    def test_only_what_is_wanted_and_there(self) -> None:
        assert plan(Action.INSTALL, ROOT, Facts(), list(Store)) == []
        steps = plan(Action.INSTALL, ROOT, EVERYTHING, [Store.NSS])
        assert [step.store for step in steps] == [Store.NSS]

    def test_browsers_and_javas_own_are_found(self, tmp_path: Path) -> None:
        need("certutil", "keytool")
        databases = [tmp_path / ".pki/nssdb", tmp_path / ".mozilla/firefox/x.default"]
        for folder in databases:
            folder.mkdir(parents=True)
            (folder / "cert9.db").touch()
        cacerts = tmp_path / "jdk/lib/security/cacerts"
        cacerts.parent.mkdir(parents=True)
        cacerts.touch()
        found = facts_here(tmp_path, str(tmp_path / "jdk"))
        assert found.nss_databases == tuple(databases)
        assert found.keystores[0] == cacerts


class TestNSS:
    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        need("certutil")
        folder = tmp_path / ".pki/nssdb"
        folder.mkdir(parents=True)
        assert run("certutil", "-N", "-d", f"sql:{folder}", "--empty-password").returncode == 0
        return folder

    def is_trusted(self, database: Path) -> bool:
        done = run("certutil", "-V", "-d", f"sql:{database}", "-n", "leaf", "-u", "V")
        return done.returncode == 0

    def test_in_and_out(self, pki: Path, database: Path) -> None:
        assert tiny_ca("issue", "a.internal").code == 0
        [leaf] = pki.rglob("a.internal.pem")
        add = ("certutil", "-A", "-d", f"sql:{database}", "-n", "leaf", "-t", ",,", "-i", leaf)
        assert run(*add).returncode == 0
        assert not self.is_trusted(database)
        # Its own, which it finds.
        done = tiny_ca("trust", "install", "--store", "nss")
        assert (done.code, done.out) == (0, f"done        nss {database}\n")
        assert self.is_trusted(database)
        again = tiny_ca("trust", "install", "--nss", database, "--json").json
        assert [one["state"] for one in again] == ["already so"]
        assert tiny_ca("trust", "uninstall", "--nss", database).code == 0
        assert not self.is_trusted(database)
        [gone] = tiny_ca("trust", "uninstall", "--nss", database, "--json").json
        assert gone["state"] == "already so"

    def test_printed_only(self, pki: Path, database: Path) -> None:
        before = (database / "cert9.db").read_bytes()
        printed = tiny_ca("trust", "install", "--nss", database, "--dry-run")
        assert printed.code == 0
        first, second = printed.out.splitlines()
        assert first == "Would run:"
        assert (database / "cert9.db").read_bytes() == before
        # It can be copied as it stands.
        subprocess.run(second, shell=True, check=True, timeout=60)
        [done] = tiny_ca("trust", "install", "--nss", database, "--json").json
        assert done["state"] == "already so"

    def test_after_a_rollover_both_roots(self, pki: Path, database: Path) -> None:
        with open_ca(pki) as ca:
            ca.rollover_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
        done = tiny_ca("trust", "install", "--nss", database, "--json", "--ca", "Root").json
        assert [one["state"] for one in done] == ["done", "done"]

    def test_there_is_none(self, pki: Path, tmp_path: Path) -> None:
        missing = tiny_ca("trust", "install", "--nss", tmp_path / "nowhere")
        assert missing.code == 2
        assert "cert9.db" in missing.err


class TestJava:
    @pytest.fixture
    def keystore(self, tmp_path: Path) -> Path:
        need("keytool")
        with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as other:
            other.create_self_signed_ca(CAConfig(common_name="Other", key_algorithm="p-256"))
            store = other.export_java_truststore("a secret", certificates=other.trusted_roots())
        path = tmp_path / "cacerts"
        path.write_bytes(store)
        return path

    def aliases(self, keystore: Path) -> list[str]:
        listed = run(
            "keytool", "-list", "-keystore", keystore, "-storepass:env", "PASSWORD",
            env={**os.environ, "PASSWORD": "a secret"},
        )  # fmt: skip
        lines = listed.stdout.splitlines()
        return [line.split(",")[0] for line in lines if "trustedCertEntry" in line]

    def test_in_and_out(self, pki: Path, keystore: Path, tmp_path: Path) -> None:
        password = tmp_path / "password"
        password.write_text("a secret\n")
        options = ("--java", keystore, "--java-password-file", password)
        done = tiny_ca("trust", "install", *options)
        assert (done.code, done.out) == (0, f"done        java {keystore}\n")
        first, second = sorted(self.aliases(keystore))
        assert first == "other"
        assert second.startswith("tiny-ca root ")
        assert tiny_ca("trust", "install", *options).out.startswith("already so")
        assert tiny_ca("trust", "uninstall", *options).code == 0
        assert self.aliases(keystore) == ["other"]

    def test_printed_it_can_be_copied(self, pki: Path, keystore: Path, tmp_path: Path) -> None:
        password = tmp_path / "pass word"
        password.write_text("a secret\n")
        options = ("--java", keystore, "--java-password-file", password, "--dry-run")
        printed = tiny_ca("trust", "install", *options).out
        assert "a secret" not in printed
        assert self.aliases(keystore) == ["other"]
        subprocess.run(printed.splitlines()[1], shell=True, check=True, timeout=60)
        assert len(self.aliases(keystore)) == 2

    def test_another_password(self, pki: Path, keystore: Path) -> None:
        before = keystore.read_bytes()
        failed = tiny_ca("trust", "install", "--java", keystore)
        assert failed.code == 1
        assert failed.out.startswith(f"failed      java {keystore}: keytool:")
        assert keystore.read_bytes() == before


@contextmanager
def as_somebody() -> Iterator[None]:
    """Run as a user who is not root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestSystem:
    @pytest.fixture
    def facts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
        """A Debian's folder, and a program that says that it ran."""
        folder, programs = tmp_path / "ca-certificates", tmp_path / "bin"
        folder.mkdir()
        programs.mkdir()
        script = programs / "update-ca-certificates"
        script.write_text(f"#!/bin/sh\nls {folder} > {tmp_path}/updated\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return Facts(debian_folder=folder)

    @pytest.fixture
    def root(self, tmp_path: Path) -> Root:
        with CertLifecycleManager(MemoryStorage(), db_handler=MemoryRegistry()) as ca:
            ca.create_self_signed_ca(CAConfig(common_name="Root", key_algorithm="p-256"))
            assert issue(ca, "a.example").chain[-1:] == tuple(ca.trusted_roots())
            return Root(ca.trust_pem().write_to_path(tmp_path / "root.pem"), "root", "root.crt")

    def states(self, action: Action, root: Root, facts: Facts) -> list[State]:
        steps = plan(action, root, facts, [Store.SYSTEM])
        return [one.state for one in trust_runner.run(action, steps, {})]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root changes what the system trusts")
    def test_in_and_out(self, root: Root, facts: Facts, tmp_path: Path) -> None:
        assert self.states(Action.INSTALL, root, facts) == [State.DONE]
        assert (tmp_path / "ca-certificates/root.crt").read_bytes() == root.pem.read_bytes()
        assert (tmp_path / "updated").read_text() == "root.crt\n"
        assert self.states(Action.INSTALL, root, facts) == [State.ALREADY]
        assert self.states(Action.UNINSTALL, root, facts) == [State.DONE]
        assert (tmp_path / "updated").read_text() == ""
        assert self.states(Action.UNINSTALL, root, facts) == [State.ALREADY]

    def test_only_root_may(self, root: Root, facts: Facts, tmp_path: Path) -> None:
        with as_somebody():
            assert self.states(Action.INSTALL, root, facts) == [State.FOR_ROOT]
        assert not (tmp_path / "updated").exists()

    def test_a_program_that_fails(self, root: Root, facts: Facts, tmp_path: Path) -> None:
        (tmp_path / "bin/update-ca-certificates").write_text("#!/bin/sh\necho no; exit 3\n")
        if os.geteuid() == 0:
            steps = plan(Action.INSTALL, root, facts, [Store.SYSTEM])
            [outcome] = trust_runner.run(Action.INSTALL, steps, {})
            assert (outcome.state, outcome.reason) == (State.FAILED, "update-ca-certificates: no")

    def test_what_is_printed(self, pki: Path) -> None:
        need("update-ca-certificates")
        printed = tiny_ca("trust", "install", "--store", "system", "--dry-run").out.splitlines()
        assert printed[0] == "Would run:"
        assert printed[-1].endswith("update-ca-certificates")
        assert str(pki / "ca/ca.pem") in printed[1]
