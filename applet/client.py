"""The applet's side of org.cablecar1: the only module that speaks to the helper.

Owns the connection to the system bus, what was last heard of each link, and every call. All calls are
asynchronous: the helper may be waiting for somebody to type a password. Nothing is decided here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, Final

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtDBus import (
    QDBusConnection,
    QDBusMessage,
    QDBusPendingCallWatcher,
    QDBusPendingReply,
    QDBusServiceWatcher,
)

from cablecar.applet import model
from cablecar.applet.log import log
from cablecar.applet.model import CallError, Finding, Helper, Link, Snapshot, Verb
from cablecar.applet.wire import arguments, encoded, slot
from cablecar.helper import names

PROPERTIES: Final = "org.freedesktop.DBus.Properties"
BAD_REPLY: Final = CallError(names.ERROR_PREFIX + "BadReply", "The Cablecar helper answered something else.")

# A call that a person clicked may wait for a password to be typed and for a slow server; a call for reading may
# have to start the helper on a slow machine.
CLICKED_MS: Final = 5 * 60 * 1000
READ_MS: Final = 60 * 1000

_BUS_GONE: Final = ("/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected")
_CONNECTION_NAME: Final = "org.cablecar1.applet"

Done = Callable[[list[Any] | CallError], None]


def system_bus() -> QDBusConnection:
    """Open a connection of our own, anew each time: Qt's shared one stays dead once the bus has gone away."""
    QDBusConnection.disconnectFromBus(_CONNECTION_NAME)
    return QDBusConnection.connectToBus(QDBusConnection.BusType.SystemBus, _CONNECTION_NAME)


