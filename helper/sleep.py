"""The machine's sleep: logind tells of it, and waits for us a little; the clocks tell of one that nobody announced.

Holds logind's delay inhibitor while nothing sleeps, so that the links can be hung up before; what hanging up and
dialing again means is the links' business. Nothing here polls.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from cablecar.helper.bus import Bus, CallError

log = logging.getLogger(__name__)

LOGIND: Final = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
HANG_UP_LIMIT: Final = 4.0  # seconds; logind itself waits 5, and then sleeps all the same
NOTICEABLE: Final = 5.0  # seconds of sleep that no call is expected to outlive


def clock() -> float:
    """Return the seconds since the machine's start; it counts on during suspend, and nobody sets it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def slept() -> float:
    """Return how many seconds the machine has slept since its start."""
    return clock() - time.clock_gettime(time.CLOCK_MONOTONIC)


class Sleep:
    """Follows logind.

    Args:
        bus: Where logind is.
        before: Makes everything ready for the sleep.
        after: Called when the machine is awake again.
        on_missed: Called by `look` after a sleep that was not told.
        seconds_slept: Tells how many so far.
    """

    def __init__(
        self,
        bus: Bus,
        before: Callable[[], Awaitable[None]],
        after: Callable[[], None],
        on_missed: Callable[[], None],
        seconds_slept: Callable[[], float] = slept,
    ) -> None:
        self._bus = bus
        self._before = before
        self._after = after
        self._on_missed = on_missed
        self._seconds_slept = seconds_slept
        self._slept = seconds_slept()
        self._inhibitor = -1
        self._turn = asyncio.Lock()  # one word of logind's after the other

    async def begin(self) -> None:
        """Follow logind from now on; without one only the clocks tell."""
        await self._bus.follow(*LOGIND, "PrepareForSleep", self._on_signal)
        await self._bus.follow_owner(LOGIND[0], self._on_logind)
        self._bus.spawn(self._hold())  # a logind that hangs does not hold the helper's start

    def look(self) -> None:
        """See by the clocks whether the machine has slept since the last look, or since a sleep that was told."""
        if self._seconds_slept() - self._slept > NOTICEABLE:
            self._slept = self._seconds_slept()
            log.info("the machine has slept, and nobody told before")
            self._on_missed()

    def _on_signal(self, body: list[Any]) -> None:
        if body == [True]:
            self._bus.spawn(self._fall_asleep())
        elif body == [False]:
            self._slept = self._seconds_slept()
            self._after()
            self._bus.spawn(self._hold())

    def _on_logind(self) -> None:
        self._bus.spawn(self._hold())

    async def _fall_asleep(self) -> None:
        async with self._turn:
            try:
                async with asyncio.timeout(HANG_UP_LIMIT):
                    await self._before()
            except TimeoutError:
                log.warning("the machine falls asleep before every call has ended")
            finally:
                self._release()

    async def _hold(self) -> None:
        """Have logind wait for us before the next sleep, if it is there."""
        async with self._turn:
            self._release()  # of a logind that is gone it means nothing any more
            try:
                if await self._bus.has_owner(LOGIND[0]):
                    what = ["sleep", "Cablecar", "Calls are hung up", "delay"]
                    self._inhibitor = await self._bus.ask_for_descriptor(LOGIND, "Inhibit", "ssss", what)
            except CallError as error:
                log.warning("the machine will fall asleep without waiting for calls to be hung up: %s", error)

    def _release(self) -> None:
        if self._inhibitor >= 0:
            os.close(self._inhibitor)
            self._inhibitor = -1
