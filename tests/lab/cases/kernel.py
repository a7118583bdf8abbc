"""Hears what the kernel changes of its addresses, routes and rules, as it does (rtnetlink(7))."""

import socket
import struct
import time
from collections.abc import Iterator
from typing import Self

ADDRESS_GONE = 21  # linux/rtnetlink.h: RTM_DELADDR
ROUTES, RULES = (24, 25), (32, 33)  # RTM_NEWROUTE, RTM_DELROUTE; RTM_NEWRULE, RTM_DELRULE
_GROUPS = 1 | 0x10 | 0x40 | 0x80  # RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE
_HEADER = struct.Struct("=IHHII")
_PROTOCOL = _HEADER.size + 5  # of a struct rtmsg, rtm_protocol
_INDEX = _HEADER.size + 4  # of a struct ifaddrmsg, ifa_index
_OURS = 201

Change = tuple[int, bytes]  # what kind of message, and its bytes


class Ear:
    """A context manager: what changes meanwhile is heard."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def changes(self, seconds: float = 0.0) -> Iterator[Change]:
        """Yield what was heard and not yielded yet, and what comes within so many seconds."""
        end = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return
            while data:
                length, kind, *_ = _HEADER.unpack_from(data)
                yield kind, data[:length]
                data = data[(length + 3) & ~3 :]

    def wait_for_loss(self, interface: str, seconds: float) -> None:
        """Return when the interface has lost an address."""
        index = socket.if_nametoindex(interface)
        for kind, data in self.changes(seconds):
            if kind == ADDRESS_GONE and struct.unpack_from("=I", data, _INDEX) == (index,):
                return
        raise AssertionError(f"{interface} has lost no address within {seconds} s")


def is_ours(change: Change) -> bool:
    """Whether it is one such as the helper makes: of a rule, or of a route of its own."""
    kind, data = change
    return kind in RULES or (kind in ROUTES and data[_PROTOCOL] == _OURS)
