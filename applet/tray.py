"""The icon in the tray: born when a tray appears, born again with every new one, and the word that there is none.

Qt decides when an icon is created how it speaks to the tray, and before 6.7 it remembers that decision for as long as
the process lives. So no icon is created before somebody is there to take it in; an X11 tray of the old kind, which
cannot be waited for on the bus, is tried when the patience is over. Owns the icon, its animation while dialing, and
nothing of what a click means.
"""

from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QElapsedTimer, QLibraryInfo, QObject, QTimer, QVersionNumber, pyqtSignal
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

# Older ones keep the answer of the first time for ever (measured: 6.4.2, 6.5.3, 6.6.1; cured in 6.7.3).
QT_ASKS_AGAIN: Final = QLibraryInfo.version() >= QVersionNumber(6, 7)


class Tray(QObject):
    """The icon.

    Signals:
        clicked: The icon was clicked (the left button).
        missing: For some time there has been no tray to show the icon in.
        found: There is a tray again.
        deaf: There is a tray, which this process will never be able to use; a new process is.
    """

    clicked = pyqtSignal()
    missing = pyqtSignal()
    found = pyqtSignal()
    deaf = pyqtSignal()

    def __init__(
        self, bus: QDBusConnection, menu: "QMenu", parent: QObject | None = None, *, wanted: bool = True
    ) -> None:
        super().__init__(parent)
        self._menu = menu
        self._picture = "waiting"
        self._tooltip = ""
        self._icon: QSystemTrayIcon | None = None
        self._since_click = QElapsedTimer()
        self._wanted = wanted
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
        self._tried_without_watcher = False
        self._patience.start()
        self._watcher_seen = bus.isConnected() and self._subscribe(bus)
        if self._watcher_seen:
            self._create()

    @property
    def wanted(self) -> bool:
        """Whether the icon is to be in the tray, if there is one."""
        return self._wanted

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

    def set_wanted(self, wanted: bool) -> None:
        """Have the icon in the tray, or not."""
        if wanted != self._wanted:
            self._wanted = wanted
            if self._icon is not None:
                self._icon.setVisible(wanted)
            elif wanted and not self._patience.isActive():
                self.missing.emit()

    def show_message(self, title: str, text: str) -> bool:
        """Show a balloon: the poor relation of a notification, for trays of the old kind; answers whether there is one.

        In a StatusNotifier tray Qt would ask the notification server, which is not there, and wait for it.
        """
        if self._icon is None or self._watcher_seen or not self._wanted:
            return False
        self._icon.showMessage(title, text, pictures.app())
        return True

    def _subscribe(self, bus: QDBusConnection) -> bool:
        """Follow the watcher; answers whether it is there already."""
        mode = QDBusServiceWatcher.WatchModeFlag
        watcher = QDBusServiceWatcher(WATCHER, bus, mode.WatchForRegistration | mode.WatchForUnregistration, self)
        watcher.serviceRegistered.connect(self._tray_appeared)
        watcher.serviceUnregistered.connect(self._tray_vanished)
        # Some panels' watcher is there long before the part that shows icons.
        if not bus.connect(WATCHER, WATCHER_PATH, WATCHER, "StatusNotifierHostRegistered", self._on_host):
            log.error("cannot subscribe to %s", WATCHER)
        daemon = bus.interface()
        return daemon is not None and bool(daemon.isServiceRegistered(WATCHER).value())

    @slot(QDBusMessage)
    def _on_host(self, _message: QDBusMessage) -> None:
        self._tray_appeared()

    def _tray_appeared(self, _name: str = "") -> None:
        self._watcher_seen = True
        if self._tried_without_watcher and not QT_ASKS_AGAIN:
            self.deaf.emit()
        else:
            self._rebirth.start(0)

    def _tray_vanished(self, _name: str = "") -> None:
        self._patience.start()

    def _create(self) -> None:
        self._drop()
        self._icon = QSystemTrayIcon(self)
        self._icon.setContextMenu(self._menu)
        self._icon.setToolTip(self._tooltip)
        self._icon.activated.connect(self._activated)
        self._draw()
        self._icon.setVisible(self._wanted)
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._patience.stop()
            self.found.emit()

    def _drop(self) -> None:
        if self._icon is not None:
            self._icon.hide()
            self._icon.deleteLater()
            self._icon = None

    def _patience_ended(self) -> None:
        if self._icon is None:
            self._tried_without_watcher = True
            self._create()
        if not QSystemTrayIcon.isSystemTrayAvailable():
            self._drop()
            if self._wanted:
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
