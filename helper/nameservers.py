"""The DNS servers of links, as far as the helper sees to them from inside of its cage.

What a link wants is left for `resolver.py`, which runs where /etc/resolv.conf can be written, and told to
systemd-resolved (`resolved.py`). Here it is noticed that somebody else has written the file meanwhile, or that a kill
or a power cut has left it, and the unit is started that repairs it.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cablecar.helper import dns, inotify, safefile
from cablecar.helper.calllog import FOLDER
from cablecar.helper.resolved import Resolved
from cablecar.helper.resolver import FILE, INTERFACES, RECORDS, is_ours, read
from cablecar.helper.units import Units

UNIT: Final = "cablecar-resolver.service"
LIMIT: Final = 35.0  # seconds; the unit's own limit is 30
_WRITTEN: Final = inotify.MODIFIED | inotify.REPLACED


class NameServers:
    """What the links want.

    Args:
        units: systemd.
        resolved: systemd-resolved.
        folder: `/run/cablecar`.
        file: `/etc/resolv.conf`.
        interfaces: Has an entry for each network interface.
    """

    def __init__(
        self,
        units: Units,
        resolved: Resolved,
        folder: Path = FOLDER,
        file: Path = FILE,
        interfaces: Path = INTERFACES,
    ) -> None:
        self._units = units
        self._resolved = resolved
        self._folder = folder
        self._file = file
        self._interfaces = interfaces
        self._descriptor = -1
        self._turn = asyncio.Lock()  # a second repair would end the first one's process

    def follow(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` in the event loop when the file becomes ours, and when others then write it; call once."""
        self._descriptor = inotify.follow(on_change)
        (self._folder / RECORDS).mkdir(mode=0o700, exist_ok=True)
        inotify.watch(self._descriptor, self._folder / RECORDS, inotify.MODIFIED)

    def prepare(self, link: str, choice: str | Sequence[str], of_cable: Iterable[IPv4Address]) -> None:
        """Leave word what is to be done when the link comes up; `of_cable` are the servers of the cable's lease.

        Raises:
            StorageFailed: It could not be written.
        """
        path, text = self._folder / f"{link}.dns", f"{dns.wish(choice, of_cable)}\n"
        if read(path) != text:
            safefile.replace(path, text.encode())

    async def up(
        self, link: str, interface: str, choice: str | Sequence[str], told: Iterable[str], own: Iterable[IPv4Address]
    ) -> None:
        """The link is up on `interface`, and the peer has told these servers; `own` are this machine's addresses."""
        await self._resolved.want(link, interface, dns.in_tunnel(choice, told, own))

    def down(self, link: str) -> None:
        """The link's interface is gone."""
        self._resolved.release(link)

    async def repair(self) -> bool:
        """Have the file made what it should be; return whether it was not."""
        async with self._turn:
            return await self._repair()

    async def _repair(self) -> bool:
        records = [read(path).splitlines()[:1] for path in (self._folder / RECORDS).glob("*")]
        alive = [name for name in records if name and (self._interfaces / name[0]).exists()]
        ours = is_ours(read(self._file))
        wrong = len(alive) < len(records) or bool(alive) != ours
        if wrong:
            async with asyncio.timeout(LIMIT):
                await self._units.run_once(UNIT)
        if alive and self._descriptor >= 0:
            inotify.watch(self._descriptor, Path(os.path.realpath(self._file)), _WRITTEN)
        return wrong
