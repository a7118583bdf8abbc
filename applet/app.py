"""The program: one instance, the wiring of client, tray, menu, window and notifications, and the way out.

Decides what a click on the icon means; leaves every decision about a link to the helper.
"""

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import QCoreApplication, QEvent, QObject, QSettings, QSocketNotifier, pyqtClassInfo
from PyQt6.QtDBus import QDBusAbstractAdaptor, QDBusConnection, QDBusMessage
from PyQt6.QtGui import QPalette, QSessionManager
from PyQt6.QtWidgets import QApplication
from PyQt6.sip import voidptr

from cablecar.applet import colours, i18n, log, pictures, words
from cablecar.applet.choices import Choices
from cablecar.applet.client import Client
from cablecar.applet.i18n import _
from cablecar.applet.menu import Command, Deed, Menu, describe
from cablecar.applet.model import CallError, Details, Helper, Snapshot, Verb, View, link_name
from cablecar.applet.notify import Notifier
from cablecar.applet.story import Kind, Notice, Over, Story, Urgency
from cablecar.applet.tray import Tray
from cablecar.applet.windows import Windows
from cablecar.applet.wire import slot, to_wire
from cablecar.helper import names

if TYPE_CHECKING:
    from cablecar.applet.window import Window

APP_NAME: Final = pictures.APP
APP_PATH: Final = "/" + APP_NAME.replace(".", "/")
APPLICATION_INTERFACE: Final = "org.freedesktop.Application"

# Topics of what is told beside those of the links.
_HELPER: Final = "helper"
_TRAY: Final = "tray"

_TOKEN: Final = "activation-token"
_TOKEN_VARIABLE: Final = "XDG_ACTIVATION_TOKEN"

_START_AGAIN: Final = -1  # the event loop's answer, and nobody's exit status

_class_info: Any = pyqtClassInfo  # PyQt's own stub says that it returns nothing

# Characters by which a panel may take a tooltip for markup, each with a look-alike that nobody parses.
_TOOLTIP: Final = str.maketrans({"<": "\u2039", ">": "\u203a", "&": "\uff06"})


class Program(QApplication):
    """Qt's part of the program, in which hints in empty fields can be read: many dark themes leave them black."""

    def __init__(self) -> None:
        super().__init__(["cablecar-applet"])
        self._colour_hints()

    def event(self, event: QEvent | None) -> bool:
        """Follow the theme."""
        handled = super().event(event)
        if event is not None and event.type() is QEvent.Type.ApplicationPaletteChange:
            self._colour_hints()
        return handled

    def _colour_hints(self) -> None:
        palette = self.palette()
        wanted = colours.hint(palette)
        if palette.color(QPalette.ColorRole.PlaceholderText) != wanted:
            palette.setColor(QPalette.ColorRole.PlaceholderText, wanted)
            self.setPalette(palette)  # all else goes on following the theme


