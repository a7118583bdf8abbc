"""rtnetlink: asks the kernel, changes it, and hears what changed; the messages are pyroute2's.

The only module that imports pyroute2, and only what encodes and decodes messages: its sockets differ between the
versions that Debian 12 and 13 and PyPI have, and take long to load (`lean.py`). What the messages mean is for others.
"""

import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    nla,
    nlmsg,
)
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import (
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_GETRULE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    RTM_SETLINK,
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV4_ROUTE,
    RTMGRP_IPV4_RULE,
    RTMGRP_LINK,
)
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = [
    "NLM_F_CREATE",
    "NLM_F_EXCL",
    "RTM_DELLINK",
    "RTM_DELROUTE",
    "RTM_DELRULE",
    "RTM_NEWLINK",
    "RTM_NEWROUTE",
    "RTM_NEWRULE",
    "Netlink",
    "NetlinkError",
    "fibmsg",
    "rtmsg",
]

CHANGES: Final = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE
_HEADER: Final = struct.Struct("=IHHII")  # netlink(7): length, type, flags, sequence number, port
_INTERRUPTED: Final = 0x10  # linux/netlink.h, NLM_F_DUMP_INTR
_DUMPS: Final = 5  # looks at what changes meanwhile, such as the interfaces of containers that start
_ERROR: Final = struct.Struct("=i")
_ROOM: Final = 65536  # the kernel fills at most 32 KiB at once
_ATTRIBUTE: Final = struct.Struct("=HH")  # netlink(7), struct rtattr: length, type
_NUMBER: Final = struct.Struct("=I")
_INET_CONF: Final = 1  # linux/if_link.h, IFLA_INET_CONF
_FORWARDING: Final = 1  # linux/ip.h, IPV4_DEVCONF_FORWARDING
_GET_CONFIGURATION: Final = 82  # linux/rtnetlink.h, RTM_GETNETCONF
_NEW_CONFIGURATION: Final = 80  # RTM_NEWNETCONF
_UP: Final = 1  # netdevice(7), IFF_UP
_INFO_KIND, _INFO_DATA, _INFO_PORT = 1, 2, 4  # linux/if_link.h, IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND
_VRF: Final = b"vrf"  # its ports go on having addresses and routes of their own
_VLAN_ID, _VLAN_PROTOCOL = 1, 5  # IFLA_VLAN_ID, IFLA_VLAN_PROTOCOL
_VLAN: Final = b"vlan"
_SHORT: Final = struct.Struct("=H")
_TAG_PROTOCOL: Final = struct.pack("!H", 0x8100)  # IEEE 802.1Q, and not 802.1ad


class _Statistics(nla):  # type: ignore[misc]
    """The beginning of `struct rtnl_link_stats64`."""

    fields = (("rx_packets", "Q"), ("tx_packets", "Q"), ("rx_bytes", "Q"), ("tx_bytes", "Q"))


class ifinfmsg(nlmsg):  # type: ignore[misc]
    """An interface, as far as we want to know it: pyroute2's own has a module for each kind of interface."""

    fields = (("family", "B"), ("__pad", "x"), ("ifi_type", "H"), ("index", "i"), ("flags", "I"), ("change", "I"))
    nla_map = (
        (1, "IFLA_ADDRESS", "cdata"),
        (3, "IFLA_IFNAME", "asciiz"),
        (4, "IFLA_MTU", "uint32"),
        (5, "IFLA_LINK", "uint32"),
        (10, "IFLA_MASTER", "uint32"),
        (18, "IFLA_LINKINFO", "cdata"),
        (23, "IFLA_STATS64", "statistics"),
        (26, "IFLA_AF_SPEC", "cdata"),
        (33, "IFLA_CARRIER", "uint8"),
        (37, "IFLA_LINK_NETNSID", "int32"),
        (54, "IFLA_PERM_ADDRESS", "cdata"),
    )
    statistics = _Statistics


