"""One connection that is tried: to a listener of the test's own, to a port that nobody has, to one that says nothing.

And echo requests, in a network of the test's own.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from namespaces import unshare

from cablecar.helper import probe


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        yield listener


def test_who_listens_is_open(listener: socket.socket) -> None:
    command = [sys.executable, "-m", "cablecar.helper.probe", "127.0.0.1", str(listener.getsockname()[1])]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "open\n"


def test_who_does_not_refuses(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert probe.attempt("127.0.0.1", port) == "refused"


def test_who_says_nothing_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(address: tuple[str, int], limit: float) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", late)
    assert probe.attempt("203.0.113.7", 1723) == "silent"


def test_where_no_way_leads_is_unreachable() -> None:
    assert probe.attempt("255.255.255.255", 1723) == "unreachable"


def echoed(*rules: str, cable: int = 65536) -> int:
    """Return how much of 1476 bytes comes back by a loopback interface of our own, behind these rules of a firewall."""
    script = [f"ip link set lo up mtu {cable}", "nft add table inet way"]
    script += ["nft 'add chain inet way in { type filter hook input priority 0; }'"]
    script += [f"nft add rule inet way in icmp type echo-request {rule}" for rule in rules]
    script += [f"{sys.executable} -m cablecar.helper.probe 127.0.0.1 0 1476"]
    command = [*unshare("--net"), "sh", "-ec", "\n".join(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([], 1476),
        (["meta length gt 1476 drop"], 1476),
        (["meta length gt 1475 drop"], 1460),
        (["meta length gt 1400 drop"], 1396),
        (["meta length gt 100 drop"], probe.SMALL),
        (["drop"], 0),
        (["numgen random mod 10 lt 3 drop"], 1476),
        (["limit rate over 1/second burst 3 packets drop"], 1476),
    ],
)
def test_the_largest_packet_that_gets_through_is_found(rules: list[str], found: int) -> None:
    assert echoed(*rules) == found


def test_what_is_too_large_for_the_cable_itself_does_not_get_through() -> None:
    assert echoed(cable=1400) == 1396


@pytest.mark.parametrize("packet", [b"", b"\x45", bytes(28), bytes([0x4F]) * 40])
def test_what_is_no_echo_counts_for_nothing(packet: bytes) -> None:
    assert probe.answer(packet, 7) == 0
