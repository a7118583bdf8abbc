"""The linters are tests: formatting, lint, types, shell scripts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def sources() -> dict[Path, str]:
    """Return the first line of each file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = (ROOT / name for name in listed if name)
    firsts: dict[Path, str] = {}
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                firsts[path] = file.readline(200).decode(errors="replace").strip()
    return firsts


def scripts(*interpreters: str) -> list[str]:
    """Return the files without a suffix that one of the interpreters runs, by their first line."""
    started = re.compile(rf"#!\S+/(env )?({'|'.join(interpreters)})( -\S+)?")
    return [
        str(path.relative_to(ROOT)) for path, first in sources().items() if not path.suffix and started.fullmatch(first)
    ]


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_check() -> None:
    run(sys.executable, "-m", "ruff", "check", "--quiet", ".", *scripts("python3"))


def test_ruff_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--quiet", "--diff", ".", *scripts("python3"))


def test_mypy() -> None:
    # `files` in pyproject.toml; tests/ns is how it sees cablecar.helper and cablecar.applet.
    run(sys.executable, "-m", "mypy")


def test_shell_scripts() -> None:
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "tests/setup-host check installs shellcheck"
    maintainer = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("debian/*.p*") if path.suffix != ".py")
    found = scripts("sh", "bash")
    assert {".ci/run", "debian/build-packages"} <= set(found)
    run(shellcheck, "--severity=warning", *found, *maintainer)