class _netconfmsg(nlmsg):  # type: ignore[misc]
    """What holds for IPv4 on an interface, or as ours asks, on all."""

    fields = (("family", "B"), ("__pad", "3x"))
    nla_map = ((1, "NETCONFA_IFINDEX", "int32"), (2, "NETCONFA_FORWARDING", "int32"))


_CLASSES: Final = {
    RTM_NEWLINK: ifinfmsg,
    RTM_DELLINK: ifinfmsg,
    RTM_NEWADDR: ifaddrmsg,
    RTM_NEWROUTE: rtmsg,
    RTM_NEWRULE: fibmsg,
    _NEW_CONFIGURATION: _netconfmsg,
}


class Netlink:
    """A socket to the kernel's routing; it blocks, and belongs to one thread.

    Args:
        groups: What `hear` is told of.

    Raises:
        NetlinkError: By every method but `close`: the kernel refuses.
        OSError: By `hear`, with ENOBUFS: more happened than the socket could hold.
    """

    def __init__(self, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, groups))
        self._sequence = 0
        self._is_torn = False  # the answer is of two moments, and may lack what was there in both

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def links(self) -> list[Any]:
        """Return every interface."""
        return self._dump(ifinfmsg, RTM_GETLINK)

    def addresses(self) -> list[Any]:
        """Return the IPv4 addresses of every interface."""
        return self._dump(ifaddrmsg, RTM_GETADDR)

    def routes(self) -> list[Any]:
        """Return the IPv4 routes of every table."""
        return self._dump(rtmsg, RTM_GETROUTE)

    def output(self, address: str) -> int:
        """Return the index of the interface that a packet to `address` would leave by now."""
        message = rtmsg()
        message["family"], message["dst_len"] = socket.AF_INET, 32
        message["attrs"] = [("RTA_DST", address)]
        self._send(message, RTM_GETROUTE, NLM_F_ACK)
        (answer,) = [_decode(kind, data) for kind, data in self._answers()]
        return int(answer.get_attr("RTA_OIF"))

    def rules(self) -> list[Any]:
        """Return the IPv4 policy rules."""
        return self._dump(fibmsg, RTM_GETRULE)

    def vlan(self, link: Any) -> tuple[int, int] | None:
        """Return the index of the interface that a VLAN, one of `links`, is on, and its number; None if it is none."""
        info = _attributes(link.get_attr("IFLA_LINKINFO") or b"")
        data = _attributes(info.get(_INFO_DATA, b""))
        if info.get(_INFO_KIND, b"").rstrip(b"\0") != _VLAN or data.get(_VLAN_PROTOCOL) != _TAG_PROTOCOL:
            return None
        if link.get_attr("IFLA_LINK_NETNSID") is not None:
            return None  # what it is on is in another network namespace, where that index means something else
        return link.get_attr("IFLA_LINK"), _SHORT.unpack(data[_VLAN_ID])[0]

    def kind(self, link: Any) -> str:
        """Return what is no card: `bridge`, `veth`; empty for an interface, one of `links`, that is one."""
        info = _attributes(link.get_attr("IFLA_LINKINFO") or b"")
        return info.get(_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace")

    def bundle(self, link: Any) -> int:
        """Return the index of the bridge or bond that an interface, one of `links`, is a port of; 0 if it is none."""
        info = _attributes(link.get_attr("IFLA_LINKINFO") or b"")
        return 0 if info.get(_INFO_PORT, b"").rstrip(b"\0") in (b"", _VRF) else int(link.get_attr("IFLA_MASTER") or 0)

    def add_vlan(self, name: str, index: int, number: int) -> None:
        """Make a VLAN on an interface, up at once or not at all; `%d` in the name stands for the first number free."""
        data = _attribute(_VLAN_ID, _SHORT.pack(number) + bytes(2))
        info = _attribute(_INFO_KIND, _VLAN) + _attribute(_INFO_DATA, data)
        message = ifinfmsg()
        message["flags"] = message["change"] = _UP
        message["attrs"] = [("IFLA_IFNAME", name), ("IFLA_LINK", index), ("IFLA_LINKINFO", info)]
        self.change(message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)

    def delete_link(self, index: int) -> None:
        """Remove an interface."""
        message = ifinfmsg()
        message["index"] = index
        self.change(message, RTM_DELLINK)

    def forwards(self, link: Any) -> bool:
        """Return whether packets that come by an interface, one of `links`, are forwarded."""
        families = link.get_attr("IFLA_AF_SPEC") or b""
        values = _attributes(_attributes(families).get(socket.AF_INET, b"")).get(_INET_CONF, b"")
        return bool(values) and bool(_NUMBER.unpack_from(values, (_FORWARDING - 1) * _NUMBER.size)[0])

    def forwards_everywhere(self) -> bool:
        """Return whether this machine is a router altogether (`net.ipv4.ip_forward`)."""
        message = _netconfmsg()
        message["family"] = socket.AF_INET
        message["attrs"] = [("NETCONFA_IFINDEX", -1)]
        self._send(message, _GET_CONFIGURATION, NLM_F_ACK)
        answers = [_decode(kind, data).get_attr("NETCONFA_FORWARDING") for kind, data in self._answers()]
        return any(answers)

    def set_forwarding(self, index: int, on: bool) -> None:
        """Have packets that come by an interface forwarded, or no longer."""
        value = _attribute(_FORWARDING, _NUMBER.pack(on))
        message = ifinfmsg()
        message["index"] = index
        message["attrs"] = [("IFLA_AF_SPEC", _attribute(socket.AF_INET, _attribute(_INET_CONF, value)))]
        self.change(message, RTM_SETLINK)

    def change(self, message: Any, kind: int, flags: int = 0) -> None:
        """Have the kernel do what `message` says."""
        self._send(message, kind, NLM_F_ACK | flags)
        for _ in self._answers():
            pass  # until the kernel has said yes

    def hear(self, kind: int) -> list[Any]:
        """Return when something happened: those messages about it that are of this kind."""
        return [_decode(kind, data) for heard, _, data in self._receive() if heard == kind]

    def _dump(self, question: Callable[[], Any], kind: int) -> list[Any]:
        for _ in range(_DUMPS):
            message = question()
            if kind != RTM_GETLINK:
                message["family"] = socket.AF_INET
            self._is_torn = False
            self._send(message, kind, NLM_F_DUMP)
            # Decoded when all of it is here: the kernel refuses the next question before the end of this answer.
            answers = list(self._answers())
            if not self._is_torn:
                break
        # Of what never stood still for so long the last look is taken: the next event brings another.
        return [_decode(answered, data) for answered, data in answers]

    def _send(self, message: Any, kind: int, flags: int) -> None:
        self._sequence += 1
        message["header"] = {
            "type": kind,
            "flags": NLM_F_REQUEST | flags,
            "sequence_number": self._sequence,
            "pid": 0,
        }
        message.encode()
        self._socket.send(bytes(message.data))

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        while True:
            for kind, sequence, data in self._receive():
                if sequence != self._sequence:
                    continue  # of a question that an exception ended
                self._is_torn = self._is_torn or bool(_HEADER.unpack_from(data)[2] & _INTERRUPTED)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (code,) = _ERROR.unpack_from(data, _HEADER.size)
                    if code:
                        raise NetlinkError(-code, os.strerror(-code))
                    return
                yield kind, data

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(_ROOM)
        while data:
            length, kind, _, sequence, _ = _HEADER.unpack_from(data)
            yield kind, sequence, data[:length]
            data = data[(length + 3) & ~3 :]


def _decode(kind: int, data: bytes) -> Any:
    message = _CLASSES[kind](data)
    message.decode()
    return message


def _attribute(kind: int, data: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        found[kind] = data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
    return found
