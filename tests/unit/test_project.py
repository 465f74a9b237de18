"""What the project says of itself is so."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiny_ca
from tests.support import need, run, unavailable

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


ONE_BY_ONE = """
import json
import sys
for block in json.load(sys.stdin):
    exec(compile(block, "block", "exec"), {"__name__": "__main__"})
"""


def python(*arguments: str | Path, cwd: Path, stdin: str = "") -> str:
    """Run Python in *cwd*, where a warning is an error, and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("block", blocks("python"), ids=["one line", "embedded", "in a test"])
def test_the_readmes_code_runs(block: str, tmp_path: Path) -> None:
    python("-c", block, cwd=tmp_path)


PAGES = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if blocks("python", page.read_text()) and page.stem != "tutorial"
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_documentations_code_runs(page: Path, tmp_path: Path) -> None:
    python("-c", ONE_BY_ONE, cwd=tmp_path, stdin=json.dumps(blocks("python", page.read_text())))


def test_the_tutorials_commands_run_between_its_code(tmp_path: Path) -> None:
    need("openssl")
    steps = re.findall(
        r"^```(python|sh)\n(.*?)^```$",
        (ROOT / "docs/tutorial.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert {language for language, _ in steps} == {"python", "sh"}
    for language, step in steps:
        if language == "python":
            python("-c", step, cwd=tmp_path)
        else:
            done = run("bash", "-euc", step, cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")


def pages_of(entry: Any) -> Iterator[str]:
    """Give the pages of a part of the menu."""
    if isinstance(entry, str):
        yield entry
    else:
        for one in entry.values() if isinstance(entry, dict) else entry:
            yield from pages_of(one)


def test_every_page_is_in_the_menu_once() -> None:
    """Add a new one to `nav` in mkdocs.yml."""
    menu = list(pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(menu) == sorted(
        str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")
    )


def test_every_operation_is_searched_for_secrets() -> None:
    """Call a new one in `Everything`, in tests/integration/test_observability.py."""
    called = (ROOT / "tests/integration/test_observability.py").read_text()
    operations = {
        name
        for name, method in inspect.getmembers(tiny_ca.CertLifecycleManager, inspect.isfunction)
        if not name.startswith(("_", "iter_")) and name != "close"
    }
    assert {name for name in operations if f".{name}(" not in called} == set()


def test_pages_link_to_pages() -> None:
    """What lies outside of docs/ is not on the site: name it, without a link."""
    for page in (ROOT / "docs").rglob("*.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            target = (page.parent / link).resolve()
            assert target.is_relative_to(ROOT / "docs"), (page.name, link)
            assert target.is_file(), (page.name, link)


def test_every_public_name_is_in_the_reference() -> None:
    """Add a new one to a page of docs/reference."""
    text = "\n".join(page.read_text() for page in (ROOT / "docs/reference").glob("*.md"))
    shown = set(re.findall(r"^::: tiny_ca\.(\w+)$", text, re.MULTILINE))
    errors = {
        name
        for name in tiny_ca.__all__
        if getattr(tiny_ca, name).__module__ == "tiny_ca.domain.errors"
    }
    assert set(tiny_ca.__all__) - errors - {"SyncDatabaseManager"} <= shown


WITHOUT_EXTRAS = """
import sys
for name in ("aiosqlite", "greenlet", "pkilint", "psycopg"):
    sys.modules[name] = None
import tiny_ca
for name in tiny_ca.__all__:
    getattr(tiny_ca, name)
with tiny_ca.open_ca("pki", common_name="Root", key_algorithm="p-256") as ca:
    ca.issue_certificate(tiny_ca.ClientConfig(common_name="a", key_algorithm="p-256"))
for make, argument in (
    (tiny_ca.AsyncDBHandler, "sqlite+aiosqlite:///a.db"),
    (tiny_ca.SyncDBHandler, "postgresql://a@127.0.0.1/a"),
    (tiny_ca.PkilintLinter, "warning"),
):
    try:
        make(argument)
    except tiny_ca.TinyCAError as error:
        print(error)
"""


def test_the_extras_are_optional(tmp_path: Path) -> None:
    printed = python("-c", WITHOUT_EXTRAS, cwd=tmp_path)
    assert printed.count("install tiny-ca[") == 3


def test_ci_runs_the_readmes_second_command() -> None:
    _, tests = blocks("sh")
    assert tests in (ROOT / ".ci/run").read_text()


def test_the_quickstart_runs_again_and_again(tmp_path: Path) -> None:
    for _ in range(2):
        printed = python(ROOT / "examples/quickstart.py", "pki", cwd=tmp_path)
    for step in ("opened", "issued", "verified", "revoked", "published", "nginx", "curl"):
        assert step in printed
    assert len(list((tmp_path / "pki/live").glob("*/*.key"))) == 3


def test_the_device_registration_runs(tmp_path: Path) -> None:
    printed = python(ROOT / "examples/device_registration.py", "pki", cwd=tmp_path)
    assert "retired    sensor-17: revoked" in printed


def test_the_verification_of_a_peer_runs(tmp_path: Path) -> None:
    printed = python(ROOT / "examples/verify_peer.py", "pki", cwd=tmp_path).splitlines()
    verdicts = [line.split(":")[0].split()[-1] for line in printed]
    assert verdicts == ["good", "refused", "good", "refused", "refused"]


VIOLATIONS = {
    "the domain does I/O": ("domain/names.py", "import os", "imports os"),
    "the domain reads a clock": (
        "domain/plan.py",
        "NOW = datetime.now(UTC)",
        "calls datetime.now",
    ),
    "the domain knows a port": (
        "domain/lifetime.py",
        "from tiny_ca.ports.clock import Clock",
        "tiny_ca.domain is not allowed to import tiny_ca.ports",
    ),
    "a use-case knows hazmat": (
        "application/issue.py",
        "from cryptography.hazmat.primitives import hashes",
        "imports cryptography.hazmat.primitives.hashes",
    ),
    "a use-case knows an adapter": (
        "application/issue.py",
        "from tiny_ca.adapters.outbound.system import SystemClock",
        "tiny_ca.application is not allowed to import tiny_ca.adapters.outbound",
    ),
    "a port knows SQLAlchemy": ("ports/clock.py", "import sqlalchemy", "imports sqlalchemy"),
    "an adapter knows the application": (
        "adapters/outbound/db/queries.py",
        "from tiny_ca.application.services import Services",
        "tiny_ca.adapters.outbound is not allowed to import tiny_ca.application",
    ),
    "an adapter knows another family": (
        "adapters/outbound/db/queries.py",
        "from tiny_ca.adapters.outbound.storage.files import remove",
        "tiny_ca.adapters.outbound.db is not allowed to import tiny_ca.adapters.outbound.storage",
    ),
    "the face knows the container": (
        "lifecycle/base.py",
        "import tiny_ca.container",
        "tiny_ca.lifecycle is not allowed to import tiny_ca.container",
    ),
}
"""In which file which line breaks a contract, and what is said of it."""


def said_of_imports(folder: Path, lines: Iterable[tuple[str, str]]) -> tuple[int, str]:
    """Check a copy of the project with these *lines* at the ends of files."""
    for name in ("tiny_ca", "tools"):
        subprocess.run(["cp", "-r", ROOT / name, folder], check=True)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for file, line in lines:
        with (folder / "tiny_ca" / file).open("a") as source:
            source.write(f"{line}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def said_of_violations(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("broken")
    code, said = said_of_imports(folder, [one[:2] for one in VIOLATIONS.values()])
    assert code == 1
    return said


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_the_contracts_break_when_they_should(violation: str, said_of_violations: str) -> None:
    assert VIOLATIONS[violation][2] in said_of_violations


def test_the_contracts_are_kept(tmp_path: Path) -> None:
    code, said = said_of_imports(tmp_path, [])
    assert code == 0, said


def test_nothing_names_a_registry_host_or_a_lock_file() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        unavailable("not a git checkout")
    names = listed.stdout.split()
    assert not [name for name in names if re.search(r"(^|/)(uv|poetry|package-).*lock", name)]
