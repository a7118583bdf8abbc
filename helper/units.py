"""The systemd units of the calls, `cablecar-link@NAME.service` and its kin, over systemd's D-Bus interface.

PID 1 holds the processes of each call, so they outlive the helper. This module starts, stops, lists and follows the
units; what runs in them is written in the unit file and the peer file.
"""

import asyncio
import re
import signal
from collections.abc import Callable
from typing import Any, Final

from cablecar.helper.bus import Bus
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.names import LINK_NAME
from cablecar.helper.pppd import Exit
from cablecar.helper.wire import plain

SYSTEMD: Final = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
CLD_EXITED: Final = 1  # waitid(2): si_code of a process that called exit
TEMPLATES: Final = tuple(sorted({carrier.unit for carrier in BY_PROTOCOL.values()}))
_RUNNING: Final = ("active", "activating", "deactivating", "reloading")
_UNIT: Final = re.compile(rf"(?:{'|'.join(TEMPLATES)})@(.+)\.service")


def unit_name(link: str, template: str) -> str:
    """Return the unit of a link's calls by one of the `TEMPLATES`."""
    return f"{template}@{link}.service"


class Units:
    """The links' units."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._paths: dict[str, list[str]] = {}
        self._waiting: list[asyncio.Queue[str]] = []

    async def begin(self) -> None:
        """Ask systemd to send signals at all; call once."""
        await self._bus.ask(SYSTEMD, "Subscribe")

    async def running(self) -> list[str]:
        """Return the links, known to us or not, whose unit runs, starts or stops."""
        return list((await self._in(*_RUNNING)).values())

    async def ending(self) -> list[str]:
        """Return those of them whose unit stops, also by somebody else's wish."""
        return list((await self._in("deactivating")).values())

    async def _in(self, *states: str) -> dict[str, str]:
        patterns = [unit_name("*", template) for template in TEMPLATES]
        (rows,) = await self._bus.ask(SYSTEMD, "ListUnitsByPatterns", "asas", [list(states), patterns])
        matches = (_UNIT.fullmatch(row[0]) for row in rows)
        return {match[0]: match[1] for match in matches if match and LINK_NAME.fullmatch(match[1])}

    async def follow(self, link: str, on_end: Callable[[Exit], None]) -> None:
        """Call `on_end` each time a unit of the link has ended, processes and all."""
        # All templates: the call that runs may be one from before a change of the settings.
        for template in TEMPLATES:
            (path,) = await self._bus.ask(SYSTEMD, "LoadUnit", "s", [unit_name(link, template)])
            self._paths.setdefault(link, []).append(path)
            await self._follow(path, on_end)

    async def _follow(self, path: str, on_end: Callable[[Exit], None]) -> None:
        facts: dict[str, Any] = {}
        last_end = 0

        def on_change(body: list[Any]) -> None:
            nonlocal last_end
            facts.update(plain(body[1]))
            # systemd repeats "inactive" for other changes; the time at which the main process ended tells two ends
            # apart, and is 0 from a new start on. The service's properties come before the unit's state.
            end = facts.get("ExecMainExitTimestampMonotonic", 0)
            if facts.get("ActiveState") in ("inactive", "failed") and end not in (0, last_end):
                last_end = end
                on_end(_exit(facts))

        await self._bus.follow(SYSTEMD[0], path, PROPERTIES, "PropertiesChanged", on_change)

    async def unfollow(self, link: str) -> None:
        """Undo `follow`."""
        for path in self._paths.pop(link, []):
            await self._bus.unfollow(SYSTEMD[0], path, PROPERTIES, "PropertiesChanged")

    async def start(self, link: str, template: str) -> None:
        """Start the link's unit by one of the `TEMPLATES`.

        Raises:
            CallError: systemd refuses.
        """
        await self._bus.ask(SYSTEMD, "StartUnit", "ss", [unit_name(link, template), "replace"])

    async def stop(self, link: str) -> None:
        """Stop the link's units; their end is told by `follow`.

        Raises:
            CallError: systemd refuses.
        """
        for template in TEMPLATES:
            await self._bus.ask(SYSTEMD, "StopUnit", "ss", [unit_name(link, template), "replace"])

    async def is_restarting(self, link: str) -> bool:
        """Return whether somebody has the link's unit end to start it again, which a `stop` of ours prevents."""
        (jobs,) = await self._bus.ask(SYSTEMD, "ListJobs")
        ours = {unit_name(link, template) for template in TEMPLATES}
        return any(unit in ours and kind in ("restart", "start") for _, unit, kind, *_ in jobs)

    async def pause(self, link: str) -> None:
        """Have the processes of the link's call, if there are any, stand still.

        Raises:
            CallError: systemd refuses.
        """
        await self._signal(link, signal.SIGSTOP)

    async def resume(self, link: str) -> None:
        """Undo `pause`.

        Raises:
            CallError: systemd refuses.
        """
        await self._signal(link, signal.SIGCONT)

    async def _signal(self, link: str, number: int) -> None:
        for unit, owner in (await self._in(*_RUNNING)).items():
            if owner == link:
                await self._bus.ask(SYSTEMD, "KillUnit", "ssi", [unit, "all", number])

    async def run_once(self, unit: str) -> None:
        """Run a oneshot unit anew, whatever becomes of a run that is left from before, and return when it has ended.

        Raises:
            CallError: systemd refuses.
        """
        await self._job("RestartUnit", unit)

    async def give_up(self, unit: str) -> None:
        """Have a oneshot unit end, however far it is, and return when it has.

        Raises:
            CallError: systemd refuses.
        """
        await self._job("StopUnit", unit)

    async def _job(self, method: str, unit: str) -> None:
        ended: asyncio.Queue[str] = asyncio.Queue()
        self._waiting.append(ended)
        try:
            if len(self._waiting) == 1:
                await self._bus.follow(*SYSTEMD, "JobRemoved", self._job_removed)
            (job,) = await self._bus.ask(SYSTEMD, method, "ss", [unit, "replace"])
            while await ended.get() != job:
                pass
        finally:
            self._waiting.remove(ended)
            if not self._waiting:
                await self._bus.unfollow(*SYSTEMD, "JobRemoved")

    def _job_removed(self, body: list[Any]) -> None:
        for one in self._waiting:
            one.put_nowait(body[1])

    async def is_running(self, link: str) -> bool:
        """Return whether the link's unit has processes."""
        return link in await self.running()


def _exit(facts: dict[str, Any]) -> Exit:
    code, status = facts.get("ExecMainCode", 0), facts.get("ExecMainStatus", 0)
    return Exit(code=status) if code == CLD_EXITED else Exit(signal=status)
