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
        if self.is_idle:
            self._task = self._spawn(self._run())

    @property
    def is_idle(self) -> bool:
        """Whether it is neither done nor about to be."""
        return self._task is None or self._task.done()

    async def _run(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await self._work()
