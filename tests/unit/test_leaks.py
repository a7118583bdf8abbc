"""Strict mode before the real kernel: what leaves by the cable, stage by stage (tests/shared/leaks.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import leaks
import pytest

DHCP = f"{leaks.ROUTER} 17 67"
CALL = [f"{leaks.SERVER} 47 0", f"{leaks.SERVER} 6 1723"]
LOCAL = [f"{leaks.ROUTER} 17 53", f"{leaks.NEIGHBOUR} 17 9"]
OTHERS = [f"{leaks.HOST} 17 9", f"{leaks.SERVER} 17 9", f"{leaks.SERVER} 17 1701", "ff02::1 17 9"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    command = [
        "unshare",
        "--map-root-user",
        "--net",
        sys.executable,
        leaks.__file__,
        str(tmp_path_factory.mktemp("run")),
    ]
    path = os.pathsep.join([entry for entry in sys.path if Path(entry).is_dir()])
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("off", [DHCP, *CALL, *LOCAL, *OTHERS]),
        ("waiting", [DHCP]),
        ("dialing", [DHCP, *CALL]),
        ("up, with half routes", [DHCP, *CALL]),
        ("flushed", [DHCP, *CALL]),
        ("with the local network", [DHCP, *CALL, *LOCAL]),
        ("dropped", [DHCP, *CALL]),
        ("between calls", [DHCP, *CALL]),
        ("ended", [DHCP, *CALL, *LOCAL, *OTHERS]),
    ],
)
def test_what_leaves_by_the_cable(seen: Any, stage: str, expected: list[str]) -> None:
    assert seen[stage] == sorted(expected)


def test_a_flush_is_mended_once_and_nothing_is_left(seen: Any) -> None:
    assert seen["lost"] == [True, False]
    assert seen["left"] == ["", False, []]
