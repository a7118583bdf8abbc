"""What the real kernel makes of strict mode, sharing, a cable that changes its name, loops (tests/shared)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import circles
import leaks
import pytest
import replug
import sharing
import ways
from namespaces import unshare

DHCP = f"{leaks.ROUTER} 17 67"
CALL = [f"{leaks.SERVER} 47 0", f"{leaks.SERVER} 6 1723"]
LOCAL = [f"{leaks.ROUTER} 17 53", f"{leaks.NEIGHBOUR} 17 9"]
OTHERS = [f"{leaks.HOST} 17 9", f"{leaks.SERVER} 17 9", f"{leaks.SERVER} 17 1701", "ff02::1 17 9"]


def told(program: str, folder: Path) -> Any:
    """Return what a program says in a network of its own."""
    path = os.pathsep.join([entry for entry in sys.path if Path(entry).is_dir()])
    done = subprocess.run(
        [*unshare("--net"), sys.executable, program, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return told(leaks.__file__, tmp_path_factory.mktemp("run"))


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
        ("from the machine's start on", [DHCP]),
        ("ended", [DHCP, *CALL, *LOCAL, *OTHERS]),
    ],
)
def test_what_leaves_by_the_cable(seen: Any, stage: str, expected: list[str]) -> None:
    assert seen[stage] == sorted(expected)


def test_a_flush_is_mended_once_and_nothing_is_left(seen: Any) -> None:
    assert seen["lost"] == [True, False]
    assert seen["left"] == ["", False, []]


def test_another_machine_uses_the_link_while_it_is_up_and_nothing_else(tmp_path: Path) -> None:
    seen = told(sharing.__file__, tmp_path)
    assert seen.pop("control") == {"reached": [True, True]}
    closed = {"past the tunnel": False, "into home": [False, False]}
    off = {"forwards": ["eth0"], "from home": "nothing", **closed}
    # The link's address and MTU: 1400 less 40, and less 12 for TCP's timestamps.
    on = {"forwards": ["eth0", "eth1", "ppp0"], "from home": f"{sharing.OWN} 1348", **closed}
    assert seen == {"before": off, "up": on, "up, strict": on, "after": off, "left": ["", []]}


def test_a_named_cable_is_followed_when_it_is_renamed_or_plugged_in_again(tmp_path: Path) -> None:
    seen = told(replug.__file__, tmp_path)
    assert seen == {
        "as it was": "eth0",
        "renamed": "usb0",
        "another one": "",
        "replugged": "usb2!",
        "without carrier": "",
        "as before": "usb2",
        "another lease": "usb2!",
    }


def test_what_is_pinned_out_of_the_common(tmp_path: Path) -> None:
    by_the_first = f"{leaks.SERVER} via {leaks.ROUTER} dev eth0"
    assert told(ways.__file__, tmp_path) == {
        "of two routers": by_the_first,
        "of two routers, the first unplugged": by_the_first,
        "outside the cable's network": f"{leaks.SERVER} via {ways.DISTANT_ROUTER} dev eth0 onlink",
        "public": {
            "ipproto udp dport 67": "eth0",
            "ipproto udp dport 53": "eth0",
            "ipproto tcp dport 53": "eth0",
            "ipproto tcp dport 443": "ppp0",
            "": "ppp0",
        },
        "left": "",
    }


def test_a_call_goes_in_circles_when_its_server_is_led_into_its_tunnel(tmp_path: Path) -> None:
    assert told(circles.__file__, tmp_path) == {
        "up": False,
        "with a rule of somebody's": True,
        "without it": False,
        "without a way": False,
        "without a tunnel": False,
    }