class Applet(QObject):
    """Everything that runs while the icon is there.

    Args:
        client: The way to the helper.
        session: The session bus.
        settings: The user's choices.
        greets: Whether somebody has just started us and wants to see something.
    """

    def __init__(self, client: Client, session: QDBusConnection, settings: QSettings, *, greets: bool = False) -> None:
        super().__init__()
        self._client = client
        self._choices = Choices(settings)
        self._windows = Windows(client, settings)
        self._window: Window | None = None
        self._details: dict[str, Details] = {}
        self._asked_for_helper = False
        self._clicked_early = False
        self._greets = greets
        self._stands_in = False  # the window is there because there is no tray
        self._noted = ""  # the topic of the window's note, if it has one
        self._is_due = False  # to start again
        # A suspended machine's time counts: the user's hour without a line was an hour.
        self._story = Story(lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
        self._menu = Menu(self._do, self._looked_at)
        self.tray = Tray(session, self._menu.widget, self, wanted=self._choices.icon_always)
        self._notifier = Notifier(session, self._show_balloon, self)
        self.tray.clicked.connect(self._icon_clicked)
        self.tray.missing.connect(self._tray_missing)
        self.tray.found.connect(self._tray_found)
        self.tray.deaf.connect(self._start_again)
        self._windows.outdated.connect(self._start_again)
        self._windows.all_closed.connect(self._start_again_if_due)
        self._notifier.permitted.connect(_use_token)
        self._notifier.acted.connect(self._notification_clicked)
        self._windows.stored.connect(self._password_stored)
        self._windows.preferred.connect(self._show_icon)
        client.changed.connect(self._show)
        client.acted.connect(self._acted)
        client.answered.connect(self._story.answered)
        client.refused.connect(self._refused)
        client.upgraded.connect(self._start_again)
        self._show(client.snapshot)
        client.start()

    def show_window(self, note: str = "", topic: str = "") -> None:
        """Show the window, in front of the others; what its note is about can be taken back by its topic."""
        if self._window is None:
            from cablecar.applet.window import Window

            self._window = Window(self._do)
            self._window.looked_at.connect(self._looked_at)
        self._stands_in = False
        self._noted = topic
        self._window.set_note(note)
        self._looked_at()
        self._window.show()
        self._window.raise_()
        self._window.activateWindow()

    def end(self) -> None:
        """Have the windows and the notifications go while what they speak to is there."""
        self._windows.end()
        self._notifier.close_all()

    def _show(self, snapshot: Snapshot) -> None:
        self._details = {path: known for path, known in self._details.items() if _is_up(snapshot, path)}
        self._show_icon()
        self._show_lines()
        if self._window is not None and self._window.isVisible():
            self._ask_details()
        for told in self._story.update(snapshot):
            if isinstance(told, Over):
                self._take_back(told.topic)
            else:
                self._tell(told)
        self._tell_of_helper(snapshot)
        if self._clicked_early:
            self._early_click(snapshot)
        if self._greets and snapshot.helper in (Helper.RUNNING, Helper.ABSENT):
            self._greets = False
            if snapshot.helper is Helper.RUNNING and not snapshot.links:
                self._do(Command.ADD)
            elif snapshot.helper is Helper.ABSENT or not self.tray.wanted:
                self.show_window()

    def _show_icon(self) -> None:
        snapshot = self._client.snapshot
        picture = pictures.picture(snapshot)
        self.tray.show(picture, _tooltip(snapshot))
        in_use = picture != "down" and snapshot.helper is not Helper.ASKING
        self.tray.set_wanted(self._choices.icon_always or in_use)

    def _show_lines(self) -> None:
        items = describe(self._client.snapshot, self._details)
        self._menu.apply(items)
        if self._window is not None:
            self._window.apply(items)
            snapshot = self._client.snapshot
            self._window.set_counting(any(_is_up(snapshot, link.path) for link in snapshot.links))

    def _looked_at(self) -> None:
        # Times and counters are asked for when somebody looks, and only then.
        self._show_lines()
        self._ask_details()

    def _ask_details(self) -> None:
        for link in self._client.snapshot.links:
            if link.state == names.UP:
                arrived = partial(self._details_arrived, link.path)
                self._client.ask(link.path, names.LINK_INTERFACE, "Details", (), "a{sv}", arrived)

    def _details_arrived(self, path: str, answer: list[Any] | CallError) -> None:
        if not isinstance(answer, CallError) and _is_up(self._client.snapshot, path):
            self._details[path] = Details.parse(answer[0])
            self._show_lines()

    def _tell(self, notice: Notice) -> None:
        if self._choices.tells(notice.kind):
            self._notifier.show(notice)
        else:
            self._take_back(notice.topic)  # what it would have replaced is so no longer

    def _take_back(self, topic: str) -> None:
        self._notifier.close(topic)
        self._take_note_back(topic)

    def _take_note_back(self, topic: str) -> None:
        if self._window is not None and self._noted == topic:
            self._noted = ""
            self._window.set_note("")

    def _tell_of_helper(self, snapshot: Snapshot) -> None:
        if snapshot.helper is Helper.RUNNING:
            self._take_back(_HELPER)
        # Only to somebody who asked: at login a missing helper is the icon's business.
        if self._asked_for_helper and snapshot.helper is not Helper.ASKING:
            self._asked_for_helper = False
            if trouble := words.helper(snapshot):
                self._tell(Notice(_HELPER, "Cablecar", trouble, "failed", Kind.ANSWER))

    def _early_click(self, snapshot: Snapshot) -> None:
        link = snapshot.focus(self._choices.last_used)
        if snapshot.helper is Helper.ASKING or (link is not None and link.partial):
            return
        self._clicked_early = False
        # Who clicked before the icon had said anything wants a line, and certainly not to lose one.
        if link is None or not link.wanted:
            self._icon_clicked()

    def _icon_clicked(self) -> None:
        snapshot = self._client.snapshot
        link = snapshot.focus(self._choices.last_used)
        if snapshot.helper is Helper.ASKING:
            self._clicked_early = True
        elif snapshot.helper in (Helper.GONE, Helper.ABSENT):
            self._do(Command.TRY_AGAIN)
        elif snapshot.helper is Helper.RUNNING and not snapshot.links:
            self._do(Command.ADD)
        elif snapshot.helper is Helper.RUNNING and link is not None:
            self._do((Verb.DISCONNECT if link.wanted else Verb.CONNECT, link.path))
        elif snapshot.helper is Helper.RUNNING:
            self.show_window(_("Choose a link. From then on a click on the icon is about that one."))

    def _notification_clicked(self, path: str, deed: Verb | View) -> None:
        if self._client.snapshot.link(path) is not None:
            self._do((deed, path))

    def _password_stored(self, path: str) -> None:
        link = self._client.snapshot.link(path)
        if link is not None:
            self._client.act(path, Verb.RECONNECT if link.wanted else Verb.CONNECT)

    def _do(self, what: Deed) -> None:
        match what:
            case Command.QUIT:
                QCoreApplication.quit()
            case Command.TRY_AGAIN:
                self._asked_for_helper = True
                self._client.start()
            case Command.ADD:
                self._windows.add()
            case Command.PREFERENCES:
                self._windows.preferences()
            case (View() as view, path):
                self._windows.show(view, path)
            case (Verb() as verb, path):
                self._client.act(path, verb)

    def _acted(self, path: str) -> None:
        # In whichever window it was clicked.
        if (name := link_name(path)) is not None:  # of a link that may be too new to be in the snapshot
            self._choices.last_used = name
        self._story.clicked(path)

    def _refused(self, path: str, error: CallError) -> None:
        notice = self._story.refused(self._client.snapshot, path, error)
        if notice is not None and not self._windows.shows(path):
            self._tell(notice)

    def _show_balloon(self, notice: Notice) -> None:
        if self.tray.show_message(notice.title, notice.body):
            return
        if notice.kind is Kind.ANSWER or notice.urgency is Urgency.CRITICAL:
            self.show_window(f"{notice.title}: {notice.body}", notice.topic)
        else:
            self._take_note_back(notice.topic)

    def _tray_missing(self) -> None:
        from cablecar.applet.window import NO_TRAY

        asked_for = self._window is not None and self._window.isVisible() and not self._stands_in
        self.show_window(NO_TRAY, _TRAY)
        self._stands_in = not asked_for

    def _tray_found(self) -> None:
        self._take_note_back(_TRAY)
        if self._window is not None and self._stands_in:
            self._window.hide()

    def _start_again(self) -> None:
        """Start anew, to be seen in a tray or as the version that is installed, but not under somebody's hands."""
        self._is_due = True
        self._start_again_if_due()

    def _start_again_if_due(self) -> None:
        if self._is_due and not self._windows.are_open:
            QCoreApplication.exit(_START_AGAIN)


@_class_info("D-Bus Interface", APPLICATION_INTERFACE)
class _Application(QDBusAbstractAdaptor):
    """What a second start asks of the first (the desktop entry specification's interface)."""

    def __init__(self, applet: Applet) -> None:
        super().__init__(applet)
        self._applet = applet

    @slot("QVariantMap")
    def Activate(self, platform_data: object) -> None:
        """Show the window."""
        if isinstance(platform_data, dict):
            _use_token(platform_data.get(_TOKEN))
        self._applet.show_window()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the applet until somebody ends it; answers the exit status."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    if options.version:
        print("cablecar-applet", _version())
        return 0
    log.setup()
    sys.excepthook = log.excepthook
    application = _application()
    session = QDBusConnection.sessionBus()
    if session.isConnected() and not session.registerService(APP_NAME):
        return 0 if options.autostart else _activate_first(session)
    with _quit_on_signals(), ExitStack() as stack:
        settings = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "cablecar", "applet")
        applet = Applet(Client(), session, settings, greets=not options.autostart)
        adaptor = _Application(applet)
        stack.callback(session.unregisterService, APP_NAME)
        if session.isConnected() and not session.registerObject(APP_PATH, applet):
            log.log.error("cannot register %s on the session bus", APP_PATH)
        status = application.exec()
        applet.end()
        del adaptor
    if status == _START_AGAIN:
        # Everything that we show is the helper's to tell; nothing is lost with this process.
        log.log.info("starting again, for a tray that has appeared or a version that was installed")
        # With the same options, -I above all; but nobody is to be greeted.
        os.execv(sys.executable, [*sys.orig_argv, *([] if options.autostart else ["--autostart"])])
    return status


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cablecar-applet", description=_("Cablecar's icon in the tray."))
    parser.add_argument(
        "--autostart", action="store_true", help=_("started at login: a second instance ends without a word")
    )
    parser.add_argument("--version", action="store_true", help=_("say which version this is, and end"))
    return parser.parse_args(arguments)


