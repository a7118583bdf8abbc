"""PPPoE's discovery packets: offers as concentrators send them, and as nobody should; sessions of which a log tells."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cablecar.helper import discovery
from cablecar.helper.discovery import AC_NAME, HOST_UNIQ, PADI, PADO, SERVICE_NAME, offer, packet, tag

CUSTOMER, CONCENTRATOR, UNIQUE = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02", b"12345678"
NAME = tag(AC_NAME, b"yosef-ac")
TAGS = NAME + tag(SERVICE_NAME) + tag(SERVICE_NAME, b"internet") + tag(HOST_UNIQ, UNIQUE)


def test_an_offer_names_the_concentrator_and_its_services() -> None:
    assert offer(packet(CUSTOMER, CONCENTRATOR, PADO, 0, TAGS) + b"\0" * 20, UNIQUE) == {
        "concentrator": "yosef-ac",
        "services": ["internet"],
        "address": "02:00:00:00:00:02",
    }


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        packet(CUSTOMER, CONCENTRATOR, PADI, 0, TAGS),
        packet(CUSTOMER, CONCENTRATOR, PADO, 7, TAGS),
        packet(CUSTOMER, CONCENTRATOR, PADO, 0, tag(HOST_UNIQ, UNIQUE)),
        packet(CUSTOMER, CONCENTRATOR, PADO, 0, NAME),
        packet(CUSTOMER, CONCENTRATOR, PADO, 0, NAME + tag(HOST_UNIQ, b"another")),
        packet(CUSTOMER, CONCENTRATOR, PADO, 0, tag(HOST_UNIQ, UNIQUE) + NAME[:-1]),
    ],
)
def test_what_is_no_offer_to_us_is_none(frame: bytes) -> None:
    assert offer(frame, UNIQUE) is None


@given(st.binary(max_size=200))
def test_whatever_comes_is_at_most_text(tags: bytes) -> None:
    found = offer(packet(CUSTOMER, CONCENTRATOR, PADO, 0, tag(HOST_UNIQ, UNIQUE) + NAME + tags), UNIQUE)
    assert found is not None
    assert isinstance(found["concentrator"], str)


CONNECTED = "Connected to 02:00:00:00:00:02 via interface eth0.35"


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        (["PPP session is 7 (0x7)", CONNECTED, "Using interface ppp0"], ("eth0.35", CONCENTRATOR, 7)),
        (["PPP session is 7", CONNECTED, "PPP session is 9", CONNECTED], ("eth0.35", CONCENTRATOR, 9)),
        (["PPP session is 7", CONNECTED, "Sent PADT"], None),
        (["PPP session is 70000", CONNECTED], None),
        ([CONNECTED], None),
        (["PPP session is 7"], None),
        (["PPP session is 7", CONNECTED + "/../x y"], None),
        (["Remote message: PPP session is 7", CONNECTED], None),
    ],
)
def test_the_session_that_a_killed_pppd_has_left(lines: list[str], lost: tuple[str, bytes, int] | None) -> None:
    assert discovery.lost_session("\n".join(lines)) == lost


def test_an_interface_that_is_not_there_answers_nothing() -> None:
    assert list(discovery.find(["nosuchif0"], 0.1)) == []


@pytest.fixture
def broken() -> socket.socket:
    """A socket whose next `recv` fails, as one does whose interface went down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.connect(address)
    opened.send(b"")  # refused
    return opened


def test_a_cable_that_goes_down_does_not_silence_the_others(
    broken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    there.send(packet(CUSTOMER, CONCENTRATOR, PADO, 0, TAGS))
    sockets = {"eth0": broken, "eth1": ours}
    monkeypatch.setattr(discovery, "_sent", lambda name, code, tags: sockets[name])
    monkeypatch.setattr("secrets.token_bytes", lambda size: UNIQUE)
    with there:
        assert [answer["interface"] for answer in discovery.find(list(sockets), 0.5)] == ["eth1"]


def test_a_session_whose_interface_is_gone_needs_no_end() -> None:
    discovery.end(f"PPP session is 7\n{CONNECTED.replace('eth0.35', 'nosuchif0')}\n")
