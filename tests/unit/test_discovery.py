"""PPPoE's discovery packets: offers as a concentrator sends them, and as nobody should; sessions that a log tells of."""

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
