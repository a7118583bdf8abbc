"""The small window that asks for a link's new password.

It hands the password to the helper and forgets it. What comes next, dialing with it, is for whoever opened it.
"""

from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout

from cablecar.applet import labels, words
from cablecar.applet.client import Client
from cablecar.applet.fields import PasswordField
from cablecar.applet.i18n import _
from cablecar.applet.mnemonics import literal
from cablecar.applet.model import CallError, Helper, Snapshot
from cablecar.helper import names


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
        self._waiting = False
        self.setWindowTitle(_("Cablecar: password"))
        self._question = labels.plain()
        self._field = PasswordField(_("&Password"))
        self._question.setBuddy(self._field.control)
        self._field.changed.connect(self._typed)
        self._save_it = QPushButton(_("Save and &connect"))
        buttons = QDialogButtonBox()
        # Not Qt's own: its key is the desktop's to choose, and may be that of the other button.
        buttons.addButton(QPushButton(_("C&ancel")), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self._save_it, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._save)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (self._question, self._field):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(buttons)
        self.setMinimumWidth(24 * self.fontMetrics().height())
        self._save_it.setDefault(True)  # not before it is in the dialog: that would be forgotten
        self._field.control.setFocus()
        client.changed.connect(self._follow)
        self._follow(client.snapshot)
        self._typed()

    def done(self, result: int) -> None:
        """Forget what was typed, and close."""
        self._field.set_value("")
        super().done(result)

    def _follow(self, snapshot: Snapshot) -> None:
        link = snapshot.link(self._path)
        if link is not None:
            question = _("The &password for {title}, as the provider gave it:")
            self._question.setText(question.format(title=literal(link.title)))
        elif snapshot.helper is Helper.RUNNING:
            self.reject()  # the link has been removed

    def _typed(self) -> None:
        self._field.set_error("")
        self._save_it.setEnabled(bool(self._field.value()) and not self._waiting)

    def _save(self) -> None:
        if self._waiting or not self._field.value():
            return
        value = [self._field.value()]
        self._client.ask(self._path, names.LINK_INTERFACE, "SetPassword", value, "", self._answered, clicked=True)
        self._wait(True)

    def _answered(self, answer: list[Any] | CallError) -> None:
        self._wait(False)
        if not isinstance(answer, CallError):
            self.stored.emit(self._path)
            self.accept()
            return
        self._field.set_error("" if words.is_declined(answer) else words.error(answer))
        self._field.control.setFocus()

    def _wait(self, waiting: bool) -> None:
        self._waiting = waiting
        self._field.setEnabled(not waiting)
        self._typed()