def _version() -> str:
    from importlib import metadata  # a quarter of the time that the start takes, for one word

    try:
        return metadata.version("cablecar")
    except metadata.PackageNotFoundError:
        return _("(not installed)")


def _application() -> QApplication:
    application = Program()
    # What a screen reader calls us and the icon. (With a display name Qt would add that to each window's title.)
    application.setApplicationName("Cablecar")
    application.setDesktopFileName(APP_NAME)
    application.setQuitOnLastWindowClosed(False)
    application.setWindowIcon(pictures.app())
    i18n.install(application)
    # The autostart file starts us at the next login; a session manager that does it too makes two.
    application.saveStateRequest.connect(_never_restart)
    return application


def _never_restart(manager: QSessionManager) -> None:
    manager.setRestartHint(QSessionManager.RestartHint.RestartNever)


def _activate_first(session: QDBusConnection) -> int:
    """Ask the instance that runs already to show itself."""
    message = QDBusMessage.createMethodCall(APP_NAME, APP_PATH, APPLICATION_INTERFACE, "Activate")
    token = os.environ.get(_TOKEN_VARIABLE, "")
    message.setArguments([{_TOKEN: to_wire(token)} if token.isascii() and token else {}])
    reply = session.call(message, timeout=5000)
    if reply.type() == QDBusMessage.MessageType.ErrorMessage:
        log.log.error("the applet that runs already does not answer: %s", reply.errorName())
        return 1
    return 0


