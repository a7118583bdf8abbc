"""The assistant's third page: how far the first call has got, and what can be done when it goes wrong.

Shows what it is told. It neither stores nor calls: that is the assistant's.
"""

from collections.abc import Callable, Container
from typing import Final

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from cablecar.applet import labels, words
from cablecar.applet.fields import Message
from cablecar.applet.i18n import _
from cablecar.applet.model import Link
from cablecar.helper import names, reasons

# What a person can mend in the assistant: after which reason, by which fields.
_MENDED_IN: Final = {
    **dict.fromkeys(words.ANOTHER_PASSWORD, ("password",)),
    **dict.fromkeys(
        (
            reasons.SERVER_NOT_FOUND.id,
            reasons.SERVER_IMPLAUSIBLE.id,
            reasons.SERVER_NOT_GENUINE.id,
        ),
        ("server",),
    ),
    reasons.NOT_ADMITTED.id: ("server", "tunnel_secret"),
    # Nobody listens there, for calls of this kind.
    **dict.fromkeys(
        (reasons.SERVER_UNREACHABLE.id, reasons.SERVER_REFUSED.id, reasons.L2TP_NO_ANSWER.id), ("server", "protocol")
    ),
    **dict.fromkeys((reasons.NO_CABLE.id, reasons.NO_CONCENTRATOR.id), ("interface",)),
}
_MEND: Final = {
    "password": _("Correct &user name and password…"),
    "server": _("Correct the &server…"),
    "tunnel_secret": _("Correct the tunnel's se&cret…"),
    "protocol": _("Choose another &protocol…"),
    "interface": _("Correct the cable's &interface…"),
}


class Attempt(QWidget):
    """The third page: how the first call goes.

    Args:
        asks_for: Tells whether there is a field to go back to.

    Signals:
        mend: With the field to go back to.
        edit: All settings are asked for.
    """

    mend = pyqtSignal(str)
    edit = pyqtSignal()

    def __init__(self, asks_for: Callable[[str], bool]) -> None:
        super().__init__()
        self._asks_for = asks_for
        self._steps = [
            ("", labels.plain(), labels.plain(_("Storing the link; an administrator's password may be asked for"))),
            *((phase, labels.plain(), labels.plain(_phase(phase))) for phase in names.PHASES),
            (names.UP, labels.plain(), labels.plain(_("Connected"))),
        ]
        self.result = labels.plain(bold=True)
        self.message = Message()
        self.remarks = labels.text_box(_("What was not taken over"))
        self.remarks.hide()
        self._mends = {key: QPushButton(text) for key, text in _MEND.items()}
        for key, button in self._mends.items():
            button.clicked.connect(lambda _checked, key=key: self.mend.emit(key))
        self.edit_button = QPushButton(_("All s&ettings of the link…"))
        self.edit_button.clicked.connect(self.edit)
        self._now = ""
        steps = QGridLayout()
        steps.setColumnStretch(1, 1)
        for row, (_name, mark, text) in enumerate(self._steps):
            steps.addWidget(mark, row, 0)
            steps.addWidget(text, row, 1)
        buttons = QGridLayout()
        for row, button in enumerate((*self._mends.values(), self.edit_button)):
            buttons.addWidget(button, row, 0)
        buttons.setColumnStretch(1, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(steps)
        rows.addWidget(self.result)
        rows.addWidget(self.message)
        rows.addLayout(buttons)
        rows.addWidget(self.remarks)
        rows.addStretch(1)

    @property
    def mend_button(self) -> QPushButton:
        """The button of the first field that is offered to be mended; a hidden one when none is."""
        return next((each for each in self._mends.values() if not each.isHidden()), self._mends["password"])

    def show_step(self, now: str) -> None:
        """Show that this step is being done: empty, a phase, or `up` when all is done."""
        self._now = now
        self._mark(now, "▸" if now != names.UP else "✓")
        self.result.setText(_("You are on the Internet.") if now == names.UP else _("Please wait…"))
        self.result.show()
        self.message.say("")
        for button in self._mends.values():
            button.setAccessibleDescription("")
        self._offer((), in_trouble=False)

    def show_stored(self) -> None:
        """Show that the call begins; how far it got when it has ended, until it is said why."""
        if not self._now:
            self.show_step(names.PREPARING)

    def show_trouble(self, sentence: str, reason_id: str, *, is_stored: bool) -> None:
        """Show what went wrong, and offer what can be done about it."""
        for _name, mark, _text in self._steps:
            if mark.text() == "▸":
                mark.setText("✗")
        self.result.hide()
        self.message.say(sentence)
        self._offer(_MENDED_IN.get(reason_id, ()), in_trouble=is_stored)

    def show_remarks(self, text: str) -> None:
        """Show what is to be known of a link that was taken over."""
        self.remarks.setPlainText(text)
        self.remarks.setVisible(bool(text))

    def _mark(self, now: str, sign: str) -> None:
        place = next((index for index, (phase, *_rest) in enumerate(self._steps) if phase == now), 0)
        for index, (_name, mark, text) in enumerate(self._steps):
            mark.setText("✓" if index < place else sign if index == place else "•")
            font = text.font()
            font.setBold(index == place)
            text.setFont(font)

    def _offer(self, fields: Container[str], *, in_trouble: bool) -> None:
        for key, button in self._mends.items():
            button.setVisible(in_trouble and key in fields and self._asks_for(key))
        self.edit_button.setVisible(in_trouble)


def _phase(phase: str) -> str:
    return words.detail(Link("", "", "", names.DIALING, phase))
