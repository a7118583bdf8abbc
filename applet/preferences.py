"""What a person can choose about the applet itself, and the window for it.

Owns the keys of the settings file. Everything holds as soon as it is chosen. How links behave is no preference: that
is the helper's, for all users.
"""

from functools import partial
from typing import Final

from PyQt6.QtCore import QSettings, Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QGroupBox, QLabel, QVBoxLayout, QWidget

from cablecar.applet.autostart import Autostart
from cablecar.applet.i18n import _
from cablecar.applet.log import log
from cablecar.applet.story import Kind

_LAST_USED: Final = "last-used-link"
_ICON_ALWAYS: Final = "icon-always"
_NOTIFY: Final = "notify-{kind}"


class Choices:
    """The choices of this user.

    Args:
        settings: Where they are kept.
    """

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings

    def tells(self, kind: Kind) -> bool:
        """Whether notices of this kind are wanted; the answer to a click always is."""
        return kind is Kind.ANSWER or self._flag(_NOTIFY.format(kind=kind.value))

    def tell(self, kind: Kind, wanted: bool) -> None:
        """Tell notices of this kind, or not."""
        self._settings.setValue(_NOTIFY.format(kind=kind.value), wanted)

    @property
    def icon_always(self) -> bool:
        """Whether the icon is there also while no link is in use."""
        return self._flag(_ICON_ALWAYS)

    @icon_always.setter
    def icon_always(self, wanted: bool) -> None:
        self._settings.setValue(_ICON_ALWAYS, wanted)

    @property
    def last_used(self) -> str:
        """The name of the link that was clicked last."""
        return str(self._settings.value(_LAST_USED, ""))

    @last_used.setter
    def last_used(self, name: str) -> None:
        if name != self.last_used:
            self._settings.setValue(_LAST_USED, name)

    def _flag(self, key: str) -> bool:
        # The file holds words, and perhaps such as somebody has typed.
        return str(self._settings.value(key, "true")).lower() not in ("false", "0", "no", "off")


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
        self._failure = QLabel()
        self._failure.setTextFormat(Qt.TextFormat.PlainText)
        self._failure.setWordWrap(True)
        self._failure.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
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
            (Kind.FAILED, _("a link does not work until you do something")),
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
        try:
            self._autostart.switch(wanted)
        except OSError as error:
            log.error("cannot switch the start at login: %s", error)
            self._failure.setText(_("This could not be written: {reason}").format(reason=error.strerror or error))
        really = self._autostart.is_on()
        self._failure.setVisible(really != wanted)
        self._start.blockSignals(True)
        self._start.setChecked(really)
        self._start.blockSignals(False)

    def _always_toggled(self, wanted: bool) -> None:
        self._choices.icon_always = wanted
        self.changed.emit()
