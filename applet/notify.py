"""Notifications: shows notices through org.freedesktop.Notifications.

Owns the ids of what is shown (one notification per topic, replaced and not piled up) and the quirks of servers.
All calls are asynchronous. Where there is no server, the notice is handed to a fallback.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtDBus import (
    QDBusConnection,
    QDBusMessage,
    QDBusPendingCallWatcher,
    QDBusPendingReply,
    QDBusServiceWatcher,
)

from cablecar.applet import pictures
from cablecar.applet.log import log
from cablecar.applet.story import Notice
from cablecar.applet.wire import arguments, byte, slot, strings, to_wire, uint32

SERVICE: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"


@dataclass(slots=True)
class _Shown:
    """What is on the screen about one topic."""

    id: int = 0
    notice: Notice | None = None
    sending: bool = False
    queued: Notice | None = None  # the newest of what came while the server had not answered yet
    over: bool = False  # to be closed when it has answered


class Notifier(QObject):
    """Shows notices.

    Signals:
        acted: With a notice's topic and what its button does, when that was pressed.
        permitted: With a token by which the window that a button opens may come to the front, before `acted`.
    """

    acted = pyqtSignal(str, object)
    permitted = pyqtSignal(str)

    def __init__(self, bus: QDBusConnection, fallback: Callable[[Notice], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bus = bus
        self._fallback = fallback
        self._capabilities: frozenset[str] | None = None
        self._asking = False
        self._shown: dict[str, _Shown] = {}
        if bus.isConnected():
            self._subscribe()

    def show(self, notice: Notice) -> None:
        """Show it, in the place of the last one of the same topic."""
        shown = self._shown.setdefault(notice.topic, _Shown())
        shown.queued, shown.over = notice, False
        if self._capabilities is None:
            self._ask_capabilities()
        else:
            self._send(shown)

    def close(self, topic: str) -> None:
        """Take down what is shown about a topic: it is so no longer."""
        if (shown := self._shown.get(topic)) is not None:
            shown.queued, shown.over = None, True
            self._take_down(shown)

    def close_all(self) -> None:
        """Take down all that is shown: nobody would follow it up."""
        for topic in self._shown:
            self.close(topic)

    def _subscribe(self) -> None:
        for member, method in (
            ("ActivationToken", self._on_token),
            ("ActionInvoked", self._on_action),
            ("NotificationClosed", self._on_closed),
        ):
            if not self._bus.connect(SERVICE, PATH, SERVICE, member, method):
                log.error("cannot subscribe to %s.%s", SERVICE, member)
        watch = QDBusServiceWatcher.WatchModeFlag.WatchForOwnerChange
        self._watcher = QDBusServiceWatcher(SERVICE, self._bus, watch, self)
        self._watcher.serviceOwnerChanged.connect(self._on_owner_changed)

    @slot(str, str, str)
    def _on_owner_changed(self, _name: str, old: str, _new: str) -> None:
        if old:  # another server: our ids mean nothing to it, and it may know other things
            self._capabilities = None
            for shown in self._shown.values():
                shown.id = 0

    def _ask_capabilities(self) -> None:
        if self._asking:
            return
        self._asking = True

        def done(reply: QDBusMessage) -> None:
            self._asking = False
            body = arguments(reply, "as")
            if body is None:
                self._give_up()
                return
            self._capabilities = frozenset(body[0])
            for shown in self._shown.values():
                self._send(shown)

        self._call(self._message("GetCapabilities"), done)

    def _give_up(self) -> None:
        for shown in self._shown.values():
            notice, shown.queued = shown.queued, None
            if notice is not None:
                self._fallback(notice)

    def _send(self, shown: _Shown) -> None:
        notice = shown.queued
        if shown.sending:
            return
        if notice is None:
            self._take_down(shown)
            return
        shown.queued, shown.sending, shown.notice = None, True, notice

        def done(reply: QDBusMessage) -> None:
            shown.sending = False
            body = arguments(reply, "u")
            if body is None:
                shown.id = 0
                self._fallback(notice)
            else:
                shown.id = body[0]
            self._send(shown)

        self._call(self._notification(notice, shown.id), done)

    def _take_down(self, shown: _Shown) -> None:
        if shown.over and shown.id and not shown.sending:
            message = self._message("CloseNotification")
            message.setArguments([uint32(shown.id)])
            shown.id, shown.over = 0, False
            self._call(message, lambda _reply: None)

    def _notification(self, notice: Notice, replaces: int) -> QDBusMessage:
        capabilities = self._capabilities or frozenset()
        # A reason may one day carry what a server said: nobody's markup but ours, and we have none.
        body = html.escape(notice.body, quote=False) if "body-markup" in capabilities else notice.body
        actions: list[str] = []
        if "actions" in capabilities:
            actions = [text for deed, label in notice.actions for text in (deed.value, label)]
        hints = {"desktop-entry": to_wire(pictures.APP), "urgency": byte(int(notice.urgency))}
        message = self._message("Notify")
        message.setArguments(
            [
                "Cablecar",
                uint32(replaces),
                to_wire(pictures.for_notification(notice.picture)),
                to_wire(notice.title),
                to_wire(body),
                strings(actions),
                hints,
                -1,
            ]
        )
        return message

    @slot(QDBusMessage)
    def _on_token(self, message: QDBusMessage) -> None:
        body = arguments(message, "us")
        if body is not None and body[0] in [shown.id for shown in self._shown.values() if shown.id]:
            self.permitted.emit(body[1])

    @slot(QDBusMessage)
    def _on_action(self, message: QDBusMessage) -> None:
        body = arguments(message, "us")
        if body is None or body[0] == 0:
            return
        for topic, shown in self._shown.items():
            if shown.id == body[0] and shown.notice is not None:
                for deed, _label in shown.notice.actions:
                    if body[1] == deed.value:
                        self.acted.emit(topic, deed)
                return

    @slot(QDBusMessage)
    def _on_closed(self, message: QDBusMessage) -> None:
        body = arguments(message, "uu")
        for shown in self._shown.values():
            if body is not None and shown.id == body[0]:
                shown.id = 0

    def _message(self, member: str) -> QDBusMessage:
        return QDBusMessage.createMethodCall(SERVICE, PATH, SERVICE, member)

    def _call(self, message: QDBusMessage, done: Callable[[QDBusMessage], None]) -> None:
        # Our child: lives until it is done, and not longer than we do.
        watcher = QDBusPendingCallWatcher(self._bus.asyncCall(message), self)

        def finished(watcher: QDBusPendingCallWatcher) -> None:
            done(QDBusPendingReply(watcher).reply())
            watcher.deleteLater()

        watcher.finished.connect(finished)
