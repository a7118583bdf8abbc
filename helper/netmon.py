"""Netlink events: tells that interfaces, addresses, routes or rules changed, and which interface vanished.

One thread blocks in the kernel for them; nothing here polls. What the change means is for others to find out.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE, RTMGRP_LINK

log = logging.getLogger(__name__)

_GROUPS: Final = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE


class NetworkMonitor:
    """Follows the kernel's network events.

    Args:
        on_change: Called in the event loop after anything changed.
        on_gone: Called in the event loop with the name of an interface that was removed.
    """

    def __init__(self, on_change: Callable[[], None], on_gone: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._on_gone = on_gone
        self._bound = threading.Event()

    async def begin(self) -> None:
        """Start following; every event after this call's return is told."""
        loop = asyncio.get_running_loop()
        # A daemon thread: it blocks in recv for ever, and the process's end is its end.
        threading.Thread(target=self._follow, args=(loop,), name="netmon", daemon=True).start()
        await loop.run_in_executor(None, self._bound.wait)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        with IPRoute() as netlink:
            netlink.bind(_GROUPS)
            self._bound.set()
            while True:
                try:
                    messages = list(netlink.get())
                except OSError as error:
                    # ENOBUFS: events were lost in a burst. Whoever is told dumps the whole state anyway.
                    log.warning("network events were lost: %s", error)
                    messages = []
                gone = [
                    message.get_attr("IFLA_IFNAME") for message in messages if message.get("event") == "RTM_DELLINK"
                ]
                try:
                    for name in gone:
                        loop.call_soon_threadsafe(self._on_gone, name)
                    loop.call_soon_threadsafe(self._on_change)
                except RuntimeError:  # the loop is closed: the helper is ending
                    return
