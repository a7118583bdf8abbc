"""Netlink events: tells that interfaces, addresses, routes or rules changed, and which interface vanished.

One thread blocks in the kernel for them; nothing here polls. What the change means is for others to find out.
"""

import asyncio
import contextlib
import errno
import logging
import threading
from collections.abc import Callable

from cablecar.helper.netlink import CHANGES, RTM_DELLINK, Netlink

log = logging.getLogger(__name__)


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
        with Netlink(CHANGES) as netlink:
            self._bound.set()
            while not loop.is_closed():
                try:
                    gone = netlink.hear(RTM_DELLINK)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    # Events were lost in a burst. Whoever is told of a change dumps the whole state anyway.
                    log.warning("network events were lost: %s", error)
                    gone = []
                for message in gone:
                    loop.call_soon_threadsafe(self._on_gone, message.get_attr("IFLA_IFNAME"))
                loop.call_soon_threadsafe(self._on_change)
