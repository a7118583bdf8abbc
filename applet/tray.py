"""The icon in the tray: born again whenever a tray appears, and the word that there is none.

Qt decides once, when the icon is created, how it speaks to the tray; an icon created before the panel has started
never appears. Owns the icon, its animation while dialing, and nothing of what a click means.
"""

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QElapsedTimer, QObject, QTimer, pyqtSignal
from PyQt6.QtDBus import QDBusConnection, QDBusMessage, QDBusServiceWatcher
from PyQt6.QtWidgets import QApplication, QSystemTrayIcon

from cablecar.applet import pictures
from cablecar.applet.log import log
from cablecar.applet.wire import slot

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QMenu

WATCHER: Final = "org.kde.StatusNotifierWatcher"
WATCHER_PATH: Final = "/StatusNotifierWatcher"

# How long a panel may take to start after us (or again after a crash) before the window stands in for the icon.
PATIENCE_MS: Final = 10_000
FRAME_MS: Final = 700


class Tray(QObject):
    """The icon.

    Signals:
        clicked: The icon was clicked (the left button).
        missing: For some time there has been no tray to show the icon in.
        found: There is a tray again.
    """

    clicked = pyqtSignal()
    missing = pyqtSignal()
    found = pyqtSignal()

    def __init__(self, bus: QDBusConnection, menu: "QMenu", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._menu = menu
        self._picture = "waiting"
        self._tooltip = ""
        self._icon: QSystemTrayIcon | None = None
        self._since_click = QElapsedTimer()
        self._frame = 0
        self._frames = QTimer(self)
        self._frames.setInterval(FRAME_MS)
        self._frames.timeout.connect(self._next_frame)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._patience_ended)
        self._rebirth = QTimer(self)  # watcher and host often register together: one new icon for both
        self._rebirth.setSingleShot(True)
        self._rebirth.timeout.connect(self._create)
        if bus.isConnected():
            self._subscribe(bus)
        self._create()
        self._patience.start()

    def show(self, picture: str, tooltip: str) -> None:
        """Show one of the pictures (see `pictures.picture`), and text for those who rest the pointer on it."""
        if picture != self._picture:
            self._picture = picture
            self._frame = 0
            self._draw()
        if tooltip != self._tooltip:
            self._tooltip = tooltip
            if self._icon is not None:
                self._icon.setToolTip(tooltip)
        if (picture == pictures.DIALING_FRAMES[0]) != self._frames.isActive():
            # The timer runs only while there is something to move.
            if self._frames.isActive():
                self._frames.stop()
            else:
                self._frames.start()

    def show_message(self, title: str, text: str) -> None:
        """Show a balloon: the poor relation of a notification."""
        if self._icon is not None:
            self._icon.showMessage(title, text, pictures.app())

    def _subscribe(self, bus: QDBusConnection) -> None:
        mode = QDBusServiceWatcher.WatchModeFlag
        watcher = QDBusServiceWatcher(WATCHER, bus, mode.WatchForRegistration | mode.WatchForUnregistration, self)
        watcher.serviceRegistered.connect(self._tray_appeared)
        watcher.serviceUnregistered.connect(self._patience.start)
        # Some panels' watcher is there long before the part that shows icons.
        if not bus.connect(WATCHER, WATCHER_PATH, WATCHER, "StatusNotifierHostRegistered", self._on_host):
            log.error("cannot subscribe to %s", WATCHER)

    @slot(QDBusMessage)
    def _on_host(self, _message: QDBusMessage) -> None:
        self._tray_appeared()

    def _tray_appeared(self, _name: str = "") -> None:
        self._rebirth.start(0)

    def _create(self) -> None:
        if self._icon is not None:
            self._icon.hide()
            self._icon.deleteLater()
        self._icon = QSystemTrayIcon(self)
        self._icon.setContextMenu(self._menu)
        self._icon.setToolTip(self._tooltip)
        self._icon.activated.connect(self._activated)
        self._draw()
        self._icon.show()
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._patience.stop()
            self.found.emit()

    def _patience_ended(self) -> None:
        if not QSystemTrayIcon.isSystemTrayAvailable():
            self.missing.emit()

    def _next_frame(self) -> None:
        self._frame = 1 - self._frame
        self._draw()

    def _draw(self) -> None:
        if self._icon is not None:
            dialing = self._picture == pictures.DIALING_FRAMES[0]
            self._icon.setIcon(pictures.status(pictures.DIALING_FRAMES[self._frame] if dialing else self._picture))

    def _activated(self, why: QSystemTrayIcon.ActivationReason) -> None:
        if why is not QSystemTrayIcon.ActivationReason.Trigger:
            return
        # Whoever double-clicks means one click; two would connect and take it back.
        if self._since_click.isValid() and self._since_click.elapsed() < QApplication.doubleClickInterval():
            return
        self._since_click.start()
        self.clicked.emit()
