"""The objects on the bus: org.cablecar1.Manager and org.cablecar1.Link.

Each method names its polkit action; `bus.py` has checked the arguments' form and asked polkit before a body here
runs. After that the link is looked up again, because it may have been removed while somebody typed a password.
No `from __future__ import annotations` here: dbus-next reads the annotations as signatures.
"""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any, Final, TypedDict

from cablecar.helper import __version__, names
from cablecar.helper.bus import Bus, caller
from cablecar.helper.calllog import MAX_LINES
from cablecar.helper.errors import InvalidArgument, InvalidSetting, NoSuchLink
from cablecar.helper.history import KEPT
from cablecar.helper.link import Status
from cablecar.helper.links import Changes, Links
from cablecar.helper.machinery import Machinery
from cablecar.helper.managed import ManagedLink, plain_details
from cablecar.helper.names import LINK_INTERFACE, MANAGER_INTERFACE, MANAGER_PATH, link_path
from cablecar.helper.reasons import Reason
from cablecar.helper.settings import (
    SECRET,
    check,
    check_from_bus,
    check_name,
    check_password,
    faults,
    full_dict,
    parse,
)
from cablecar.helper.sleep import clock
from cablecar.helper.store import AUTOMATIC
from cablecar.helper.wire import (
    OPEN,
    DBusBool,
    DBusCheck,
    DBusDict,
    DBusDicts,
    DBusDrop,
    DBusLinks,
    DBusPath,
    DBusPaths,
    DBusStr,
    DBusStrings,
    DBusTexts,
    DBusTry,
    DBusUInt32,
    DBusUInt64,
    ServiceInterface,
    dbus_method,
    dbus_readonly,
    dbus_signal,
    plain,
    variants,
)

MAX_PEER_NAME: Final = 255  # a file name
_COUNTERS: Final = {"received": "t", "sent": "t"}
_RECORD: Final = {"dialed": "t", "connected": "t", "ended": "t", **_COUNTERS}


class _Shown(TypedDict):
    """The properties that follow from a link's status, by their names on the bus."""

    State: str
    Phase: str
    Reason: str
    Interface: str
    Since: int
    Attempt: int
    NextRetry: int


def _check_add(name: str, settings: dict[str, Any]) -> None:
    check_name(name)
    values = plain(settings)
    check_from_bus(values)
    if "provider" not in values:  # else the preset may complete them, and that is a file
        parse(values)


def _check_update(settings: dict[str, Any]) -> None:
    check_from_bus(plain(settings), changes=True)


def _check_tunnel_secret(secret: str) -> None:
    check(SECRET, secret)


def _check_peer(peer: str) -> None:
    # What is asked for is shown in polkit's dialog.
    if not 1 <= len(peer) <= MAX_PEER_NAME or not peer.isprintable():
        raise InvalidArgument(
            f"The name must have 1 to {MAX_PEER_NAME} printable characters. ListPeers tells what there is."
        )


def _at_most(limit: int) -> Callable[[int], None]:
    def check(count: int) -> None:
        if not 1 <= count <= limit:
            raise InvalidArgument(f"The number must be from 1 to {limit}.")

    return check


