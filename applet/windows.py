"""The windows that are opened when asked for: which are open, one of each kind and link.

Their modules are loaded with the first of a kind: the icon alone needs none of them. What is in them is theirs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from PyQt6 import sip
from PyQt6.QtCore import QObject, QSettings, Qt, pyqtSignal
from PyQt6.QtWidgets import QApplication, QWidget

from cablecar.applet.client import Client
from cablecar.applet.log import log
from cablecar.applet.model import View

if TYPE_CHECKING:
    from cablecar.applet.assistant import Assistant
    from cablecar.applet.editor import Editor
    from cablecar.applet.status import StatusWindow

AnyWindow = TypeVar("AnyWindow", bound=QWidget)


class Windows(QObject):
    """Opens windows.

    Signals:
        stored: With the path of a link that has just got a new password.
        preferred: Something was chosen in the preferences.
        all_closed: The last one is gone.
        outdated: The modules on the disk do not fit those that were loaded before.
    """

    stored = pyqtSignal(str)
    preferred = pyqtSignal()
    all_closed = pyqtSignal()
    outdated = pyqtSignal()

    def __init__(self, client: Client, settings: QSettings) -> None:
        super().__init__()
        self._client = client
        self._settings = settings
        self._open: dict[str, QWidget] = {}

    def add(self) -> None:
        """Show the assistant for a new link."""

        def make() -> QWidget:
            from cablecar.applet.assistant import Assistant

            window = Assistant(self._client)
            window.edits.connect(partial(self._edit_for, window))
            return window

        with self._loading():
            self._show("assistant", make)

    def preferences(self) -> None:
        """Show the preferences."""

        def make() -> QWidget:
            from cablecar.applet.preferences import Preferences

            window = Preferences(self._settings)
            window.changed.connect(self.preferred)
            return window

        with self._loading():
            self._show("preferences", make)

    def show(self, view: View, path: str) -> None:
        """Show a window about a link."""
        with self._loading():
            match view:
                case View.STATUS:
                    self._status(path)
                case View.LOG:
                    self._status(path).show_log()
                case View.DIAGNOSIS:
                    self._show(f"diagnosis {path}", partial(self._diagnosis, path))
                case View.SETTINGS:
                    self._edit(path)
                case View.PASSWORD:
                    self._show(f"password {path}", partial(self._password, path))

    def shows(self, path: str) -> bool:
        """Whether the window in front tells by itself what becomes of a click about that link."""
        front = QApplication.activeWindow()
        if front is None:
            return False
        assistant = cast("Assistant | None", self._open.get("assistant"))
        return front is self._open.get(f"status {path}") or (
            assistant is not None and front is assistant and assistant.path == path
        )

    @property
    def are_open(self) -> bool:
        """Whether there is any."""
        return bool(self._open)

    def end(self) -> None:
        """Have all of them gone, whatever they have to ask."""
        for window in list(self._open.values()):
            sip.delete(window)

    @contextmanager
    def _loading(self) -> Iterator[None]:
        try:
            yield
        except ImportError:
            log.exception("cannot load a window; has Cablecar been upgraded?")
            self.outdated.emit()

    def _status(self, path: str) -> "StatusWindow":
        from cablecar.applet.status import StatusWindow

        def make() -> StatusWindow:
            window = StatusWindow(self._client, path)
            window.diagnoses.connect(partial(self.show, View.DIAGNOSIS, path))
            window.mends.connect(partial(self.show, View.PASSWORD, path))
            return window

        return self._show(f"status {path}", make)

    def _diagnosis(self, path: str) -> QWidget:
        from cablecar.applet.diagnosis import DiagnosisWindow

        return DiagnosisWindow(self._client, path)

    def _edit(self, path: str) -> "Editor":
        from cablecar.applet.editor import Editor

        return self._show(f"editor {path}", partial(Editor, self._client, path))

    def _edit_for(self, assistant: "Assistant", path: str) -> None:
        with self._loading():
            self._edit(path).finished.connect(assistant.read_back)

    def _password(self, path: str) -> QWidget:
        from cablecar.applet.password import PasswordDialog

        dialog = PasswordDialog(self._client, path)
        dialog.stored.connect(self.stored)
        return dialog

    def _show(self, key: str, make: Callable[[], AnyWindow]) -> AnyWindow:
        window = cast("AnyWindow | None", self._open.get(key))
        if window is None:
            window = self._open[key] = make()
            window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            window.destroyed.connect(lambda _gone: self._closed(key))
        window.show()
        window.raise_()
        window.activateWindow()
        return window

    def _closed(self, key: str) -> None:
        self._open.pop(key, None)
        if not self._open:
            self.all_closed.emit()
