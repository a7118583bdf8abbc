"""One connection that is tried: to a listener of the test's own, to a port that nobody has, to one that says nothing."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

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
