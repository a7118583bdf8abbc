"""All links of this machine: made, removed, connected; each a state machine (`link.py`) with its call (`call.py`).

The rooms below know no D-Bus: `service.py` shows what happens here on the bus, through `Audience`.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from cablecar.helper import byhand, names, pppfiles, reasons, safefile
from cablecar.helper.call import Dialer, Machinery, clock
from cablecar.helper.errors import (
    CablecarError,
    CallFailed,
    InvalidSetting,
    LimitExceeded,
    LinkExists,
    NoSuchLink,
    StorageFailed,
)
from cablecar.helper.history import Record
from cablecar.helper.link import Link, Status
from cablecar.helper.providers import Provider
from cablecar.helper.reasons import Reason
from cablecar.helper.redial import Redial
from cablecar.helper.settings import Settings, check, check_password, fill, merge, parse
from cablecar.helper.store import AUTOMATIC, Rest

log = logging.getLogger(__name__)

MAX_LINKS: Final = 64
_TOO_MANY: Final = f"There are {MAX_LINKS} links already. Remove one first."
AFTER_CHAP: Final = ("chap", "mschapv2")
_SETTLED: Final = (names.DOWN, names.WAITING, names.UP, names.FAILED)
REPAIR_PAUSE: Final = 0.05  # seconds; a burst of network events is answered once
REPAIRS: Final = 5  # in REPAIR_WINDOW seconds; then somebody is fighting us
REPAIR_WINDOW: Final = 10.0


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


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload has changed: names of links, and a sentence for each file that is not in order."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Details:
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
        self._machinery = machinery
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._redial = Redial(random.uniform)
        self.machine = Link(self, clock, self._redial, settings.reconnect)
        self.dialer = Dialer(name, settings, machinery, self.machine)

    @property
    def settings(self) -> Settings:
        """The settings that the next call is dialed with."""
        return self.dialer.settings

    def use(self, settings: Settings, redial_minimum: float) -> None:
        """Take new settings for the next call."""
        changed = settings != self.dialer.settings
        self.dialer.settings = settings
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
        return self._machinery.store.wish(self.name)

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
        try:
            # First, so that a helper that is killed meanwhile does not come back with a link that nobody wants.
            self._machinery.store.save_wish(self.name, None)
        finally:
            self.machine.disconnect()
            await self._settle()

    async def details(self) -> Details:
        """Return what only those who may view details are told."""
        if self.status.state != names.UP:
            return Details(self.settings.server, self.settings.user)
        facts = self.dialer.facts
        return Details(
            self.settings.server,
            self.settings.user,
            facts.interface,
            facts.local,
            facts.remote,
            tuple(facts.dns),
            *await self._machinery.routes.counters(facts.interface),
        )

    async def _wish_and_settle(self, uid: int, ask: Callable[[], None]) -> None:
        if self.wanted_by is None:  # else it stays the wish of who had it first
            self.remember_wish(uid)
        ask()
        status = await self._settle()
        if status.state != names.UP:
            raise CallFailed(status.reason)

    def remember_wish(self, uid: int) -> None:
        """Have the wish of user `uid` outlive the helper, if the disk has room for it."""
        try:
            self._machinery.store.save_wish(self.name, uid)
        except StorageFailed as error:
            log.error("link %s is dialed, but that it is wanted will not outlive the helper: %s", self.name, error)

    async def _settle(self) -> Status:
        while self.status.state not in _SETTLED:
            changed = self._changed
            await changed.wait()
        return self.status

    # The machine's port (link.Port).

    def dial(self) -> None:
        """Begin a call."""
        self.dialer.dial()

    def hang_up(self) -> None:
        """End the call."""
        self.dialer.hang_up()

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
        call = self.dialer.call
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
        if self.settings.authentication or self.dialer.facts.method != "chap":
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


class Links:
    """The set of links."""

    def __init__(self, machinery: Machinery) -> None:
        self.by_name: dict[str, ManagedLink] = {}
        self._machinery = machinery
        self._providers: Mapping[str, Provider] | None = None  # read when they are needed
        self._begun = False  # before that, a repair would sweep what running calls need
        self._repair: asyncio.TimerHandle | None = None
        self._repairs: list[float] = []
        self._changing = asyncio.Lock()  # one change of what links there are, and of their settings, at a time
        self._diagnosed: set[str] = set()
        self._surroundings: object = None

    async def begin(self, at_boot: bool) -> None:
        """Load the links, take over calls that run, stop calls without settings, dial what is wanted; call once.

        `at_boot` is for the first start since the machine's: links that are to be dialed then are. This is all the
        recovery there is after a crash: routes of links that are not up are swept by `reconcile`.
        """
        self._machinery.store.sweep()
        safefile.sweep(self._machinery.peers)
        running = await self._machinery.units.running()
        for name, settings in self._machinery.store.load_links(self.providers).links.items():
            link = await self._make(name, settings)
            if name not in running:
                link.resume()
        for name in running:
            await self._take_over(name)
        self._begun = True
        await self._machinery.routes.reconcile()
        self._surroundings = self._machinery.routes.surroundings
        for name in running:
            await self._settle_running(name)
        self._forget_the_lost()
        await self._find_calls_of_others()
        for link in self.by_name.values():
            self._connect_if_wanted(link, at_boot)

    def _connect_if_wanted(self, link: ManagedLink, at_boot: bool) -> None:
        wanted = link.wanted_by is not None
        if at_boot and link.settings.autoconnect and not wanted:
            wanted = True
            link.remember_wish(AUTOMATIC)
        if wanted and link.status.state == names.WAITING:
            link.machine.cable_changed()  # it may have come while there was no helper
        elif wanted:
            link.machine.connect()  # which for a call that runs means that it is to be kept up

    async def _take_over(self, name: str) -> None:
        if name not in self.by_name and self._machinery.store.has_link(name):
            # Its file is broken, which the log has told: what it was dialed with still holds for the call that runs.
            if (dialed := self._machinery.store.dialed(name)) is None:
                return
            await self._make(name, dialed.settings)
        if (link := self.by_name.get(name)) is not None:
            link.machine.adopt()
            link.dialer.adopt()

    async def _settle_running(self, name: str) -> None:
        if (link := self.by_name.get(name)) is not None:
            await link.dialer.adopted()  # so that nobody ever sees such a link as anything but up
            if link.wanted_by is None:
                link.machine.disconnect()
        elif self._machinery.store.has_link(name):
            log.error("a call of link %s runs, but its settings cannot be read: it is left alone", name)
        else:
            log.warning("a call of link %s runs, but there are no settings for it: stopped", name)
            await self._machinery.units.stop(name)
            try:
                self._forget(name)
            except StorageFailed as error:
                log.error("link %s: %s", name, error)

    def _forget_the_lost(self) -> None:
        """Forget links whose settings were removed when nobody looked: a password above all is not to be inherited."""
        for name in pppfiles.names(self._machinery.peers):
            if name not in self.by_name and not self._machinery.store.has_link(name):
                log.warning("link %s has no settings any more: its peer file and password are removed", name)
                try:
                    self._forget(name)
                except StorageFailed as error:
                    log.error("link %s: %s", name, error)

    def _forget(self, name: str) -> None:
        pppfiles.remove(name, self._machinery.peers)  # the password is in it
        self._machinery.history.forget(name)
        self._machinery.store.forget(name)

    async def _find_calls_of_others(self) -> None:
        for link in list(self.by_name.values()):
            await link.dialer.look()
            if not link.machine.is_at_rest or (found := byhand.find(link.name, self._machinery.pids)) is None:
                continue
            in_unit = await self._machinery.units.is_running(link.name)  # `systemctl start`: its log is the unit's
            if in_unit or not link.machine.is_at_rest:
                found.close()
            if link.machine.is_at_rest:
                link.machine.adopt(by_hand=True)
                link.dialer.adopt(None if in_unit else found)

    def providers(self) -> Mapping[str, Provider]:
        """Return the presets."""
        if self._providers is None:
            self._providers = self._machinery.providers()
        return self._providers

    def get(self, name: str) -> ManagedLink:
        """Return the link called `name`.

        Raises:
            NoSuchLink: There is none.
        """
        if (link := self.by_name.get(name)) is None:
            raise NoSuchLink("There is no link of this name. ListLinks names those that there are.")
        return link

    async def add(self, name: str, values: Mapping[str, Any]) -> ManagedLink:
        """Make a new link of these settings and store it.

        Raises:
            InvalidSetting, LinkExists, PeerFileExists, LimitExceeded, StorageFailed: Nothing was made.
        """
        async with self._changing:
            return await self._add(name, values)

    async def _add(self, name: str, values: Mapping[str, Any], remarks: Sequence[str] = ()) -> ManagedLink:
        settings = parse(fill(values, self.providers()) if "provider" in values else values)
        if name in self.by_name:
            raise LinkExists("A link of this name exists already. Remove it first, or choose another name.")
        if self._machinery.store.has_link(name):
            raise LinkExists("There is a settings file of this name already. Call Reload to make a link of it.")
        if len(self.by_name) >= MAX_LINKS:
            raise LimitExceeded(_TOO_MANY)
        pppfiles.check_free(name, self._machinery.peers)
        self._forget(name)  # whatever a link of this name once left: its password above all is not this one's
        try:
            self._machinery.store.save_link(name, settings, remarks)
            return await self._make(name, settings)
        except BaseException:
            self.by_name.pop(name, None)
            self._forget(name)
            raise

    async def remove(self, name: str) -> None:
        """Disconnect a link and forget it.

        Raises:
            NoSuchLink: There is none.
            StorageFailed: One of its files could not be removed.
        """
        async with self._changing:
            await self._remove(name)

    async def _remove(self, name: str) -> None:
        link = self.get(name)
        link.removed = True  # from now on nobody can connect it
        try:
            await link.disconnect()
            self._forget(name)
        except BaseException:
            link.removed = False
            raise
        await link.dialer.unfollow()
        self.by_name.pop(name, None)

    async def import_peer(self, peer: str) -> ManagedLink:
        """Make a link of what somebody set up by hand; what could not be taken over stands in its settings file.

        Raises:
            NoSuchPeer, PeerNotUsable, InvalidSetting, LimitExceeded, StorageFailed: Nothing was made.
        """
        async with self._changing:
            found = await asyncio.to_thread(self._machinery.foreign.read, peer)
            password = check_password(found.password) if found.password is not None else None
            settings, refused = _usable(found.settings)
            remarks = (*found.left_out, *refused, *found.dials_too)
            link = await self._add(self._free_name(found.name), settings, remarks)
            try:
                if password is not None:
                    self.set_password(link.name, password)
            except StorageFailed:
                await self._remove(link.name)
                raise
            return link

    def _free_name(self, wish: str) -> str:
        for number in range(1, MAX_LINKS + 2):
            name = wish if number == 1 else f"{wish[:28]}_{number}"
            if name not in self.by_name and not (self._machinery.peers / name).exists():
                return name
        raise LimitExceeded(f"There are too many links or peer files called {wish}.")

    def history(self, name: str, count: int) -> list[Record]:
        """Return the last `count` calls of a link, the newest last."""
        return self._machinery.history.read(name, count)

    async def update(self, name: str, values: Mapping[str, Any]) -> None:
        """Change some settings of a link; the next dial uses them.

        What people have changed in the file meanwhile is taken in, not overwritten.

        Raises:
            NoSuchLink: There is none.
            InvalidSetting: A value is wrong, or the file as it stands is; nothing was written.
            StorageFailed: It could not be written; the old file is intact.
        """
        async with self._changing:
            link = self.get(name)
            try:
                present = self._machinery.store.load_link(name, self.providers)
            except FileNotFoundError:
                present = link.settings
            presets = self.providers() if "provider" in values else {}
            merged = merge(present, values, presets)
            settings = parse(fill(merged, presets) if "provider" in values else merged)
            self._machinery.store.save_link(name, settings)
            self._use(link, settings)

    async def reload(self, changes: Changes) -> None:
        """Read all files again: new links appear, changed ones take their new settings, removed ones are taken down.

        A link whose file is broken keeps what it has. `changes` is told of each step as it is done.
        """
        async with self._changing:
            self._providers = None
            for name in list(self.by_name):
                if not self._machinery.store.has_link(name):
                    await self._remove(name)
                    changes.removed.append(name)
            self._forget_the_lost()
            # Read after the calls of removed links have ended, which takes its time.
            loaded = self._machinery.store.load_links(self.providers)
            changes.broken.extend(loaded.broken.values())
            for name, settings in loaded.links.items():
                if (link := self.by_name.get(name)) is not None:
                    self._use(link, settings)
                elif len(self.by_name) >= MAX_LINKS:
                    changes.broken.append(f"{name}: {_TOO_MANY}")
                else:
                    self._connect_if_wanted(await self._make(name, settings), at_boot=False)
                    changes.added.append(name)

    async def restore_network(self) -> None:
        """Take every link down and leave nothing of ours in the network."""
        try:
            await asyncio.gather(*(link.disconnect() for link in self.by_name.values()))
        finally:
            await self._machinery.routes.reconcile()

    def set_password(self, name: str, password: bytes) -> None:
        """Store a link's password; the next dial uses it.

        Raises:
            StorageFailed: It could not be written; the old one is intact.
        """
        self._machinery.store.save_password(name, password)

    def network_changed(self) -> None:
        """Something about interfaces, addresses, routes or rules changed: repair ours, soon and once."""
        if self._begun and self._repair is None:
            self._repair = asyncio.get_running_loop().call_later(REPAIR_PAUSE, self._begin_repair)

    def interface_gone(self, name: str) -> None:
        """An interface was removed."""
        for link in self.by_name.values():
            link.dialer.interface_gone(name)

    def _begin_repair(self) -> None:
        self._repair = None
        now = clock()
        self._repairs = [moment for moment in self._repairs if moment > now - REPAIR_WINDOW]
        if len(self._repairs) >= REPAIRS:
            log.warning("somebody keeps changing Cablecar's routes; repairing them again in %.0f s", REPAIR_WINDOW)
            self._repair = asyncio.get_running_loop().call_later(REPAIR_WINDOW, self._begin_repair)
            return
        self._machinery.spawn(self._reconcile())

    async def _reconcile(self) -> None:
        if await self._machinery.routes.reconcile():
            self._repairs.append(clock())
            log.info("routes or rules of ours were missing and have been put back")
        await self._find_calls_of_others()
        # Our own deeds call us too: a link that its own fall woke would dial without end.
        if (seen := self._machinery.routes.surroundings) != self._surroundings:
            self._surroundings = seen
            for link in self.by_name.values():
                link.machine.cable_changed()

    async def _make(self, name: str, settings: Settings) -> ManagedLink:
        link = self.by_name[name] = ManagedLink(name, settings, self._machinery)
        await link.dialer.follow()
        self._use(link, settings)
        return link

    @contextlib.contextmanager
    def diagnosing(self, name: str) -> Iterator[ManagedLink]:
        """Give the link for one diagnosis at a time: it looks names up, and calls wait for those.

        Raises:
            NoSuchLink: There is none.
            LimitExceeded: One is running already.
        """
        link = self.get(name)
        if name in self._diagnosed:
            raise LimitExceeded("This link is being diagnosed already. Wait for that to end.")
        self._diagnosed.add(name)
        try:
            yield link
        finally:
            self._diagnosed.discard(name)

    def _use(self, link: ManagedLink, settings: Settings) -> None:
        provider = self.providers().get(settings.provider) if settings.provider else None
        link.use(settings, provider.redial_minimum if provider is not None else 0.0)


def _usable(found: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return imported settings without the optional ones that no link can have, and a sentence for each of those."""
    settings, refused = dict(found), []
    for key in found.keys() - {"protocol", "server", "user"}:
        try:
            check(key, found[key])
        except InvalidSetting as error:
            del settings[key]
            refused.append(f"Not taken over: {error}")
    return settings, refused


def plain_details(details: Details) -> dict[str, Any]:
    """Return the details that are known, by name, as plain values."""
    known = {key: value for key in Details.__slots__ if (value := getattr(details, key)) not in ("", (), 0)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}
