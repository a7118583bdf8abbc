"""What makes a tree a release, beyond tests/files/test_versions.py; for `make release` only: most trees are none."""

import re
import subprocess
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from cablecar import helper

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
DEBIAN = (ROOT / "debian/changelog").read_text()


def git(*arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={ROOT}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def faults(said: list[str]) -> list[str]:
    """Return what lintian has against the packages, but for the missing home page (desktop/README.md)."""
    known = re.compile(r"W: .*\bappstream-metadata-validation-failed\b")
    return [line for line in said if line.startswith(("E: ", "W: ")) and not known.match(line)]


def test_the_version_is_one_of_a_release() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", helper.__version__), "take `.dev` off in helper/__init__.py"


def test_no_change_stands_under_unreleased() -> None:
    section = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", CHANGELOG, re.MULTILINE | re.DOTALL)
    assert section is None or not section[1].strip(), "move the entries of CHANGELOG.md below the version's heading"


def test_debians_changelog_has_the_day_of_the_release() -> None:
    signed = re.search(r"^ -- .*?>  (.+)$", DEBIAN, re.MULTILINE)
    heading = re.search(r"^## \d\S* - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)
    assert signed and heading
    assert parsedate_to_datetime(signed[1]).date() == datetime.fromisoformat(heading[1]).date()
    assert "UNRELEASED" not in DEBIAN.splitlines()[0]


def test_the_version_has_no_tag_of_another_tree() -> None:
    assert not git("tag", "--list", f"v{helper.__version__}") or not git("diff", f"v{helper.__version__}", "HEAD")


def test_lintian_has_nothing_against_the_packages() -> None:
    (changes,) = (ROOT / "build/deb").glob("*.changes")
    command = ["lintian", "--allow-root", "--fail-on=none", str(changes)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert not faults(said)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("W: cablecar: appstream-metadata-validation-failed [usr/share/metainfo/x.xml]", False),
        ("E: cablecar: appstream-metadata-validation-failed [usr/share/metainfo/x.xml]", True),
        ("W: cablecar: no-manual-page", True),
        ("I: cablecar: appstream-metadata-validation-failed", False),
    ],
)
def test_only_a_warning_of_the_home_page_is_known(line: str, is_one: bool) -> None:
    assert bool(faults([line])) is is_one


def test_everything_is_committed() -> None:
    assert not git("status", "--porcelain")
