"""The DNS servers of links in systemd-resolved, each on its ppp interface.

systemd-resolved forgets them with the interface, so there is nothing to put back. When it is started anew it is told
again. On machines without it nothing happens here, and `resolver.py` has the file.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Any, Final, NamedTuple

from cablecar.helper.bus import Bus, CallError

log = logging.getLogger(__name__)

RESOLVED: Final = ("org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager")
LIMIT: Final = 2.0  # seconds that it may take for an answer; a call's coming up waits for it
AGAIN: Final = 2.0  # seconds before what it did not take is told again, and twice as long each time
LONGEST: Final = 300.0  # seconds of such a pause
_NO_SUCH_LINK: Final = "org.freedesktop.resolve1.NoSuchLink"
_TRIES: Final = 10  # it hears of an interface from the kernel, as we do, and may do so later
_PAUSE: Final = 0.1  # seconds between them


class _Wanted(NamedTuple):
    interface: str
    servers: tuple[IPv4Address, ...]


class Resolved:
    """What systemd-resolved is to know of our links.

    Args:
        bus: Where it is.
        index_of: Returns an interface's number.
    """

    def __init__(self, bus: Bus, index_of: Callable[[str], int] = socket.if_nametoindex) -> None:
        self._bus = bus
        self._index_of = index_of
        self._wanted: dict[str, _Wanted] = {}

    async def begin(self) -> None:
        """Follow its restarts; call once."""
        await self._bus.follow_owner(RESOLVED[0], self._on_start)

    async def want(self, link: str, interface: str, servers: Sequence[IPv4Address]) -> None:
        """Have every name looked up with these servers through `interface`; without any leave it alone."""
        wanted = _Wanted(interface, tuple(servers))
        if servers and self._wanted.get(link) != wanted:
            self._wanted[link] = wanted
            await self._tell(link, wanted, AGAIN)

    def release(self, link: str) -> None:
        """Forget the link, whose interface is gone."""
        self._wanted.pop(link, None)

    def _on_start(self) -> None:
        for link, wanted in self._wanted.items():
            self._bus.spawn(self._tell(link, wanted, AGAIN))

    async def _tell(self, link: str, wanted: _Wanted, pause: float) -> None:
        try:
            if await self._bus.has_owner(RESOLVED[0]):  # it is not to be started by us
                index = self._index_of(wanted.interface)
                addresses = [[int(socket.AF_INET), server.packed] for server in wanted.servers]
                await self._set("SetLinkDNS", "ia(iay)", index, addresses)
                # All names, before the servers of other interfaces.
                await self._set("SetLinkDomains", "ia(sb)", index, [[".", True]])
                await self._set("SetLinkDefaultRoute", "ib", index, True)
        except (CallError, OSError) as error:
            if self._wanted.get(link) == wanted:  # else it is gone again
                log.warning("link %s: systemd-resolved does not take its DNS servers: %s", link, error)
                self._bus.spawn(self._tell_again(link, wanted, pause))

    async def _tell_again(self, link: str, wanted: _Wanted, pause: float) -> None:
        await asyncio.sleep(pause)
        if self._wanted.get(link) == wanted:
            await self._tell(link, wanted, min(LONGEST, 2 * pause))

    async def _set(self, member: str, signature: str, *values: Any) -> None:
        for left in reversed(range(_TRIES)):
            try:
                await self._bus.ask(RESOLVED, member, signature, list(values), LIMIT)
                return
            except CallError as error:
                if error.name != _NO_SUCH_LINK or not left:
                    raise
            await asyncio.sleep(_PAUSE)
