"""What differs between PPTP, L2TP and PPPoE: the lines that lead to the server, and what else each needs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cablecar.helper.carriers import BY_PROTOCOL, PROTOCOLS
from cablecar.helper.errors import InvalidSetting
from cablecar.helper.l2tp import L2TP
from cablecar.helper.pppd import Facts
from cablecar.helper.pppoe import PPPOE
from cablecar.helper.settings import Settings, check_from_bus, faults, fill, full_dict, merge, parse
from cablecar.helper.words import words

NAMES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=60)


def options(settings: Settings, target: str) -> list[list[bytes]]:
    text = "\n".join(BY_PROTOCOL[settings.protocol].options(settings, target)).encode()
    lines: list[list[bytes]] = []
    for word in words(text):
        lines.append([]) if word.begins_line else None
        lines[-1].append(word.value)
    return lines


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_first_protocol_is_the_default_and_each_has_its_unit(protocol: str) -> None:
    assert Settings("a", "b").protocol == PROTOCOLS[0]
    assert BY_PROTOCOL[protocol].unit.startswith("cablecar-")


def test_pppoe_asks_for_whoever_answers() -> None:
    plain = parse({"protocol": "pppoe", "user": "u"})
    assert options(plain, "eth0.35") == [
        [b"plugin", b"pppoe.so"], [b"pppoe-padi-timeout", b"1"], [b"pppoe-padi-attempts", b"3"], [b"nic-eth0.35"],
    ]  # fmt: skip


@given(NAMES, NAMES)
def test_the_names_of_pppoe_stay_data(concentrator: str, service: str) -> None:
    named = parse({"protocol": "pppoe", "user": "u", "server": concentrator, "service": service})
    assert options(named, "eth0")[1:3] == [[b"pppoe-service", service.encode()], [b"pppoe-ac", concentrator.encode()]]
    assert len(options(named, "eth0")) == 6


@pytest.mark.parametrize("key", ["server", "service"])
@pytest.mark.parametrize(
    "value", ["a\nplugin /tmp/x.so", "a\0b", "x" * 256, "\N{RIGHT-TO-LEFT OVERRIDE}", 5, "\x1b[2J"]
)
def test_names_of_pppoe_that_could_be_more_are_refused(key: str, value: object) -> None:
    with pytest.raises(InvalidSetting, match=f"`{key}`"):
        parse({"protocol": "pppoe", "user": "u", key: value})


@pytest.mark.parametrize("protocol", ["pptp", "l2tp"])
def test_what_calls_an_address_wants_a_host_and_no_service(protocol: str) -> None:
    for values, key in (
        ({"server": "a b"}, "server"), ({"server": ""}, "server"), ({}, "server"),
        ({"server": "x.example", "service": "isp"}, "service"),
    ):  # fmt: skip
        with pytest.raises(InvalidSetting, match=f"`{key}`"):
            parse({"protocol": protocol, "user": "u", **values})
    assert parse({"protocol": protocol, "user": "u", "server": "x.example", "service": ""}).service == ""


def test_a_form_is_told_by_the_protocol_that_it_names() -> None:
    assert set(faults({"protocol": "l2tp", "server": "a b", "user": ""}, {})) == {"server", "user"}
    assert set(faults({"protocol": "pppoe", "server": "a b", "user": ""}, {})) == {"user"}
    check_from_bus({"server": "a b", "provider": "isp"})  # whose protocol is not known yet
    with pytest.raises(InvalidSetting, match="`server`"):
        check_from_bus({"server": "a b"})
    check_from_bus({"server": "a b"}, changes=True)  # the link may be one by PPPoE
    with pytest.raises(InvalidSetting, match="`server`"):
        check_from_bus({"server": "a b", "protocol": "l2tp"}, changes=True)


def test_a_vlan_is_a_matter_of_pppoe_alone() -> None:
    preset = {"isp": Isp()}
    pppoe = parse(fill({"provider": "isp", "protocol": "pppoe", "user": "u"}, preset))
    assert (pppoe.vlan, parse(pppoe.as_dict())) == (35, pppoe)
    assert parse(merge(pppoe, {"vlan": 0}, preset)).as_dict()["vlan"] == 0, "which no preset is to fill in again"
    l2tp = parse(merge(pppoe, {"protocol": "l2tp", "server": "y.example"}, preset))
    assert "vlan" not in l2tp.as_dict()
    with pytest.raises(InvalidSetting, match="`vlan`"):
        parse({"protocol": "l2tp", "server": "x.example", "user": "u", "vlan": 35})


class Isp:
    def defaults(self, protocol: str) -> dict[str, object]:
        return {"protocol": protocol, "vlan": 35}


def test_xl2tpd_gets_an_address_and_nothing_of_what_people_type() -> None:
    hostile = parse({"protocol": "l2tp", "server": "x.example", "user": "u\\;lns=1", "title": "t = [lac x]"})
    files = L2TP.files("yosefcom", hostile, "203.0.113.7")
    assert files["l2tp-secrets"] == b""
    assert files["l2tp"].decode().splitlines() == [
        "[global]", "port = 0", "access control = yes", "max retries = 4",
        "[lac yosefcom]", "lns = 203.0.113.7", "autodial = yes", "redial = no", "length bit = yes",
        "pppoptfile = /etc/ppp/peers/yosefcom",
    ]  # fmt: skip
    assert options(hostile, "203.0.113.7") == [[b"logfd", b"2"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_carrier_says_the_endings_of_what_it_writes(protocol: str) -> None:
    settings = Settings("x.example", "u", protocol)
    carrier = BY_PROTOCOL[protocol]
    assert tuple(carrier.files("yosefcom", settings, "203.0.113.7")) == carrier.endings


OVER = [
    "xl2tpd[12]: child_handler : pppd exited for call 4 with code 19",
    "xl2tpd[12]: call_close: Call 4 to 203.0.113.7 disconnected",
    "xl2tpd[12]: Maximum retries exceeded for tunnel 7.  Closing.",
    "xl2tpd[12]: control_finish: Connection closed to 203.0.113.7, serial 1 (bye)",
    "xl2tpd[12]: Connection 7 closed to 203.0.113.7, port 1701 (Timeout)",
    "xl2tpd[12]: start_pppd: Unable to connect PPPoL2TP socket.",
    "xl2tpd[12]: control_finish: Invalid authentication for host 'x'",
    "LCP: timeout sending Config-Requests",
]
GOING_ON = [
    "xl2tpd[12]: Connecting to host 203.0.113.7, port 1701",
    "xl2tpd[12]: Connection established to 203.0.113.7, 1701.  Local: 1, Remote: 2 (ref=0/0).",
    "xl2tpd[12]: Call established with 203.0.113.7, Local: 1, Remote: 2, Serial: 1 (ref=0/0)",
    "xl2tpd[12]: network_thread: select timeout with max retries: 5 for tunnel: 7",
    "xl2tpd[12]: start_pppd: I'm running: ",
    "local  IP address 192.0.2.10",
    "LCP terminated by peer (xl2tpd[12]: call_close: Call 4 to )",
]


@pytest.mark.parametrize("line", OVER)
def test_xl2tpd_tells_that_its_call_is_over(line: str) -> None:
    assert L2TP.over is not None
    assert L2TP.over.match(line)


@pytest.mark.parametrize("line", GOING_ON)
def test_a_call_that_goes_on_is_left_alone(line: str) -> None:
    assert L2TP.over is not None
    assert not L2TP.over.match(line)


def test_what_a_server_puts_behind_its_goodbye_is_not_believed() -> None:
    facts = Facts()
    facts.read("Using interface ppp0")
    facts.close()
    for line in ("Using interface eth0", "local  IP address 192.0.2.66", "remote IP address 192.0.2.67"):
        facts.read(line)
    assert (facts.interface, facts.is_up) == ("ppp0", False)
    facts.read("Sent 22 bytes, received 11 bytes.")
    assert (facts.sent, facts.received) == (22, 11)


def test_only_what_calls_an_address_has_packets_for_a_firewall() -> None:
    for carrier in BY_PROTOCOL.values():
        assert bool(carrier.passages) == carrier.over_ip
    assert not PPPOE.programs
    assert all(re.fullmatch("/usr/s?bin/[a-z0-9]+", path) for one in BY_PROTOCOL.values() for path in one.programs)


def test_a_tunnel_secret_stays_in_the_files_of_root() -> None:
    settings = parse({"protocol": "l2tp", "server": "x.example", "user": "u", "tunnel_secret": "s3cret!"})
    assert L2TP.files("yosefcom", settings, "203.0.113.7")["l2tp-secrets"] == b"* * s3cret!\n"
    assert "tunnel_secret" not in full_dict(settings)
    with pytest.raises(InvalidSetting, match="SetTunnelSecret"):
        check_from_bus({"tunnel_secret": "x"})


@pytest.mark.parametrize("value", ["a b", "a#b", "a;b", "a\n* * b", "x" * 65, "\N{LATIN SMALL LETTER E WITH ACUTE}", 5])
def test_a_tunnel_secret_that_xl2tpd_would_read_otherwise_is_refused(value: object) -> None:
    with pytest.raises(InvalidSetting, match="`tunnel_secret`"):
        parse({"protocol": "l2tp", "server": "x.example", "user": "u", "tunnel_secret": value})


def test_a_change_of_protocol_leaves_behind_what_the_new_one_does_not_know() -> None:
    pptp = parse({"server": "x.example", "user": "u", "title": "T"})
    pppoe = parse(merge(pptp, {"protocol": "pppoe", "service": "internet"}, {}))
    assert (pppoe.server, pppoe.service, pppoe.title) == ("", "internet", "T")
    with pytest.raises(InvalidSetting, match="`server`"):
        parse(merge(pppoe, {"protocol": "l2tp"}, {}))
    l2tp = parse(merge(pppoe, {"protocol": "l2tp", "server": "y.example"}, {}))
    assert (l2tp.server, l2tp.service) == ("y.example", "")
    assert parse(merge(pptp, {"protocol": "l2tp"}, {})).server == "x.example"
    assert parse(merge(pppoe, {"title": "U"}, {})).service == "internet"
