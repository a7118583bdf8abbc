"""One link: its settings, its state machine (`link.py`) and its calls (`call.py`), and who is told of it.

The machine's port to the world. It knows no D-Bus: `service.py` shows what happens here on the bus, through `Audience`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any, Final, NamedTuple, Protocol

from cablecar.helper import names, reasons
from cablecar.helper.calls import Calls
from cablecar.helper.errors import CablecarError, CallFailed, Failed, StorageFailed
from cablecar.helper.history import Record
from cablecar.helper.link import Link, Status
from cablecar.helper.machinery import Machinery
from cablecar.helper.reasons import Reason
from cablecar.helper.redial import Redial
from cablecar.helper.settings import Settings
from cablecar.helper.sleep import clock
from cablecar.helper.store import Rest

log = logging.getLogger(__name__)

AFTER_CHAP: Final = ("chap", "mschapv2")
_SETTLED: Final = (names.DOWN, names.WAITING, names.UP, names.FAILED)


class Audience(Protocol):
    """Who is shown what becomes of one link."""

    def status_changed(self, status: Status) -> None:
        """The link has a new status."""

    def connected(self, interface: str) -> None:
        """The link is up."""

    def disconnected(self, reason: Reason, will_reconnect: bool) -> None:
        """The link is up no longer."""

    def reconnecting(self, attempt: int, seconds: float) -> None:
        """The link will be dialed by itself."""

    def settings_changed(self) -> None:
        """The link has new settings."""


class Details(NamedTuple):
    """What only those who may view details are told. Byte counts are of the present call."""

    server: str
    user: str
    interface: str = ""
    local_address: str = ""
    remote_address: str = ""
    dns: tuple[str, ...] = ()
    received: int = 0
    sent: int = 0


class ManagedLink:
    """One link: its settings, its state machine and its call; the machine's port to the world."""

    def __init__(self, name: str, settings: Settings, machinery: Machinery) -> None:
        self.name = name
        self.audience: Audience | None = None
        self.removed = False
        self._unstored_wish: int | None = None  # while the disk has no room for it
        self._unstored_strict = False  # likewise, that strict mode holds
        self._holding = asyncio.Lock()  # one wish at a time waits for the firewall's answer
        self._machinery = machinery
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._redial = Redial(random.uniform)
        self.machine = Link(self, clock, self._redial, settings.reconnect)
        self.calls = Calls(name, settings, machinery, self.machine)

    @property
    def settings(self) -> Settings:
        """The settings that the next call is dialed with."""
        return self.calls.settings

    def use(self, settings: Settings, redial_minimum: float) -> None:
        """Take new settings for the next call."""
        changed = settings != self.calls.settings
        self.calls.settings = settings
        self.machine.reconnects = settings.reconnect
        self._redial.minimum = redial_minimum
        if changed and self.audience is not None:
            self.audience.settings_changed()

    @property
    def status(self) -> Status:
        """The present status."""
        return self.machine.status

    @property
    def wanted_by(self) -> int | None:
        """The user who asked for the link, None when nobody wants it up."""
        stored = self._machinery.store.wish(self.name)
        return self._unstored_wish if stored is None else stored

    async def connect(self, uid: int) -> None:
        """Bring the link up for user `uid` and return when it is.

        Raises:
            CallFailed: It is not up; the reason says why. Where time may cure it, the link keeps trying.
        """
        await self._wish_and_settle(uid, self.machine.connect)

    async def reconnect(self, uid: int) -> None:
        """Hang up and dial at once, or cut the waiting short; else as `connect`."""
        await self._wish_and_settle(uid, self.machine.reconnect)

    async def disconnect(self) -> None:
        """Take the link down and return when nothing of the call is left."""
        self._unstored_wish = None
        self._unstored_strict = False
        try:
            # First, so that a helper that is killed meanwhile does not come back with a link that nobody wants.
            self._machinery.store.save_wish(self.name, None)
            self._machinery.store.save_strict(self.name, None)
        finally:
            self.machine.disconnect()
            await self._settle()
            if self.wanted_by is None:
                await self._machinery.routes.set_strict(self.name, None)

    async def details(self) -> Details:
        """Return what only those who may view details are told."""
        if self.status.state != names.UP:
            return Details(self.settings.server, self.settings.user)
        facts = self.calls.facts
        return Details(
            self.settings.server,
            self.settings.user,
            facts.interface,
            facts.local,
            facts.remote,
            tuple(facts.dns),
            *await self._machinery.routes.counters(facts.interface),
        )

    async def hold_strict(self) -> None:
        """Have strict mode hold from the first wish for the link until a person ends it, if the settings ask for it.

        Raises:
            Failed: The firewall cannot be made so: the link must not be dialed.
        """
        await self._machinery.routes.set_strict(self.name, self._local_networks())

    def expect_strict(self) -> None:
        """Likewise, by the next `reconcile`."""
        self._machinery.routes.expect_strict(self.name, self._local_networks())

    def _local_networks(self) -> tuple[IPv4Network, ...] | None:
        """Return what strict mode leaves reachable, None when it does not hold; also have that outlive the helper."""
        store, strict = self._machinery.store, self.settings.strict
        local = strict if isinstance(strict, tuple) else ()
        holds = strict is not False and (self.wanted_by is not None or self._is_strict)
        self._unstored_strict = False
        try:
            store.save_strict(self.name, local if holds else None)
        except StorageFailed as error:
            self._unstored_strict = holds
            log.error("link %s: a restart of the helper will not know of its strict mode: %s", self.name, error)
        return tuple(map(IPv4Network, local)) if holds else None

    @property
    def _is_strict(self) -> bool:
        return self._unstored_strict or self.name in self._machinery.store.strict()

    async def _wish_and_settle(self, uid: int, ask: Callable[[], None]) -> None:
        was_wanted, was_strict = self.wanted_by is not None, self._is_strict
        if not was_wanted:  # else it stays the wish of who had it first
            self.remember_wish(uid)
        if self.settings.strict is not False:
            async with self._holding:
                if self.wanted_by is not None:
                    try:
                        await self.hold_strict()
                    except Failed:
                        if not was_wanted:
                            await self._take_back(was_strict)
                        raise
            if self.wanted_by is None:  # somebody has disconnected or removed it meanwhile, or the firewall refused
                raise CallFailed(reasons.REQUESTED)
        ask()
        status = await self._settle()
        if status.state != names.UP:
            raise CallFailed(status.reason)

    async def _take_back(self, was_strict: bool) -> None:
        # A call that runs by hand goes on: it may be somebody else's to end.
        self._forget_wish()
        if not was_strict:
            self._unstored_strict = False
            try:
                self._machinery.store.save_strict(self.name, None)
            finally:
                await self._machinery.routes.set_strict(self.name, None)

    def remember_wish(self, uid: int) -> None:
        """Have the wish of user `uid` outlive the helper, if the disk has room for it."""
        try:
            self._machinery.store.save_wish(self.name, uid)
        except StorageFailed as error:
            self._unstored_wish = uid
            log.error("link %s is dialed, but that it is wanted will not outlive the helper: %s", self.name, error)

    async def _settle(self) -> Status:
        while self.status.state not in _SETTLED:
            changed = self._changed
            await changed.wait()
        return self.status

    async def at_rest(self) -> None:
        """Return when nothing of a call of ours is left; one that somebody else dialed by hand goes on."""
        while not self.machine.is_at_rest and not self.machine.is_by_hand:
            await self._changed.wait()

    # The machine's port (link.Port).

    def dial(self) -> None:
        """Begin a call."""
        self.calls.dial()

    def hang_up(self) -> None:
        """End the call."""
        self.calls.hang_up()

    def wake_after(self, seconds: float | None) -> None:
        """Wake the machine once, later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.machine.wake)

    def publish(self, status: Status) -> None:
        """Tell those who wait and those who watch."""
        log.debug("link %s: %s %s %s", self.name, status.state, status.phase, status.reason.id)
        if status.state in (names.DOWN, names.FAILED):
            self._forget_wish()
        if status.state in (names.DOWN, names.FAILED, names.WAITING):
            self._leave(status)
        self._changed.set()
        self._changed = asyncio.Event()
        if self.audience is not None:
            self.audience.status_changed(status)

    def _forget_wish(self) -> None:
        # Also when it failed: a start of the helper must not repeat what only a person can mend.
        self._unstored_wish = None
        try:
            self._machinery.store.save_wish(self.name, None)
        except StorageFailed as error:
            log.error("link %s: %s", self.name, error)

    def _leave(self, status: Status) -> None:
        rest = Rest(status.state, status.reason.id, status.since, status.attempt, status.next_retry)
        try:
            self._machinery.store.leave(self.name, rest)
        except StorageFailed as error:
            log.error("link %s: a restart of the helper will not know how it is: %s", self.name, error)

    def resume(self) -> None:
        """Go on where the last helper of this boot was, unless a kill has left its word behind its deeds."""
        rest = self._machinery.store.rest(self.name)
        if rest is not None and (rest.state == names.WAITING) == (self.wanted_by is not None):
            reason = reasons.BY_ID.get(rest.reason, reasons.NONE)
            self.machine.resume(Status(rest.state, "", reason, "", rest.since, rest.attempt, rest.next_retry))

    def record(self, reason: Reason) -> None:
        """Add the call that is over to the history, if it was dialed at all."""
        call = self.calls.call
        if call is not None and call.took_place:
            dialed, connected, now = (
                round(moment * 1_000_000) for moment in (call.dialed.dialed_at, call.dialed.connected_at, time.time())
            )
            record = Record(dialed, connected, now, reason.id, call.facts.received, call.facts.sent)
            self._machinery.history.add(self.name, record)

    def connected(self, interface: str) -> None:
        """Tell the audience, and hold the provider to what it has shown it can do."""
        self._pin_authentication()
        if self.audience is not None:
            self.audience.connected(interface)

    def _pin_authentication(self) -> None:
        # PAP hands the password to whoever asks: once the provider has shown CHAP, only an impostor asks for less.
        if self.settings.authentication or self.calls.facts.method != "chap":
            return
        store = self._machinery.store
        try:
            # What the file says now, edits among it that nobody has reloaded yet.
            present = store.load_link(self.name, self._machinery.providers)
            if not present.authentication:
                store.save_link(self.name, replace(present, authentication=AFTER_CHAP))
        except (CablecarError, OSError) as error:
            log.error("link %s: that it uses CHAP could not be stored: %s", self.name, error)
        self.use(replace(self.settings, authentication=AFTER_CHAP), self._redial.minimum)
        log.info("link %s: the provider uses CHAP; it may not ask for PAP from now on", self.name)

    def disconnected(self, reason: Reason, will_reconnect: bool) -> None:
        """Tell the audience."""
        if self.audience is not None:
            self.audience.disconnected(reason, will_reconnect)

    def reconnecting(self, attempt: int, seconds: float) -> None:
        """Tell the audience."""
        if self.audience is not None:
            self.audience.reconnecting(attempt, seconds)


def plain_details(details: Details) -> dict[str, Any]:
    """Return the details that are known, by name, as plain values."""
    known = {key: value for key, value in details._asdict().items() if value not in ("", (), 0)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}
