"""Has a call stand still while its cable has no carrier: when that is back soon, the call goes on.

pppd would go on counting echo requests that nobody can answer, and give up just when the cable is back; the server has
noticed nothing by then. The processes are stopped by a signal. Who ends the unit meanwhile wakes pppd (systemd.kill(5):
SIGCONT follows SIGTERM to the main process), the next helper's start all of them. How long is too long, this module
says; what that means for the link, `call.py` does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from cablecar.helper.bus import CallError
from cablecar.helper.sleep import clock
from cablecar.helper.units import Units

log = logging.getLogger(__name__)

LIMIT: Final = 4.5  # seconds; a path that is lost is told within 6
# Seconds between looks, at most `LIMIT` long: events come by way of repairs, which are held back when others interfere.
LOOK_EVERY: Final = 0.1
AGAIN: Final = 1.0  # seconds until systemd is asked again to let a call go on


async def until(is_back: Callable[[], Awaitable[bool]], link: str, units: Units, is_over: Callable[[], bool]) -> bool:
    """Have the link's call stand still until `is_back`; return whether that was in time.

    Args:
        is_back: Whether the call's packets can leave again.
        link: The link's name.
        units: Where the call runs.
        is_over: Whether the call needs no cable any more.

    Raises:
        CallError: It cannot be stopped.
    """
    begin = clock()
    back = False
    log.info("link %s: the cable has no carrier; the call stands still", link)
    try:
        await units.pause(link)
        while not is_over() and not (back := await is_back()) and clock() - begin < LIMIT:
            await asyncio.sleep(LOOK_EVERY)
    finally:
        await go_on(link, units)
    if back:
        log.info("link %s: the call goes on; it has stood still for %.1f s", link, clock() - begin)
    return back


async def go_on(link: str, units: Units) -> None:
    """Let a call go on that may stand still, however long systemd takes to hear of it; harmless for any other."""
    while True:
        try:
            return await units.resume(link)
        except CallError as error:  # one that has ended meanwhile is not asked for again
            log.warning("link %s: its call may stand still: %s", link, error)
            await asyncio.sleep(AGAIN)
