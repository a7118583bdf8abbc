"""What the call of a killed pppd leaves: scripts that have not gone down, and a session that its server still counts.

A pppd that ends by itself has seen to both (`dbus/ip-hook`, and its plugin for PPPoE). This module finds what was left
and has `cablecar-killed@.service` see to it; it runs nothing itself. At the machine's shutdown nobody does: there is no
helper by then, and nothing that outlives it.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cablecar.helper import pppd
from cablecar.helper.bus import CallError
from cablecar.helper.calllog import last_words
from cablecar.helper.names import LINK_NAME
from cablecar.helper.units import Units

log = logging.getLogger(__name__)

UNIT: Final = "cablecar-killed@{}.service"
LIMIT: Final = 12.0  # seconds; the unit's own limit is 10
MEANWHILE: Final = "hook: the ip-down scripts run while the call ends"  # says dbus/ip-hook


def found(link: str, folder: Path, lines: Sequence[str]) -> bool:
    """Return whether scripts of a call that is over have yet to go down, and nobody is about to have them.

    Args:
        link: The link's name.
        folder: `/run/cablecar`.
        lines: What the call has said.
    """
    try:
        return bool((folder / f"{link}.hooks").stat().st_size) and MEANWHILE not in pppd.last_call(lines)
    except OSError:
        return False


def names(folder: Path) -> Iterator[str]:
    """Yield the links, with settings or without, of which scripts have yet to go down."""
    for path in folder.glob("*.hooks"):
        if LINK_NAME.fullmatch(path.stem) and found(path.stem, folder, last_words(path.stem, folder)):
            yield path.stem


async def clear(link: str, units: Units) -> None:
    """Have it seen to; return when the server has been told, while scripts may still run."""
    log.info("link %s: what its call has left undone is seen to", link)
    try:
        async with asyncio.timeout(LIMIT):
            await units.run_once(UNIT.format(link))
    except (CallError, TimeoutError) as error:
        log.error("link %s: what its call has left undone stays so: %s", link, error or "systemd takes too long")
