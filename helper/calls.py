"""The calls of a link, one after the other: there is at most one at a time, dialed by us or taken over."""

from cablecar.helper.byhand import HandMade
from cablecar.helper.call import Call, Listener
from cablecar.helper.calllog import last_words
from cablecar.helper.machinery import Machinery
from cablecar.helper.pppd import Exit, Facts
from cablecar.helper.settings import Settings
from cablecar.helper.store import Dialed


class Calls:
    """The calls of one link."""

    def __init__(self, link: str, settings: Settings, machinery: Machinery, listener: Listener) -> None:
        self.settings = settings  # of the next call
        self._link = link
        self._machinery = machinery
        self._listener = listener
        self._call: Call | None = None  # the present or the last one
        self._dials = 0

    async def follow(self) -> None:
        """Follow the link's unit from now on; call once, before anything else."""
        await self._machinery.units.follow(self._link, self._on_end)

    async def unfollow(self) -> None:
        """Undo `follow`."""
        await self._machinery.units.unfollow(self._link)

    def dial(self) -> None:
        """Begin a call."""
        self._new_call(Dialed(self.settings)).dial(self._dials)
        self._dials += 1

    def adopt(self, by_hand: HandMade | None = None, *, ends: bool = False) -> None:
        """Take over a call that is running already: its unit's, which may be about to end, or one dialed by hand."""
        known = self._machinery.store.dialed(self._link) if by_hand is None else None
        self._new_call(known or Dialed(self.settings), by_hand).adopt(ends)

    async def adopted(self) -> None:
        """Return when an adopted call that is up has been told so."""
        if self._call is not None:
            await self._call.routed()

    async def look(self) -> None:
        """Take the kernel's word for what no log tells of the present call (`Call.look`)."""
        if self._call is not None:
            await self._call.look()

    def hang_up(self) -> None:
        """End the call, however far it is."""
        if self._call is not None:
            self._call.hang_up()

    def interface_gone(self, name: str) -> None:
        """An interface was removed; tell if it was the call's."""
        if self._call is not None:
            self._call.interface_gone(name)

    @property
    def way_is_new(self) -> bool:
        """Whether what the last call dialed is now reached by another way than it was."""
        return self._call is not None and self._call.way_is_new

    @property
    def facts(self) -> Facts:
        """What the present or last call has told of itself."""
        return self._call.facts if self._call is not None else Facts()

    @property
    def call(self) -> Call | None:
        """The present or the last call."""
        return self._call

    def log_lines(self, count: int) -> list[str]:
        """Return the last `count` lines of the present or last call."""
        # Of a call before this helper's time there is only the file.
        lines = self._call.log.lines if self._call is not None else last_words(self._link, self._machinery.run)
        return list(lines)[-count:]

    def _new_call(self, dialed: Dialed, by_hand: HandMade | None = None) -> Call:
        self._call = Call(self._link, dialed, self._machinery, self._listener, by_hand)
        return self._call

    def _on_end(self, ended: Exit) -> None:
        if self._call is not None:
            self._call.unit_ended(ended)