class Manager(ServiceInterface):
    """/org/cablecar1: the links that there are."""

    def __init__(self, bus: Bus, links: Links, machinery: Machinery) -> None:
        super().__init__(MANAGER_INTERFACE)
        self._bus = bus
        self._links = links
        self._machinery = machinery
        self._objects: dict[str, LinkObject] = {}

    def export(self) -> None:
        """Put the manager and all links on the bus; call once."""
        for link in self._links.by_name.values():
            self._export(link)
        self._bus.export(MANAGER_PATH, self)

    def _export(self, link: ManagedLink) -> None:
        self._objects[link.name] = LinkObject(self._bus, link, self._links)
        self._bus.export(link_path(link.name), self._objects[link.name])

    @dbus_method("ListLinks", OPEN)
    def list_links(self) -> DBusLinks:
        """Return name, path and state of every link."""
        return [[name, link_path(name), link.status.state] for name, link in sorted(self._links.by_name.items())]

    @dbus_method("AddLink", names.ACTION_MODIFY, _check_add)
    async def add_link(self, name: DBusStr, settings: DBusDict) -> DBusPath:
        """Make a link."""
        return self._show(await self._links.add(name, plain(settings)))

    @dbus_method("RemoveLink", names.ACTION_MODIFY, check_name)
    async def remove_link(self, name: DBusStr) -> None:
        """Disconnect and forget a link."""
        await self._links.remove(name)
        self._hide(name)

    @dbus_method("ListPeers", names.ACTION_VIEW_DETAILS)
    async def list_peers(self) -> DBusStrings:
        """Return what could be imported."""
        return await asyncio.to_thread(self._machinery.foreign().ids)

    @dbus_method("ImportPeer", names.ACTION_MODIFY, _check_peer)
    async def import_peer(self, peer: DBusStr) -> DBusPath:
        """Make a link of what somebody set up by hand."""
        return self._show(await self._links.import_peer(peer))

    @dbus_method("Providers", OPEN)
    def providers(self) -> DBusDicts:
        """Return the presets."""
        return [variants(provider.as_dict()) for provider in self._links.providers().values()]

    @dbus_method("CheckSettings", OPEN)
    def check_settings(self, settings: DBusDict) -> DBusTexts:
        """Say what is wrong with settings that nobody has stored yet."""
        return faults(plain(settings), self._links.providers())

    @dbus_method("Diagnose", names.ACTION_VIEW_DETAILS, check_name)
    async def diagnose(self, link: DBusStr) -> DBusDicts:
        """Run the checks of a link."""
        from cablecar.helper.diagnose import Diagnosis  # here, because the start must be short

        rows: DBusDicts = []
        with self._links.diagnosing(link) as found:
            async for name, finding in Diagnosis(found, self._links, self._machinery).run():
                rows.append(variants({"id": name, **dataclasses.asdict(finding)}))
                self._bus.tell(caller(), (MANAGER_PATH, MANAGER_INTERFACE), "Checked", "sa{sv}", [link, rows[-1]])
        return rows

    @dbus_method("Discover", names.ACTION_VIEW_DETAILS)
    async def discover(self) -> DBusDicts:
        """Say who answers by PPPoE."""
        return [variants(found) for found in await self._machinery.lookup.concentrators()]

    @dbus_method("RestoreNetwork", names.ACTION_SYSTEM)
    async def restore_network(self) -> None:
        """Take everything down."""
        await self._links.restore_network()

    @dbus_method("Reload", names.ACTION_MODIFY)
    async def reload(self) -> None:
        """Read the files again."""
        changes = Changes()
        try:
            await self._links.reload(changes)
        finally:
            for name in changes.removed:
                self._hide(name)
            for name in changes.added:
                self._show(self._links.get(name))
        if changes.broken:
            raise InvalidSetting(" ".join([*changes.broken, "All other files were read."]))

    @dbus_signal("LinkAdded")
    def link_added(self, path: str) -> DBusPath:
        """A link exists from now on."""
        return path

    @dbus_signal("LinkRemoved")
    def link_removed(self, path: str) -> DBusPath:
        """The link is gone."""
        return path

    @dbus_signal("Checked")
    def checked(self, link: str, finding: dict[str, Any]) -> DBusCheck:
        """A check of a diagnosis is done; never sent by this, which would tell everybody, but to the caller alone."""
        return [link, finding]

    @dbus_readonly("Version")
    def version(self) -> DBusStr:
        """The helper's version."""
        return __version__

    @dbus_readonly("Links")
    def links(self) -> DBusPaths:
        """The paths of all links."""
        return [link_path(name) for name in sorted(self._links.by_name)]

    def _show(self, link: ManagedLink) -> str:
        self._export(link)
        self.link_added(link_path(link.name))
        self._links_changed()
        return link_path(link.name)

    def _hide(self, name: str) -> None:
        if (shown := self._objects.pop(name, None)) is not None:
            self._bus.unexport(link_path(name), shown)
        self.link_removed(link_path(name))
        self._links_changed()

    def _links_changed(self) -> None:
        self.emit_properties_changed({"Links": self.links})


