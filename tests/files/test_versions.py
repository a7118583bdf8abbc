"""One version, written in four places; while it is in development, in the helper and Debian's changelog alone."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cablecar import helper

ROOT = Path(__file__).parents[2]
# 0.2.0 is a release, 0.2.0.dev0 a tree that is to become it.
BASE, IN_DEVELOPMENT = helper.__version__.partition(".dev")[:2]


def first(pattern: str, path: str) -> tuple[str, ...]:
    """Return the groups of the first place in a file that `pattern` matches."""
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert found, f"{path} has no {pattern}"
    return found.groups()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def promised(text: str) -> Iterator[str]:
    """Yield the versions since which the members of an interface exist."""
    yield from re.findall(r"@since: (\d+(?:\.\d+)+)", text)


def later(text: str) -> list[str]:
    """Return those of them that are later than this tree."""
    return [version for version in promised(text) if numbers(version) > numbers(BASE)]


def test_debian_changelog_has_the_version() -> None:
    # ~ sorts before nothing: whoever has a tree in development is offered the release.
    expected = helper.__version__.replace(".dev", "~dev"), "UNRELEASED" if IN_DEVELOPMENT else "unstable"
    assert first(r"\Acablecar \((.*?)\) (\w+);", "debian/changelog") == expected


def test_a_tree_in_development_sorts_between_the_releases() -> None:
    (released,) = first(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", "CHANGELOG.md")
    (debian,) = first(r"\Acablecar \((.*?)\) ", "debian/changelog")
    older = "lt" if IN_DEVELOPMENT else "eq"
    for pair in ((released, older, debian), (debian, older, BASE)):
        assert subprocess.run(["dpkg", "--compare-versions", *pair], check=False).returncode == 0, pair


def test_changelog_has_the_version() -> None:
    heading, version = first(r"^## ((\d\S*) - \d{4}-\d\d-\d\d|Unreleased)$", "CHANGELOG.md")
    assert heading == "Unreleased" if IN_DEVELOPMENT else version == helper.__version__


def test_metainfo_has_the_newest_release_and_its_date() -> None:
    release = ElementTree.parse(ROOT / "desktop" / "org.cablecar1.applet.metainfo.xml").find("releases/release")
    assert release is not None
    assert (release.get("version"), release.get("date")) == first(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", "CHANGELOG.md")


@pytest.mark.parametrize("path", sorted(ROOT.glob("dbus/*.xml")), ids=lambda path: path.stem)
def test_no_member_is_promised_to_an_older_version(path: Path) -> None:
    assert [*promised(path.read_text())]
    assert not later(path.read_text())


def test_a_later_member_is_seen() -> None:
    assert later("@since: 0.1 @since: 99.0") == ["99.0"]
