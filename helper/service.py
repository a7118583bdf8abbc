"""The objects on the bus: org.cablecar1.Manager and org.cablecar1.Link.

Each method names its polkit action; `bus.py` has checked the arguments' form and asked polkit before a body here
runs. After that the link is looked up again, because it may have been removed while somebody typed a password.
No `from __future__ import annotations` here: dbus-next reads the annotations as signatures.
"""

import time
from typing import Any, Final, TypedDict

from cablecar.helper import __version__, names
from cablecar.helper.bus import Bus, caller
from cablecar.helper.errors import InvalidArgument, NoSuchLink
from cablecar.helper.link import Status
from cablecar.helper.links import Links, ManagedLink, plain_details
from cablecar.helper.names import LINK_INTERFACE, MANAGER_INTERFACE, MANAGER_PATH, link_path
from cablecar.helper.reasons import Reason
from cablecar.helper.settings import check_name, check_password, parse
from cablecar.helper.store import AUTOMATIC
from cablecar.helper.wire import (
    OPEN,
    DBusBool,
    DBusDict,
    DBusDrop,
    DBusLinks,
    DBusPath,
    DBusPaths,
    DBusStr,
    DBusStrings,
    DBusTry,
    DBusUInt32,
    DBusUInt64,
    ServiceInterface,
    Variant,
    dbus_method,
    dbus_readonly,
    dbus_signal,
    plain,
)

MAX_LOG_LINES: Final = 1000
_DETAIL_TYPES: Final = {"dns": "as", "received": "t", "sent": "t"}  # the others are strings


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
    parse(plain(settings))


def _check_lines(lines: int) -> None:
    if not 1 <= lines <= MAX_LOG_LINES:
        raise InvalidArgument(f"The number of lines must be from 1 to {MAX_LOG_LINES}.")


class Manager(ServiceInterface):
    """/org/cablecar1: the links that there are."""

    def __init__(self, bus: Bus, links: Links) -> None:
        super().__init__(MANAGER_INTERFACE)
        self._bus = bus
        self._links = links
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
        link = await self._links.add(name, parse(plain(settings)))
        self._export(link)
        self.link_added(link_path(name))
        self._links_changed()
        return link_path(name)

    @dbus_method("RemoveLink", names.ACTION_MODIFY, check_name)
    async def remove_link(self, name: DBusStr) -> None:
        """Disconnect and forget a link."""
        await self._links.remove(name)
        shown = self._objects.pop(name)
        self._bus.unexport(link_path(name), shown)
        self.link_removed(link_path(name))
        self._links_changed()

    @dbus_signal("LinkAdded")
    def link_added(self, path: str) -> DBusPath:
        """A link exists from now on."""
        return path

    @dbus_signal("LinkRemoved")
    def link_removed(self, path: str) -> DBusPath:
        """The link is gone."""
        return path

    @dbus_readonly("Version")
    def version(self) -> DBusStr:
        """The helper's version."""
        return __version__

    @dbus_readonly("Links")
    def links(self) -> DBusPaths:
        """The paths of all links."""
        return [link_path(name) for name in sorted(self._links.by_name)]

    def _links_changed(self) -> None:
        self.emit_properties_changed({"Links": [link_path(name) for name in sorted(self._links.by_name)]})


class LinkObject(ServiceInterface):
    """/org/cablecar1/link/NAME: one link; the `links.Audience` of it."""

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
        if self._present().wanted_by not in (None, AUTOMATIC, caller().uid):
            assert self._bus.guard is not None
            await self._bus.guard.demand(caller(), names.ACTION_DISCONNECT_OTHER, {"link": self._link.name})
        await self._present().disconnect()

    @dbus_method("Reconnect", names.ACTION_CONNECT)
    async def reconnect(self) -> None:
        """Hang up and dial at once."""
        await self._present().reconnect(caller().uid)

    @dbus_method("SetPassword", names.ACTION_MODIFY, check_password)
    def set_password(self, password: DBusStr) -> None:
        """Store the password."""
        self._links.set_password(self._present().name, check_password(password))

    @dbus_method("Details", names.ACTION_VIEW_DETAILS)
    async def details(self) -> DBusDict:
        """Return what is not for everybody."""
        known = plain_details(await self._present().details())
        return {
            key: Variant(_DETAIL_TYPES.get(key, "s"), list(value) if isinstance(value, tuple) else value)
            for key, value in known.items()
        }

    @dbus_method("Log", names.ACTION_VIEW_DETAILS, _check_lines)
    def log(self, lines: DBusUInt32) -> DBusStrings:
        """Return the last lines of the call."""
        return self._present().dialer.log_lines(lines)

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

    # links.Audience.

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
    return round((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + moment) * 1_000_000)
