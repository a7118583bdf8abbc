"""Work that many events ask for: done once at a time, and once more for all that came meanwhile. It knows no event."""

import asyncio
from collections.abc import Callable, Coroutine


class Repeated:
    """One kind of work.

    Args:
        work: Does it once.
        spawn: Has a coroutine run as a task of its own, and tells of what it raises.
    """

    def __init__(
        self,
        work: Callable[[], Coroutine[None, None, None]],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        self._work = work
        self._spawn = spawn
        self._is_wanted = False
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Have it done soon."""
        self._is_wanted = True
        if self._task is None or self._task.done():
            self._task = self._spawn(self._run())

    async def _run(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                await self._work()
            except Exception:
                if self._is_wanted:  # what was asked for meanwhile is not lost with it
                    self._task = self._spawn(self._run())
                raise