def _use_token(token: object) -> None:
    """Have Qt show by it, under Wayland, that the next window comes to the front because somebody has asked for it."""
    if isinstance(token, str) and token.isascii() and token and "\0" not in token:
        os.environ[_TOKEN_VARIABLE] = token  # where Qt looks when it activates a window, and takes it away


class _quit_on_signals(AbstractContextManager[None]):
    """End the event loop on SIGTERM, SIGINT and SIGHUP.

    Python runs a handler only when it executes Python code, which an idle Qt loop never does; so the number of the
    signal is written into a socket that Qt watches.
    """

    _SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __enter__(self) -> None:
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        self._old_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, lambda *_: None) for number in self._SIGNALS}
        self._notifier = QSocketNotifier(voidptr(self._read.fileno()), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._arrived)

    def _arrived(self) -> None:
        self._read.recv(64)
        QCoreApplication.exit(0)  # `quit` asks the windows first, and a form with something to ask would say no

    def __exit__(self, *_: object) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._read.close()
        self._write.close()


def _is_up(snapshot: Snapshot, path: str) -> bool:
    link = snapshot.link(path)
    return snapshot.helper is Helper.RUNNING and link is not None and link.state == names.UP


def _tooltip(snapshot: Snapshot) -> str:
    trouble = words.helper(snapshot)
    lines = [
        "\n".join(filter(None, (f"{link.title}: {words.state(link, dated=True)}", words.detail(link, brief=True))))
        for link in snapshot.links
    ]
    text = trouble or "\n".join(lines) or _("No link yet")
    return text.translate(_TOOLTIP)
