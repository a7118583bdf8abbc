"""Has a call stand still while its cable has no carrier: a plug that is out for three seconds then costs no call.

pppd would go on counting echo requests that nobody can answer, and give up just when the plug is in again; the server
has noticed nothing by then. The processes are stopped by a signal, which is undone by whoever ends the unit
(systemd.kill(5): SIGCONT follows SIGTERM) and by the next helper's start. How long is too long, this module says; what
that means for the link, `call.py` does.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from cablecar.helper.bus import CallError
from cablecar.helper.routes import Routes
from cablecar.helper.sleep import clock
from cablecar.helper.units import Units

log = logging.getLogger(__name__)

LIMIT: Final = 4.5  # seconds; a path that is lost is told within 6, whatever it was lost by
LOOK_EVERY: Final = 0.1  # seconds; it ends with the limit


async def for_carrier(link: str, cable: int, units: Units, routes: Routes, is_over: Callable[[], bool]) -> bool:
    """Have the link's call stand still until its cable has a carrier; return whether it has one in time.

    Args:
        link: The link's name.
        cable: The index of the interface that the call goes by.
        units: Where the call runs.
        routes: Know the interfaces.
        is_over: Whether the call needs no cable any more.
    """
    begin = clock()
    log.info("link %s: the cable has no carrier; the call stands still", link)
    try:
        await units.pause(link)
        while (lacks := await routes.lacks_carrier(cable)) and not is_over() and clock() - begin < LIMIT:
            await asyncio.sleep(LOOK_EVERY)
    finally:
        await go_on(link, units)
    if not lacks:
        log.info("link %s: the call goes on; it has stood still for %.1f s", link, clock() - begin)
    return not lacks


async def go_on(link: str, units: Units) -> None:
    """Let a call go on that may stand still; harmless where it does not."""
    try:
        await units.resume(link)
    except CallError as error:
        log.info("link %s: its call may have ended meanwhile: %s", link, error)