class Client(QObject):
    """Follows the helper and asks it.

    Signals:
        changed: With a new Snapshot, after everything that changes one.
        checked: With a link's name and a Finding of its diagnosis that we have asked for, before the answer is there.
        acted: With the link's path, when something that a person has clicked is asked of it.
        answered: With the link's path, when that has ended well.
        refused: With the link's path and a CallError, when it has not.
        upgraded: The helper has become another version, and so has the applet on the disk.
    """

    changed = pyqtSignal(object)
    checked = pyqtSignal(str, object)
    acted = pyqtSignal(str)
    answered = pyqtSignal(str)
    refused = pyqtSignal(str, object)
    upgraded = pyqtSignal()

    def __init__(self, open_bus: Callable[[], QDBusConnection] = system_bus) -> None:
        super().__init__()
        self._open_bus = open_bus
        self._bus: QDBusConnection | None = None
        self._watcher: QDBusServiceWatcher | None = None
        self._properties: dict[str, dict[str, object]] = {}
        self._complete: set[str] = set()
        # An answer may be handed to us after a signal that was sent later. So what has been heard of a link while it
        # is being read outdoes what is read, and a list that was being read is read again.
        self._heard: dict[str, list[dict[str, object]]] = {}
        self._listing = False
        self._generation = 0
        self._version = ""  # the helper's, as it was first heard
        self.snapshot = Snapshot()

    def start(self) -> None:
        """Read everything; starts the helper when it is installed and not running. Call again to try again."""
        if self._bus is None or not self._bus.isConnected():
            self._bus = self._open_bus()
            self._subscribe(self._bus)
        self._read()

    def ask(
        self,
        path: str,
        interface: str,
        member: str,
        values: Sequence[object],
        signature: str,
        done: Done,
        *,
        clicked: bool = False,
    ) -> None:
        """Call a method of the helper.

        Args:
            path: The object.
            interface: Its interface.
            member: The method.
            values: Its arguments: plain ones, or what `wire` has encoded.
            signature: What it must answer.
            done: Gets what it answered when that has the signature, else a CallError. Never called once the object
                is gone whose method it is, or which it knows as `self`.
            clicked: A person has just asked for it: polkit may put up its dialog, and the answer may take minutes.
        """
        assert self._bus is not None
        message = QDBusMessage.createMethodCall(names.BUS_NAME, path, interface, member)
        message.setArguments([encoded(value) for value in values])
        message.setInteractiveAuthorizationAllowed(clicked)
        pending = self._bus.asyncCall(message, CLICKED_MS if clicked else READ_MS)
        # The asker's child: lives until it is done, and not longer than who asked.
        watcher = QDBusPendingCallWatcher(pending, _asker(done) or self)

        def finished(watcher: QDBusPendingCallWatcher) -> None:
            done(_result(QDBusPendingReply(watcher).reply(), signature))
            watcher.deleteLater()

        watcher.finished.connect(finished)

    def act(self, path: str, verb: Verb) -> None:
        """Do what a person has just clicked; `answered` or `refused` follows, maybe minutes later."""

        def done(result: list[Any] | CallError) -> None:
            if isinstance(result, CallError):
                self.refused.emit(path, result)
            else:
                self.answered.emit(path)

        self.acted.emit(path)
        self.ask(path, names.LINK_INTERFACE, verb.value, (), "", done, clicked=True)

    def _subscribe(self, bus: QDBusConnection) -> None:
        # With the service's name given, Qt lets through only what the owner of that name has sent.
        for path, interface, member, method in (
            ("", PROPERTIES, "PropertiesChanged", self._on_properties_changed),
            (names.MANAGER_PATH, names.MANAGER_INTERFACE, "LinkAdded", self._on_link_added),
            (names.MANAGER_PATH, names.MANAGER_INTERFACE, "LinkRemoved", self._on_link_removed),
            (names.MANAGER_PATH, names.MANAGER_INTERFACE, "Checked", self._on_checked),
        ):
            if bus.isConnected() and not bus.connect(names.BUS_NAME, path, interface, member, method):
                log.error("cannot subscribe to %s.%s", interface, member)
        # From libdbus itself, when the bus is no more; nobody else can send it.
        if bus.isConnected() and not bus.connect("", *_BUS_GONE, self._on_bus_gone):
            log.error("cannot subscribe to %s.%s", *_BUS_GONE[1:])
        if self._watcher is not None:
            self._watcher.deleteLater()
        self._watcher = QDBusServiceWatcher(
            names.BUS_NAME, bus, QDBusServiceWatcher.WatchModeFlag.WatchForOwnerChange, self
        )
        self._watcher.serviceOwnerChanged.connect(self._on_owner_changed)

    @slot(str, str, str)
    def _on_owner_changed(self, _name: str, _old: str, new: str) -> None:
        self._generation += 1  # what is still to come from the old owner is not worth hearing
        if new:
            self._read()
        else:
            self._publish(Helper.GONE)

    @slot(QDBusMessage)
    def _on_bus_gone(self, _message: QDBusMessage) -> None:
        self._generation += 1
        self._publish(Helper.ABSENT, CallError("org.freedesktop.DBus.Error.Disconnected"))

    def _read(self) -> None:
        self._generation += 1
        generation = self._generation

        def done(result: list[Any] | CallError) -> None:
            if generation != self._generation:
                return
            self._listing = False
            if isinstance(result, CallError):
                self._publish(Helper.ABSENT, result)
            else:
                self._list_arrived(model.parse_list(result[0]))

        self._listing = True
        if self.snapshot.helper is not Helper.RUNNING:
            self._publish(Helper.ASKING)
        self.ask(names.MANAGER_PATH, names.MANAGER_INTERFACE, "ListLinks", (), "a(sos)", done)

    def _list_arrived(self, listed: dict[str, dict[str, object]]) -> None:
        # Names and states can be shown at once; the rest of each link follows.
        self._complete.clear()
        self._heard.clear()
        self._properties = listed
        for path in listed:
            self._read_link(path)
        self._publish(Helper.RUNNING)
        version = [names.MANAGER_INTERFACE, "Version"]
        self.ask(names.MANAGER_PATH, PROPERTIES, "Get", version, "v", self._version_arrived)

    def _version_arrived(self, result: list[Any] | CallError) -> None:
        if not isinstance(result, CallError) and isinstance(result[0], str):
            self._version = self._version or result[0]
            if result[0] != self._version:
                self.upgraded.emit()

    def _read_link(self, path: str) -> None:
        generation = self._generation
        heard: dict[str, object] = {}
        self._heard.setdefault(path, []).append(heard)

        def done(result: list[Any] | CallError) -> None:
            if generation != self._generation or path not in self._properties:
                return
            self._heard[path] = [other for other in self._heard.get(path, []) if other is not heard]
            if isinstance(result, CallError):
                del self._properties[path]  # removed in the meantime, or not to be understood
            else:
                self._properties[path] = result[0] | heard
                self._complete.add(path)
            self._publish(Helper.RUNNING)

        self.ask(path, PROPERTIES, "GetAll", [names.LINK_INTERFACE], "a{sv}", done)

    @slot(QDBusMessage)
    def _on_properties_changed(self, message: QDBusMessage) -> None:
        path = message.path()
        body = arguments(message, "sa{sv}as")
        if body is None or body[0] != names.LINK_INTERFACE or path not in self._properties:
            return
        _interface, values, invalidated = body
        self._properties[path] = self._properties[path] | values
        for heard in self._heard.get(path, []):
            heard |= values
        if invalidated:
            self._read_link(path)
        self._publish(Helper.RUNNING)

    @slot(QDBusMessage)
    def _on_link_added(self, message: QDBusMessage) -> None:
        body = arguments(message, "o")
        if body is None or model.link_name(body[0]) is None or len(self._properties) >= model.MAX_LINKS:
            return
        if self._listing:
            self._read()
            return
        # Shown when its properties are here: a link that flashes by as "unknown" helps nobody.
        self._properties.setdefault(body[0], {})
        self._read_link(body[0])

    @slot(QDBusMessage)
    def _on_link_removed(self, message: QDBusMessage) -> None:
        body = arguments(message, "o")
        if body is not None and self._properties.pop(body[0], None) is not None:
            self._complete.discard(body[0])
            self._heard.pop(body[0], None)
            self._publish(Helper.RUNNING)

    @slot(QDBusMessage)
    def _on_checked(self, message: QDBusMessage) -> None:
        body = arguments(message, "sa{sv}")
        if body is not None:
            for finding in Finding.parse_all([body[1]]):
                self.checked.emit(body[0], finding)

    def _publish(self, helper: Helper, problem: CallError | None = None) -> None:
        links = [
            Link.parse(path, values, partial=path not in self._complete)
            for path, values in self._properties.items()
            if values
        ]
        present = sorted((link for link in links if link is not None), key=lambda link: link.name)
        snapshot = Snapshot(helper, tuple(present), problem or CallError(""))
        if snapshot != self.snapshot:
            self.snapshot = snapshot
            self.changed.emit(snapshot)


def _asker(done: Done) -> QObject | None:
    """Return the object that `done` is a method of, or that it closes over as `self`."""
    while isinstance(done, partial):
        done = done.func
    owner = getattr(done, "__self__", None)
    if isinstance(done, FunctionType) and "self" in done.__code__.co_freevars:
        owner = (done.__closure__ or ())[done.__code__.co_freevars.index("self")].cell_contents
    return owner if isinstance(owner, QObject) else None


def _result(reply: QDBusMessage, signature: str) -> list[Any] | CallError:
    if reply.type() == QDBusMessage.MessageType.ErrorMessage:
        return CallError(reply.errorName(), model.clean(reply.errorMessage()))
    body = arguments(reply, signature)
    return BAD_REPLY if body is None else body