class LinkObject(ServiceInterface):
    """/org/cablecar1/link/NAME: one link; the `managed.Audience` of it."""

    def __init__(self, bus: Bus, link: ManagedLink, links: Links) -> None:
        super().__init__(LINK_INTERFACE)
        self._bus = bus
        self._link = link
        self._links = links
        self._shown = _shown(link.status)
        link.audience = self

    # Methods.

    @dbus_method("Connect", names.ACTION_CONNECT)
    async def connect(self) -> None:
        """Bring the link up."""
        await self._present().connect(caller().uid)

    @dbus_method("Disconnect", names.ACTION_CONNECT)
    async def disconnect(self) -> None:
        """Take the link down."""
        link = self._present()
        if link.machine.was_begun_by_hand or link.wanted_by not in (None, AUTOMATIC, caller().uid):
            await self._demand_to_end_anothers()
        await self._present().disconnect()

    @dbus_method("Reconnect", names.ACTION_CONNECT)
    async def reconnect(self) -> None:
        """Hang up and dial at once."""
        if self._present().machine.was_begun_by_hand:
            await self._demand_to_end_anothers()
        await self._present().reconnect(caller().uid)

    async def _demand_to_end_anothers(self) -> None:
        assert self._bus.guard is not None
        await self._bus.guard.demand(caller(), names.ACTION_DISCONNECT_OTHER, {"link": self._link.name})

    @dbus_method("SetPassword", names.ACTION_MODIFY, check_password)
    def set_password(self, password: DBusStr) -> None:
        """Store the password."""
        self._links.set_password(self._present().name, check_password(password))

    @dbus_method("SetTunnelSecret", names.ACTION_MODIFY, _check_tunnel_secret)
    async def set_tunnel_secret(self, secret: DBusStr) -> None:
        """Store the secret of the tunnel itself."""
        await self._links.update(self._present().name, {SECRET: secret})

    @dbus_method("Details", names.ACTION_VIEW_DETAILS)
    async def details(self) -> DBusDict:
        """Return what is not for everybody."""
        return variants(plain_details(await self._present().details()), _COUNTERS)

    @dbus_method("Settings", names.ACTION_VIEW_DETAILS)
    def settings(self) -> DBusDict:
        """Return the settings of the next call."""
        return variants(full_dict(self._present().settings))

    @dbus_method("Update", names.ACTION_MODIFY, _check_update)
    async def update(self, settings: DBusDict) -> None:
        """Change some settings."""
        await self._links.update(self._present().name, plain(settings))

    @dbus_method("History", names.ACTION_VIEW_DETAILS, _at_most(KEPT))
    def history(self, entries: DBusUInt32) -> DBusDicts:
        """Return past calls."""
        records = self._links.history(self._present().name, entries)
        return [variants(record._asdict(), _RECORD) for record in records]

    @dbus_method("Log", names.ACTION_VIEW_DETAILS, _at_most(MAX_LINES))
    def log(self, lines: DBusUInt32) -> DBusStrings:
        """Return the last lines of the call."""
        return self._present().calls.log_lines(lines)

    def _present(self) -> ManagedLink:
        if self._link.removed:
            raise NoSuchLink("The link has been removed meanwhile.")
        return self._link

    # Signals.

    @dbus_signal("Connected")
    def _connected(self, interface: str) -> DBusStr:
        return interface

    @dbus_signal("Disconnected")
    def _disconnected(self, reason: str, message: str, will_reconnect: bool) -> DBusDrop:
        return [reason, message, will_reconnect]

    @dbus_signal("Reconnecting")
    def _reconnecting(self, attempt: int, delay_ms: int) -> DBusTry:
        return [attempt, delay_ms]

    # managed.Audience.

    def status_changed(self, status: Status) -> None:
        """Announce the properties that changed."""
        now = _shown(status)
        changed = dict(now.items() - self._shown.items())
        self._shown = now
        if changed:
            self.emit_properties_changed(changed)

    def connected(self, interface: str) -> None:
        """Send the signal."""
        self._connected(interface)

    def disconnected(self, reason: Reason, will_reconnect: bool) -> None:
        """Send the signal."""
        self._disconnected(reason.id, reason.sentence, will_reconnect)

    def reconnecting(self, attempt: int, seconds: float) -> None:
        """Send the signal."""
        self._reconnecting(attempt, round(seconds * 1000))

    def settings_changed(self) -> None:
        """Announce the properties that follow from the settings."""
        self.emit_properties_changed({"Title": self.title, "Protocol": self.protocol, "Autoconnect": self.autoconnect})

    # Properties: what every local user may know.

    @dbus_readonly("Name")
    def name_property(self) -> DBusStr:
        """The link's name."""
        return self._link.name

    @dbus_readonly("Title")
    def title(self) -> DBusStr:
        """Text for people."""
        return self._link.settings.title or self._link.name

    @dbus_readonly("Protocol")
    def protocol(self) -> DBusStr:
        """The protocol."""
        return self._link.settings.protocol

    @dbus_readonly("State")
    def state(self) -> DBusStr:
        """The state."""
        return self._shown["State"]

    @dbus_readonly("Phase")
    def phase(self) -> DBusStr:
        """The phase of dialing."""
        return self._shown["Phase"]

    @dbus_readonly("Reason")
    def reason(self) -> DBusStr:
        """Why the link is not up."""
        return self._shown["Reason"]

    @dbus_readonly("Autoconnect")
    def autoconnect(self) -> DBusBool:
        """Whether the link is dialed at boot."""
        return self._link.settings.autoconnect

    @dbus_readonly("Interface")
    def interface(self) -> DBusStr:
        """The ppp interface."""
        return self._shown["Interface"]

    @dbus_readonly("Since")
    def since(self) -> DBusUInt64:
        """When the state began."""
        return self._shown["Since"]

    @dbus_readonly("Attempt")
    def attempt(self) -> DBusUInt32:
        """Tries so far."""
        return self._shown["Attempt"]

    @dbus_readonly("NextRetry")
    def next_retry(self) -> DBusUInt64:
        """When the next try begins."""
        return self._shown["NextRetry"]


def _shown(status: Status) -> _Shown:
    return _Shown(
        State=status.state,
        Phase=status.phase,
        Reason=status.reason.id,
        Interface=status.interface,
        Since=_wall_clock(status.since),
        Attempt=status.attempt,
        NextRetry=_wall_clock(status.next_retry),
    )


def _wall_clock(moment: float) -> int:
    """Return a moment of the machine's clock as microseconds since the epoch; 0 stays 0."""
    if not moment:
        return 0
    return round((time.time() - clock() + moment) * 1_000_000)
