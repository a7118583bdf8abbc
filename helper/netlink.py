"""rtnetlink: asks the kernel, changes it, and hears what changed; the messages are pyroute2's.

The only module that imports pyroute2, and only what encodes and decodes messages: its sockets differ between the
versions that Debian 12 and 13 and PyPI have, and take long to load (`lean.py`). What the messages mean is for others.
"""

import os
import socket
import struct
from collections.abc import Iterator
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
_ERROR: Final = struct.Struct("=i")
_ROOM: Final = 65536  # the kernel fills at most 32 KiB at once


class _Statistics(nla):  # type: ignore[misc]
    """The beginning of `struct rtnl_link_stats64`."""

    fields = (("rx_packets", "Q"), ("tx_packets", "Q"), ("rx_bytes", "Q"), ("tx_bytes", "Q"))


class ifinfmsg(nlmsg):  # type: ignore[misc]
    """An interface, as far as we want to know it: pyroute2's own has a module for each kind of interface."""

    fields = (("family", "B"), ("__pad", "x"), ("ifi_type", "H"), ("index", "i"), ("flags", "I"), ("change", "I"))
    nla_map = ((3, "IFLA_IFNAME", "asciiz"), (23, "IFLA_STATS64", "statistics"), (33, "IFLA_CARRIER", "uint8"))
    statistics = _Statistics


_CLASSES: Final = {
    RTM_NEWLINK: ifinfmsg,
    RTM_DELLINK: ifinfmsg,
    RTM_NEWADDR: ifaddrmsg,
    RTM_NEWROUTE: rtmsg,
    RTM_NEWRULE: fibmsg,
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def links(self) -> list[Any]:
        """Return every interface."""
        return self._dump(ifinfmsg(), RTM_GETLINK)

    def addresses(self) -> list[Any]:
        """Return the IPv4 addresses of every interface."""
        return self._dump(ifaddrmsg(), RTM_GETADDR)

    def routes(self) -> list[Any]:
        """Return the IPv4 routes of every table."""
        return self._dump(rtmsg(), RTM_GETROUTE)

    def rules(self) -> list[Any]:
        """Return the IPv4 policy rules."""
        return self._dump(fibmsg(), RTM_GETRULE)

    def change(self, message: Any, kind: int, flags: int = 0) -> None:
        """Have the kernel do what `message` says."""
        self._send(message, kind, NLM_F_ACK | flags)
        for _ in self._answers():
            pass  # until the kernel has said yes

    def hear(self, kind: int) -> list[Any]:
        """Return when something happened: those messages about it that are of this kind."""
        return [_decode(kind, data) for heard, _, data in self._receive() if heard == kind]

    def _dump(self, message: Any, kind: int) -> list[Any]:
        if kind != RTM_GETLINK:
            message["family"] = socket.AF_INET
        self._send(message, kind, NLM_F_DUMP)
        # Decoded when all of it is here: the kernel refuses the next question before the end of this answer.
        return [_decode(answered, data) for answered, data in list(self._answers())]

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
