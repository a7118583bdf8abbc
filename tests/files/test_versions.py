"""One version, written in four places."""

import re
from pathlib import Path
from xml.etree import ElementTree

from cablecar import helper

ROOT = Path(__file__).parents[2]


def first(pattern: str, path: str) -> tuple[str, ...]:
    """Return the groups of the first place in a file that `pattern` matches."""
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert found, f"{path} has no {pattern}"
    return found.groups()


def test_debian_changelog_has_the_version() -> None:
    assert first(r"\Acablecar \((.*?)\) ", "debian/changelog") == (helper.__version__,)


def test_changelog_has_the_version() -> None:
    assert first(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", "CHANGELOG.md") == (helper.__version__,)


def test_metainfo_has_the_version_and_its_date() -> None:
    release = ElementTree.parse(ROOT / "desktop" / "org.cablecar1.applet.metainfo.xml").find("releases/release")
    assert release is not None
    assert (release.get("version"), release.get("date")) == first(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", "CHANGELOG.md")
