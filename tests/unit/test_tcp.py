"""Which connections to a server stand, against the kernel's own table and a written one."""

import socket
from ipaddress import IPv4Address
from pathlib import Path

from cablecar.helper import tcp

LOCALHOST = IPv4Address("127.0.0.1")


def test_a_connection_is_seen_as_long_as_it_stands() -> None:
    with socket.create_server((str(LOCALHOST), 0)) as server:
        port = server.getsockname()[1]
        assert not tcp.established(LOCALHOST, port)  # one that listens is none
        with socket.create_connection((str(LOCALHOST), port)), socket.create_connection((str(LOCALHOST), port)):
            assert len(tcp.established(LOCALHOST, port)) == 2
            assert not tcp.established(IPv4Address("127.0.0.2"), port)
            assert not tcp.established(LOCALHOST, port ^ 1)
        assert not tcp.established(LOCALHOST, port)


def test_one_that_was_not_answered_is_none(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    row = "   0: 64141E0A:A1B2 0700007B:06BB {state} 00000000:00000000 01:0000 00 0 0 1 1 0\n"
    for state, seen in (("01", 1), ("02", 0), ("06", 0)):
        table.write_text("  sl  local_address rem_address   st\n" + row.format(state=state))
        assert len(tcp.established(IPv4Address("123.0.0.7"), 1723, table)) == seen
