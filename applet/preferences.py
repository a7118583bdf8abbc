"""The window for what a person can choose about the applet itself. Everything holds as soon as it is chosen."""

from functools import partial

from PyQt6.QtCore import QSettings, QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QGroupBox, QPushButton, QVBoxLayout, QWidget

from cablecar.applet.autostart import Autostart
from cablecar.applet.choices import Choices
from cablecar.applet.fields import Message
from cablecar.applet.i18n import _
from cablecar.applet.log import log
from cablecar.applet.story import Kind


class Preferences(QDialog):
    """The window.

    Signals:
        changed: Something else has been chosen.
    """

    changed = pyqtSignal()

    def __init__(self, settings: QSettings, autostart: Autostart | None = None) -> None:
        super().__init__()
        self.setWindowTitle(_("Cablecar: preferences"))
        self._choices = Choices(settings)
        self._autostart = autostart or Autostart()
        self._failure = Message()
        buttons = QDialogButtonBox()
        # Not Qt's own: its key is the desktop's to choose, and may be that of a box.
        buttons.addButton(QPushButton(_("&Close")), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self._notifications())
        layout.addWidget(self._applet())
        layout.addStretch(1)
        layout.addWidget(buttons)

    def _notifications(self) -> QWidget:
        kinds = (
            (Kind.DROPPED, _("the connection was &lost, and why")),
            (Kind.BACK, _("it is &back, and how long that took")),
            (Kind.FAILED, _("a link does not work &until you do something")),
        )
        group = QGroupBox(_("Tell me when"))
        column = QVBoxLayout(group)
        for kind, text in kinds:
            box = QCheckBox(text)
            box.setChecked(self._choices.tells(kind))
            box.toggled.connect(partial(self._choices.tell, kind))
            column.addWidget(box)
        return group

    def _applet(self) -> QWidget:
        group = QGroupBox(_("The icon"))
        column = QVBoxLayout(group)
        self._start = QCheckBox(_("&Start Cablecar when I log in"))
        self._start.setChecked(self._autostart.is_on())
        self._start.toggled.connect(self._start_toggled)
        always = QCheckBox(_("Show the &icon also while no link is in use"))
        always.setChecked(self._choices.icon_always)
        always.setToolTip(_("While there is no icon, start Cablecar again to see its window."))
        always.toggled.connect(self._always_toggled)
        for widget in (self._start, self._failure, always):
            column.addWidget(widget)
        return group

    def _start_toggled(self, wanted: bool) -> None:
        failure = ""
        try:
            self._autostart.switch(wanted)
        except OSError as error:
            log.error("cannot switch the start at login: %s", error)
            failure = _("This could not be written: {reason}").format(reason=error.strerror or error)
        self._failure.say(failure)
        with QSignalBlocker(self._start):
            self._start.setChecked(self._autostart.is_on())

    def _always_toggled(self, wanted: bool) -> None:
        self._choices.icon_always = wanted
        self.changed.emit()
