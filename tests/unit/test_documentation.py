"""The documentation's site is whole, and brings everything that it shows."""

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.support import unavailable

# Groups come first: nobody waits for these at the end.
pytestmark = pytest.mark.xdist_group("documentation")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FETCHED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "track": "src",
    "video": "src",
}
"""What a browser fetches to show a page, and where it says from where."""
FETCHING_CLASSES = {"glightbox", "mermaid", "pyodide"}
"""The theme's script fetches a library for these."""


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a copy of the documentation, where a warning is an error."""
    if importlib.util.find_spec("zensical") is None:
        unavailable("not installed: zensical, of tiny-ca[docs]")
    for name in ("docs", "tiny_ca", "tools"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    shutil.copy(ROOT / "mkdocs.yml", folder)
    return subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


class Fetches(HTMLParser):
    """Collects what a page makes a browser fetch, and which classes it has."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.classes: set[str] = set()
        self.policies: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.classes |= set((values.get("class") or "").split())
        if tag in FETCHED and values.get("rel") not in {"canonical", "prev", "next"}:
            self.addresses.append(values.get(FETCHED[tag]) or "")
        self.addresses += re.findall(r"url\((.*?)\)", values.get("style") or "")
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(values.get("content") or "")


def is_elsewhere(address: str) -> bool:
    return re.match(r"['\"]?(\w+:)?//", address) is not None


def test_the_site_is_whole_and_brings_all_it_shows(tmp_path: Path) -> None:
    done = build(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))
    for page in pages:
        found = Fetches()
        found.feed(page.read_text())
        assert found.addresses, page
        assert not [one for one in found.addresses if is_elsewhere(one)], page
        assert not found.classes & FETCHING_CLASSES, page
        [policy] = found.policies
        assert policy.startswith("default-src 'self'; ")
        assert "http" not in policy
    for style in site.rglob("*.css"):
        text = style.read_text()
        fetched = re.findall(r"url\((.*?)\)|@import\s+(\S+)", text)
        assert not [one for pair in fetched for one in pair if is_elsewhere(one)], style
    reference = (site / "reference/managers/index.html").read_text()
    assert 'id="tiny_ca.CertLifecycleManager.issue_certificate"' in reference


@pytest.mark.parametrize(
    "mistake",
    ["[elsewhere](no-such-page.md)", "::: tiny_ca.NoSuchThing"],
    ids=["a link to nowhere", "a reference to nothing"],
)
def test_a_mistake_stops_the_build(mistake: str, tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    config["nav"] = ["index.md"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Start\n\n{mistake}\n")
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "tools").mkdir()
    shutil.copytree(ROOT / "tools/site", tmp_path / "tools/site")
    (tmp_path / "tiny_ca").mkdir()
    done = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0, done.stdout
