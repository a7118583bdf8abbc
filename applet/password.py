"""The small window that asks for a link's new password.

It hands the password to the helper and forgets it. What comes next, dialing with it, is for whoever opened it.
"""

from typing import Any, Final

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QPushButton, QVBoxLayout

from cablecar.applet import words
from cablecar.applet.client import Client
from cablecar.applet.i18n import _
from cablecar.applet.model import CallError, Helper, Snapshot
from cablecar.helper import names

MAX_PASSWORD: Final = 255
_UNUSABLE: Final = _("The password has a character that cannot be sent. Type it again.")


class PasswordDialog(QDialog):
    """Asks for the password of one link.

    Signals:
        stored: With the link's path, when the helper has the new password.
    """

    stored = pyqtSignal(str)

    def __init__(self, client: Client, path: str) -> None:
        super().__init__()
        self._client = client
        self._path = path
        self.setWindowTitle(_("Cablecar: password"))
        self._question = _plain_label()
        self._field = QLineEdit()
        self._field.setMaxLength(MAX_PASSWORD)
        self._field.setEchoMode(QLineEdit.EchoMode.Password)
        self._field.textChanged.connect(self._typed)
        self._question.setBuddy(self._field)
        self._field.setAccessibleName(_("Password"))
        self._show = QCheckBox(_("&Show the password"))
        self._show.toggled.connect(self._show_toggled)
        self._message = _plain_label()
        self._message.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self._connect = QPushButton(_("Save and &connect"))
        self._connect.setDefault(True)
        buttons.addButton(self._connect, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._save)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (self._question, self._field, self._show, self._message, buttons):
            layout.addWidget(widget)
        self._waiting = False
        client.changed.connect(self._helper_changed)
        self._helper_changed(client.snapshot)
        self._typed()

    def done(self, result: int) -> None:
        """Forget what was typed, and close."""
        self._field.clear()
        super().done(result)

    def _helper_changed(self, snapshot: Snapshot) -> None:
        link = snapshot.link(self._path)
        if link is not None:
            self._question.setText(_("The password for {title}, as the provider gave it:").format(title=link.title))
        elif snapshot.helper is Helper.RUNNING:
            self.reject()  # the link has been removed

    def _typed(self) -> None:
        self._connect.setEnabled(bool(self._field.text()) and not self._waiting)

    def _show_toggled(self, shown: bool) -> None:
        self._field.setEchoMode(QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password)

    def _save(self) -> None:
        if self._waiting or not self._field.text():
            return
        try:
            self._client.ask(
                self._path, names.LINK_INTERFACE, "SetPassword", [self._field.text()], "", self._answered, clicked=True
            )
        except ValueError:
            self._message.setText(_UNUSABLE)
            return
        self._wait(True)
        self._message.setText(_("Saving…"))

    def _answered(self, answer: list[Any] | CallError) -> None:
        self._wait(False)
        if not isinstance(answer, CallError):
            self.stored.emit(self._path)
            self.accept()
            return
        self._message.setText(words.error(answer) if words.needs_saying(answer) else "")
        self._field.setFocus()

    def _wait(self, waiting: bool) -> None:
        self._waiting = waiting
        self._field.setReadOnly(waiting)
        self._typed()


def _plain_label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
