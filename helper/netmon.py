"""Netlink events: tells that interfaces, addresses, routes or rules changed, and which interface vanished.

One thread blocks in the kernel for them; nothing here polls. What the change means is for others to find out.
"""

import asyncio
import contextlib
import errno
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
        on_failure: Called in the event loop when no further event will be told.
    """

    def __init__(
        self, on_change: Callable[[], None], on_gone: Callable[[str], None], on_failure: Callable[[], None]
    ) -> None:
        self._on_change = on_change
        self._on_gone = on_gone
        self._on_failure = on_failure
        self._bound = threading.Event()

    async def begin(self) -> None:
        """Start following; every event after this call's return is told."""
        loop = asyncio.get_running_loop()
        # A daemon thread: it blocks in recv for ever, and the process's end is its end.
        threading.Thread(target=self._follow, args=(loop,), name="netmon", daemon=True).start()
        await loop.run_in_executor(None, self._bound.wait)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._listen(loop)
        except Exception:
            log.exception("network events cannot be followed any more")
            with contextlib.suppress(RuntimeError):  # the loop is closed: the helper is ending
                loop.call_soon_threadsafe(self._on_failure)
        finally:
            self._bound.set()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        with IPRoute() as netlink:
            netlink.bind(_GROUPS)
            self._bound.set()
            while not loop.is_closed():
                try:
                    messages = list(netlink.get())
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    # Events were lost in a burst. Whoever is told of a change dumps the whole state anyway.
                    log.warning("network events were lost: %s", error)
                    messages = []
                for message in messages:
                    if message.get("event") == "RTM_DELLINK":
                        loop.call_soon_threadsafe(self._on_gone, message.get_attr("IFLA_IFNAME"))
                loop.call_soon_threadsafe(self._on_change)
