"""What makes a tree a release, beyond tests/files/test_versions.py; for `make release` only: most trees are none."""

import re
import subprocess
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from cablecar import helper

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
DEBIAN = (ROOT / "debian/changelog").read_text()


def git(*arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={ROOT}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


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
    known = "appstream-metadata-validation-failed"  # desktop/README.md
    assert not [line for line in said if line.startswith(("E: ", "W: ")) and known not in line]


def test_everything_is_committed() -> None:
    assert not git("status", "--porcelain")
