"""All links of this machine (each a `managed.py`): made, changed, removed, taken over from the helper before.

Also what concerns all of them: the network's events, and the presets. Knows no D-Bus: `service.py` shows it there.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Final

from cablecar.helper import byhand, hold, names, pppfiles, remains, safefile
from cablecar.helper.bus import CallError
from cablecar.helper.call import stopped
from cablecar.helper.calllog import last_words
from cablecar.helper.errors import (
    CablecarError,
    Failed,
    InvalidSetting,
    LimitExceeded,
    LinkExists,
    NoSuchLink,
    StorageFailed,
)
from cablecar.helper.history import Record
from cablecar.helper.machinery import Machinery
from cablecar.helper.managed import ManagedLink
from cablecar.helper.providers import Provider
from cablecar.helper.repeated import Repeated
from cablecar.helper.settings import Settings, check, check_password, fill, merge, parse
from cablecar.helper.sleep import clock
from cablecar.helper.store import AUTOMATIC, Dialed

log = logging.getLogger(__name__)

MAX_LINKS: Final = 64
_TOO_MANY: Final = f"There are {MAX_LINKS} links already. Remove one first."
REPAIR_PAUSE: Final = 0.05  # seconds; a burst of network events is answered once
REPAIRS: Final = 5  # in REPAIR_WINDOW seconds; then somebody is fighting us
REPAIR_WINDOW: Final = 10.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload has changed: names of links, and a sentence for each file that is not in order."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Links:
    """The set of links."""

    def __init__(self, machinery: Machinery) -> None:
        self.by_name: dict[str, ManagedLink] = {}
        self._machinery = machinery
        self._providers: Mapping[str, Provider] | None = None  # read when they are needed
        self._begun = False  # before that, a repair would sweep what running calls need
        self._repair: asyncio.TimerHandle | None = None
        self._repairing = Repeated(self._repair_routes, machinery.spawn)  # a dial queues behind each
        self._repairs: list[float] = []
        self._changing = asyncio.Lock()  # one change of what links there are, and of their settings, at a time
        self._diagnosed: set[str] = set()
        self._surroundings: object = None  # the cables, at the last look

    async def begin(self, at_boot: bool) -> None:
        """Load the links, take over calls that run, stop calls without settings, dial what is wanted; call once.

        `at_boot` is for the first start since the machine's: links that are to be dialed then are. This is all the
        recovery there is after a crash: routes of links that are not up are swept by `reconcile`.
        """
        self._machinery.store.sweep()
        safefile.sweep(self._machinery.peers)
        running = await self._machinery.units.running()
        for name in running:
            self._machinery.spawn(hold.go_on(name, self._machinery.units))
        await self._clear_remains(but_for=running)
        for name, settings in self._machinery.store.load_links(self.providers).links.items():
            link = await self._make(name, settings)
            if name not in running:
                link.resume()
        ending = await self._machinery.units.ending() if running else []
        for name in running:
            await self._take_over(name, ends=name in ending)
        self._expect_strict()
        await self._look_at_calls()  # before the sweep: they need what a helper before us has made
        self._begun = True
        await self._machinery.routes.reconcile()
        self._machinery.spawn(self._repair_name_servers())
        self._surroundings = self._machinery.routes.surroundings
        for name in running:
            await self._settle_running(name)
        self._forget_the_lost(but_for=running)
        await self._machinery.openings.close_all(but_for=running)
        for link in list(self.by_name.values()):
            await self._connect_if_wanted(link, at_boot)

    async def _clear_remains(self, but_for: Collection[str]) -> None:
        """See to what killed calls have left, before anything is dialed or swept."""
        machinery = self._machinery
        left = [name for name in remains.names(machinery.run) if name not in but_for]
        over = [name for name in left if not byhand.is_there(name, machinery.pids)]
        await asyncio.gather(*(remains.clear(name, machinery.units) for name in over))

    def _expect_strict(self) -> None:
        """Have strict mode go on as it was: also for a link whose settings cannot be read now."""
        for name, local in self._machinery.store.strict().items():
            if name not in self.by_name and self._machinery.store.has_link(name):
                self._machinery.routes.expect_strict(name, tuple(map(IPv4Network, local)))
        for link in self.by_name.values():
            link.expect_strict()

    async def _connect_if_wanted(self, link: ManagedLink, at_boot: bool) -> None:
        wanted = link.wanted_by is not None
        if at_boot and link.settings.autoconnect and not wanted:
            wanted = True
            link.remember_wish(AUTOMATIC)
        try:
            await link.hold_strict()
        except Failed as error:
            log.error("link %s is not dialed: %s", link.name, error)
            return
        if wanted and link.status.state == names.WAITING:
            link.machine.cable_changed()  # it may have come while there was no helper
        elif wanted:
            link.machine.connect()  # which for a call that runs means that it is to be kept up

    async def _take_over(self, name: str, ends: bool) -> None:
        dialed = self._machinery.store.dialed(name)
        if name not in self.by_name and self._machinery.store.has_link(name):
            # Its file is broken, which the log has told: what it was dialed with still holds for the call that runs.
            if dialed is None:
                return
            await self._make(name, dialed.settings)
        if (link := self.by_name.get(name)) is not None:
            link.machine.adopt(by_hand=dialed is not None and dialed.by_hand)
            link.calls.adopt(ends=ends)

    async def _settle_running(self, name: str) -> None:
        if (link := self.by_name.get(name)) is not None:
            await link.calls.adopted()  # so that nobody ever sees such a link as anything but up
            if link.wanted_by is None and not link.machine.is_by_hand:
                link.machine.disconnect()
        elif self._machinery.store.has_link(name):
            log.error("a call of link %s runs, but its settings cannot be read: it is left alone", name)
        else:
            log.warning("a call of link %s runs, but there are no settings for it: stopped", name)
            self._machinery.spawn(self._end_the_lost(name))

    async def _end_the_lost(self, name: str) -> None:
        """End a call that has no settings any more, as one of a link ends; what it needs for that is forgotten last."""
        machinery = self._machinery
        async with self._changing:  # nobody makes a link of this name meanwhile
            try:
                if not await stopped(name, machinery.units):
                    log.error("link %s: its call does not end", name)
                    return
            except CallError as error:
                log.error("link %s: its unit could not be stopped: %s", name, error)
                return
            if remains.found(name, machinery.run, last_words(name, machinery.run)):
                await remains.clear(name, machinery.units)
            await self._machinery.openings.close_or_tell(name)
            self._forget_if_lost(name)

    def _forget_the_lost(self, but_for: Collection[str] = ()) -> None:
        """Forget links whose settings were removed when nobody looked: a password above all is not to be inherited."""
        known = {*pppfiles.names(self._machinery.peers), *self._machinery.store.remembered()}
        for name in sorted(known - set(but_for)):
            self._forget_if_lost(name)

    def _forget_if_lost(self, name: str) -> None:
        if name in self.by_name or self._machinery.store.has_link(name):
            return
        log.warning("link %s has no settings any more: its peer file and password are removed", name)
        try:
            self._forget(name)
        except StorageFailed as error:
            log.error("link %s: %s", name, error)

    def _forget(self, name: str) -> None:
        pppfiles.remove(name, self._machinery.peers)  # the password is in it
        self._machinery.history.forget(name)
        self._machinery.store.forget(name)

    async def _look_at_calls(self) -> None:
        for link in list(self.by_name.values()):
            await link.calls.look()
            if not link.machine.is_at_rest or (found := byhand.find(link.name, self._machinery.pids)) is None:
                continue
            in_unit = await self._machinery.units.is_running(link.name)  # `systemctl start`: its log is the unit's
            if in_unit or not link.machine.is_at_rest:
                found.close()
            if link.machine.is_at_rest:
                if in_unit:
                    self._leave_word(link)
                link.machine.adopt(by_hand=True)
                link.calls.adopt(None if in_unit else found)

    def _leave_word(self, link: ManagedLink) -> None:
        """Have the next helper know a call that runs in our unit for somebody else's, which is not to be ended."""
        try:
            self._machinery.store.leave(link.name, Dialed(link.settings, by_hand=True))
        except StorageFailed as error:
            log.error("link %s: a restart of the helper will end its call: %s", link.name, error)

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
            await self._machinery.lookup.forget(name)
            self._forget(name)
        except BaseException:
            link.removed = False
            raise
        await link.calls.unfollow()
        self.by_name.pop(name, None)

    async def import_peer(self, peer: str) -> ManagedLink:
        """Make a link of what somebody set up by hand; what could not be taken over stands in its settings file.

        Raises:
            NoSuchPeer, PeerNotUsable, InvalidSetting, LimitExceeded, StorageFailed: Nothing was made.
        """
        async with self._changing:
            found = await asyncio.to_thread(self._machinery.foreign().read, peer)
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
            presets = self.providers() if {"provider", "protocol"} & values.keys() else {}
            merged = merge(present, values, presets)
            settings = parse(fill(merged, presets) if "provider" in values else merged)
            self._machinery.store.save_link(name, settings)
            self._use(link, settings)
            self._renew_peer_file(link)
            await link.hold_strict()

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
                    self._renew_peer_file(link)
                    await link.hold_strict()
                elif len(self.by_name) >= MAX_LINKS:
                    changes.broken.append(f"{name}: {_TOO_MANY}")
                else:
                    await self._connect_if_wanted(await self._make(name, settings), at_boot=False)
                    changes.added.append(name)

    async def restore_network(self) -> None:
        """Take every link down and leave nothing of ours in the network.

        Raises:
            Failed, StorageFailed: Something could not be taken back; all else was.
        """
        async with contextlib.AsyncExitStack() as whatever_fails:  # from the last to the first
            whatever_fails.push_async_callback(self._repair_name_servers)
            whatever_fails.push_async_callback(self._clear_routes)
            whatever_fails.push_async_callback(self._machinery.openings.close_all)
            whatever_fails.push_async_callback(self._end_calls_without_settings)
            whatever_fails.callback(self._forget_strict)
            ends = (link.disconnect() for link in self.by_name.values())
            for outcome in await asyncio.gather(*ends, return_exceptions=True):  # when all have ended
                if outcome is not None:
                    raise outcome

    def _forget_strict(self) -> None:
        for name in set(self._machinery.store.strict()) - self._connected_since:
            self._machinery.store.save_strict(name, None)

    async def _clear_routes(self) -> None:
        await self._machinery.routes.clear(but=self._connected_since)

    @property
    def _connected_since(self) -> set[str]:
        """The links that somebody has connected while `restore_network` took the others down."""
        return {name for name, link in self.by_name.items() if link.status.state not in (names.DOWN, names.FAILED)}

    async def _end_calls_without_settings(self) -> None:
        for name in await self._machinery.units.running():
            await self._machinery.units.stop(name)

    def set_password(self, name: str, password: bytes) -> None:
        """Store a link's password; the next dial uses it.

        Raises:
            StorageFailed: It could not be written; the old one is intact.
        """
        self._machinery.store.save_password(name, password)
        self._renew_peer_file(self.get(name))

    def _renew_peer_file(self, link: ManagedLink) -> None:
        """Have `pon` dial as we would; remove the file where that is for the next dial to find out."""
        machinery = self._machinery
        if link.status.state == names.DIALING or not pppfiles.is_ours(link.name, machinery.peers):
            return  # a call that is being prepared writes it, and is about to be dialed with it
        try:
            password = machinery.store.password(link.name)
            renewed = password is not None and pppfiles.renew(
                link.name, link.settings, password, machinery.pppd.version(), machinery.peers
            )
            if not renewed and link.machine.is_at_rest:  # else a restarted helper still has to know what the call needs
                pppfiles.remove(link.name, machinery.peers)
        except (CablecarError, OSError) as error:
            log.error("link %s: `pon` still dials as before: %s", link.name, error)

    def network_changed(self) -> None:
        """Something about interfaces, addresses, routes or rules changed: repair ours, soon and once."""
        if self._begun and self._repair is None:
            self._repair = asyncio.get_running_loop().call_later(REPAIR_PAUSE, self._begin_repair)

    async def fall_asleep(self) -> None:
        """The machine is about to sleep: hang up every call of ours; return when that is done."""
        for link in self.by_name.values():
            link.machine.falls_asleep()
        for link in list(self.by_name.values()):
            await link.at_rest()

    def wake_up(self) -> None:
        """The machine is awake again: dial what was hung up before."""
        for link in list(self.by_name.values()):
            link.machine.is_awake()

    def slept_unawares(self) -> None:
        """The machine has slept, and nobody told before: dial anew what was up."""
        for link in list(self.by_name.values()):
            link.machine.has_slept()

    def interface_gone(self, name: str) -> None:
        """An interface was removed."""
        for link in self.by_name.values():
            link.calls.interface_gone(name)

    def _begin_repair(self) -> None:
        self._repair = None
        now = clock()
        self._repairs = [moment for moment in self._repairs if moment > now - REPAIR_WINDOW]
        if len(self._repairs) >= REPAIRS:
            log.warning("somebody keeps changing Cablecar's routes; repairing them again in %.0f s", REPAIR_WINDOW)
            self._repair = asyncio.get_running_loop().call_later(REPAIR_WINDOW, self._begin_repair)
            self._machinery.spawn(self._look_at_calls())  # a call may fall by what they do
            return
        self._repairing.ask()

    async def _repair_routes(self) -> None:
        lost = await self._machinery.routes.reconcile()
        self._machinery.spawn(self._repair_rest(lost))  # the routes do not wait for a firewall that takes its time

    async def _repair_rest(self, lost: bool) -> None:
        if lost:
            self._repairs.append(clock())
            log.info("routes or rules of ours were missing and have been put back")
        if await self._machinery.openings.renew():
            self._repairs.append(clock())
            log.info("openings in the firewall were missing and have been put back")
        self._machinery.spawn(self._repair_name_servers())
        await self._look_at_calls()
        # Our own deeds call us too: a link that its own fall woke would dial without end.
        if (seen := self._machinery.routes.surroundings) != self._surroundings:
            self._surroundings = seen
            for link in self.by_name.values():
                link.machine.cable_changed(link.calls.way_is_new)

    async def _repair_name_servers(self) -> None:
        try:
            if await self._machinery.name_servers.repair():
                self._repairs.append(clock())
        except (CallError, OSError) as error:
            log.error("/etc/resolv.conf could not be looked after: %s", error or "systemd takes too long")

    async def _make(self, name: str, settings: Settings) -> ManagedLink:
        link = ManagedLink(name, settings, self._machinery)
        try:
            await link.calls.follow()
            self._use(link, settings)
        except BaseException:
            with contextlib.suppress(CallError):
                await link.calls.unfollow()  # what there is of it
            raise
        self.by_name[name] = link  # last: the next `reload` tries one again that could not be followed
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
