"""The kernel's answers, as far as anybody may ask; nothing is changed."""

import errno
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cablecar.helper import netlink
from cablecar.helper.netlink import Netlink, NetlinkError

DONE = 3  # netlink(7), NLMSG_DONE


@pytest.fixture
def kernel() -> Iterator[Netlink]:
    with Netlink() as kernel:
        yield kernel


def test_every_interface_is_listed(kernel: Netlink) -> None:
    found = [(link["index"], link.get_attr("IFLA_IFNAME")) for link in kernel.links()]
    assert sorted(found) == sorted(socket.if_nameindex())


def test_counters_are_those_of_the_interface(kernel: Netlink) -> None:
    def shown(name: str) -> int:
        return int(Path(f"/sys/class/net/lo/statistics/{name}").read_text())

    low = shown("rx_bytes"), shown("tx_bytes")
    (loopback,) = (link for link in kernel.links() if link.get_attr("IFLA_IFNAME") == "lo")
    statistics = loopback.get_attr("IFLA_STATS64")
    assert low[0] <= statistics["rx_bytes"] <= shown("rx_bytes")
    assert low[1] <= statistics["tx_bytes"] <= shown("tx_bytes")


def test_routes_and_rules_are_those_of_ipv4(kernel: Netlink) -> None:
    assert {message["family"] for message in [*kernel.routes(), *kernel.rules()]} == {socket.AF_INET}
    assert "127.0.0.1" in [route.get_attr("RTA_DST") for route in kernel.routes()]
    assert 32766 in [rule.get_attr("FRA_PRIORITY") for rule in kernel.rules()]


def test_the_way_of_a_packet_is_the_kernels_decision(kernel: Netlink) -> None:
    assert kernel.output("127.0.0.1") == socket.if_nametoindex("lo")
    assert kernel.links(), "the next question is answered"


def test_a_refusal_is_told_and_the_next_question_answered(kernel: Netlink) -> None:
    rule = netlink.fibmsg()
    rule["family"] = socket.AF_INET
    rule["attrs"] = [("FRA_PRIORITY", 31999), ("FRA_TABLE", 5999), ("FRA_PROTOCOL", 201)]
    with pytest.raises(NetlinkError) as refused:
        kernel.change(rule, netlink.RTM_DELRULE)
    assert refused.value.code in (errno.ENOENT, errno.EPERM)  # there is none; or we are not root
    assert kernel.links()


def test_what_cannot_be_decoded_does_not_spoil_the_next_answer(
    kernel: Netlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(netlink, "_CLASSES", {})
        kernel.rules()
    assert {message["family"] for message in kernel.rules()} == {socket.AF_INET}


@pytest.mark.parametrize(("torn", "asked"), [(0, 1), (1, 2), (99, 5)])
def test_a_list_that_changed_while_it_was_read_is_read_again(
    kernel: Netlink, monkeypatch: pytest.MonkeyPatch, torn: int, asked: int
) -> None:
    receive, looks = kernel._receive, []

    def interrupted() -> Iterator[tuple[int, int, bytes]]:
        for kind, sequence, data in receive():
            if kind == DONE:
                looks.append(kind)
            flags = 0x12 if kind == DONE and len(looks) <= torn else 2
            yield kind, sequence, data[:6] + struct.pack("=H", flags) + data[8:]

    monkeypatch.setattr(kernel, "_receive", interrupted)
    assert {message["family"] for message in kernel.rules()} == {socket.AF_INET}
    assert len(looks) == asked


def test_a_vlan_is_read_as_it_is_made(kernel: Netlink, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def change(message: Any, kind: int, flags: int = 0) -> None:
        assert (kind, flags) == (netlink.RTM_NEWLINK, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL)
        message["header"] = {"type": kind, "flags": flags, "sequence_number": 0, "pid": 0}
        message.encode()
        sent.append(bytes(message.data))

    monkeypatch.setattr(kernel, "change", change)
    kernel.add_vlan("cablecar%d.35", 2, 35)
    assert b"cablecar%d.35\0" in sent[0]
    tagged = b"\x06\0\x05\0\x81\0\0\0"  # what the kernel says of its own accord
    told = b"\x06\0\x01\0\x23\0\0\0"
    for tag, number, elsewhere in ((tagged, (2, 35), []), (b"", None, []), (tagged, None, [("IFLA_LINK_NETNSID", 0)])):
        data = told + tag
        info = b"\x09\0\x01\0vlan\0\0\0\0" + bytes([4 + len(data), 0, 2, 0]) + data
        link = netlink.ifinfmsg()
        link["attrs"] = [("IFLA_LINK", 2), ("IFLA_LINKINFO", info), *elsewhere]
        link.encode()
        assert kernel.vlan(netlink._decode(netlink.RTM_NEWLINK, bytes(link.data))) == number
    assert [kernel.vlan(link) for link in kernel.links() if link.get_attr("IFLA_IFNAME") == "lo"] == [None]


@pytest.mark.parametrize(("port", "bundle"), [(b"bridge", 4), (b"bond", 4), (b"vrf", 0), (b"", 0)])
def test_a_port_is_known_by_what_it_is_a_port_of(kernel: Netlink, port: bytes, bundle: int) -> None:
    info = netlink._attribute(1, b"veth\0") + bytes(3) + (netlink._attribute(4, port + b"\0") if port else b"")
    link = netlink.ifinfmsg()
    link["attrs"] = [("IFLA_MASTER", 4), ("IFLA_LINKINFO", info)]
    link.encode()
    told = netlink._decode(netlink.RTM_NEWLINK, bytes(link.data))
    assert (kernel.kind(told), kernel.bundle(told)) == ("veth", bundle)
    assert [kernel.kind(one) for one in kernel.links() if one.get_attr("IFLA_IFNAME") == "lo"] == [""]


def test_events_of_one_kind_are_heard(kernel: Netlink) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    events = []
    for kind, name in ((netlink.RTM_NEWLINK, "eth0"), (netlink.RTM_DELLINK, "ppp0"), (netlink.RTM_DELLINK, "wlan0")):
        message = netlink.ifinfmsg()
        message["attrs"] = [("IFLA_IFNAME", name)]
        message["header"] = {"type": kind, "flags": 0, "sequence_number": 0, "pid": 0}
        message.encode()
        events.append(bytes(message.data) + bytes(-len(message.data) % 4))
    kernel.close()
    kernel._socket = ours
    with theirs:
        theirs.send(b"".join(events))
        assert [gone.get_attr("IFLA_IFNAME") for gone in kernel.hear(netlink.RTM_DELLINK)] == ["ppp0", "wlan0"]
        theirs.send(events[0])
        assert kernel.hear(netlink.RTM_DELLINK) == []
