"""Cablecar's Debian packages, as `make deb` leaves them in build/deb: found, and made when missing or out of date."""

import re
import subprocess
from pathlib import Path

from tests.lab.host.job import REPOSITORY
from tests.lab.host.say import LabError, say

_FOLDER = REPOSITORY / "build" / "deb"
_NAMES = ("cablecar-helper", "cablecar")
_SOURCES = (
    "applet",
    "helper",
    "dbus",
    "polkit",
    "desktop",
    "doc",
    "debian",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
)


def ensure_packages() -> list[Path]:
    """Return the packages to install, made anew by `make deb` when a source is younger than they are."""
    found = _find()
    if found is None or _oldest(found) < _youngest_source():
        makefile = REPOSITORY / "Makefile"
        if not makefile.exists() or not re.search(r"^deb\b.*:", makefile.read_text(), re.MULTILINE):
            raise LabError("there are no packages in build/deb, and no `make deb` that makes them (see --no-install)")
        say("making Cablecar's packages (make deb)")
        done = subprocess.run(
            ["make", "-s", "deb"], cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise LabError(f"make deb failed:\n{done.stdout[-8000:]}{done.stderr[-8000:]}")
        found = _find()
    if found is None:
        raise LabError(f"make deb left no {' and '.join(_NAMES)} package in {_FOLDER}")
    return found


def _find() -> list[Path] | None:
    """Return the newest package of each name, or None when one is missing."""
    found: list[Path] = []
    for name in _NAMES:
        candidates = sorted(_FOLDER.glob(f"{name}_*_all.deb"), key=lambda path: path.stat().st_mtime)
        if not candidates:
            return None
        found.append(candidates[-1])
    return found


def _oldest(paths: list[Path]) -> float:
    return min(path.stat().st_mtime for path in paths)


def _youngest_source() -> float:
    """Return the time of the latest change under what the packages are made of.

    What git does not track does not count: building a package leaves files of its own in debian/.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_SOURCES],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = [REPOSITORY / name for name in listed if name]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
