"""What a form for settings is made of: fields with a label, an explanation and a line for what is wrong.

Owns how a setting is typed and shown. Has no rule about what is valid: that is the helper's. All text is plain text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from PyQt6.QtCore import QEvent, QObject, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QFontMetrics, QIcon
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import labels
from cablecar.applet.i18n import _
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import clean

PROTOCOLS: Final = {"pptp": "PPTP", "l2tp": "L2TP", "pppoe": "PPPoE"}
# What is no setting but goes in by a method of its own, and never comes out.
SECRETS: Final = {"password": "SetPassword", "tunnel_secret": "SetTunnelSecret"}
# Called the same in each language, so with the same keys.
METHODS: Final = {"pap": "&PAP", "chap": "C&HAP", "mschapv2": "M&S-CHAPv2", "eap": "&EAP"}
_WEAKNESS: Final = _(
    "{protocol} opens your account at the provider and no more: whoever is on the line can read what you send. "
    "For privacy, trust HTTPS, or a VPN of your own inside the link."
)
_ON_THE_CABLE: Final = frozenset({"pppoe"})  # call on the cable itself, and whoever is there
_WITH_TUNNEL_SECRET: Final = frozenset({"l2tp"})


def calls_an_address(protocol: str) -> bool:
    """Whether a protocol calls a server's address; else services, a VLAN and the interface may have to be told."""
    return protocol not in _ON_THE_CABLE


def weakness(protocol: str) -> str:
    """Say what a protocol does not protect from."""
    return _WEAKNESS.format(protocol=PROTOCOLS.get(protocol, protocol))


def icon_label(widget: QWidget, which: QStyle.StandardPixmap) -> QLabel:
    """Return a small picture of the style, as high as a line of `widget`."""
    made = QLabel()
    style = widget.style()
    assert style is not None
    size = QFontMetrics(widget.font()).height()
    made.setPixmap(style.standardIcon(which).pixmap(size, size))
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return made


def question(
    parent: QWidget, text: str, answers: Sequence[tuple[str, Callable[[], None] | None]], default: int = 0
) -> None:
    """Ask a person, without waiting: each answer has its text with a key, and what it does; the last is Escape's."""
    box = QMessageBox(QMessageBox.Icon.Question, "Cablecar", text, QMessageBox.StandardButton.NoButton, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    does: dict[QAbstractButton, Callable[[], None] | None] = {}
    for index, (answer, action) in enumerate(answers):
        role = QMessageBox.ButtonRole.RejectRole if index == len(answers) - 1 else QMessageBox.ButtonRole.AcceptRole
        button = box.addButton(answer, role)
        assert button is not None
        does[button] = action
        if index == default:
            box.setDefaultButton(button)
        if index == len(answers) - 1:
            box.setEscapeButton(button)

    def chosen(button: QAbstractButton) -> None:
        if (action := does.get(button)) is not None:
            action()

    box.buttonClicked.connect(chosen)
    box.open()


def sendable(text: str) -> str:
    """Return a text that somebody has typed or pasted, without what no message can carry."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def words_of(text: str) -> list[str]:
    """Return the words of a list, with spaces, commas or semicolons between them."""
    return sendable(text).replace(",", " ").replace(";", " ").split()


class Message(QWidget):
    """A sentence with the sign of a warning before it; takes no room while there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._text = labels.plain(bold=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(icon_label(self, QStyle.StandardPixmap.SP_MessageBoxWarning), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)
        self.say("")

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def say(self, text: str) -> None:
        """Say it; nothing when it is empty."""
        self._text.setText(text)
        self.setAccessibleName(text)
        self.setVisible(bool(text))


class Field(QWidget):
    """One setting: a control, a line that explains it, and a line for what is wrong.

    Args:
        title: What it is called, with the mark of the key that goes to it.
        explanation: What it is for.

    Signals:
        changed: Somebody has changed the value (or a program has, by `set_value`).
    """

    changed = pyqtSignal()

    def __init__(self, title: str, explanation: str = "") -> None:
        super().__init__()
        self.title = bare(title)
        self.name = labels.plain(title)  # stands before the field, in a column of its own
        self.name.setWordWrap(False)
        self.touched = False
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(2)
        self._explanation = labels.plain()
        self._error = Message()
        self._rows.addWidget(self._explanation)
        self._rows.addWidget(self._error)
        self.explain(explanation)

    def value(self) -> Any:
        """Return the value as the settings have it."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    @property
    def control(self) -> QWidget:
        """What gets the keyboard."""
        proxy = self.focusProxy()
        assert proxy is not None
        return proxy

    @property
    def error(self) -> str:
        """What is wrong with the value; empty when nothing is known to be."""
        return self._error.text

    def rename(self, title: str) -> None:
        """Call the setting otherwise."""
        self.title = bare(title)
        self.name.setText(title)
        self.control.setAccessibleName(self.title)

    def ask_for(self, protocol: str) -> None:
        """Ask for what this protocol needs; most fields are the same for all."""

    def explain(self, text: str) -> None:
        """Say in a line what the setting is for."""
        self._explanation.setText(text)
        self._explanation.setVisible(bool(text))
        self._describe()

    def set_error(self, sentence: str) -> None:
        """Show what is wrong; nothing when it is empty."""
        self._error.say(sentence)
        self._describe()

    def show_row(self, shown: bool) -> None:
        """Show the field with its label, or neither."""
        self.name.setVisible(shown)
        self.setVisible(shown)

    def _controls(self, *controls: QWidget) -> None:
        self.setFocusProxy(controls[0])
        row = QHBoxLayout()
        for control in controls:
            row.addWidget(control, 1 if isinstance(control, QLineEdit | QComboBox) else 0)
            if isinstance(control, QComboBox | QAbstractSpinBox):
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                control.installEventFilter(self)
        if not any(isinstance(control, QLineEdit | QComboBox) for control in controls):
            row.addStretch(1)
        self._rows.insertLayout(0, row)
        controls[0].setAccessibleName(self.title)
        self.name.setBuddy(controls[0])
        self.name.setMinimumHeight(controls[0].sizeHint().height())
        self._describe()

    def _describe(self) -> None:
        if self.focusProxy() is not None:
            self.control.setAccessibleDescription(" ".join(filter(None, (self.error, self._explanation.text()))))

    def _edited(self) -> None:
        self.touched = True
        self.changed.emit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the wheel scroll the page, and not change a value that the pointer happens to be on."""
        if event is not None and event.type() is QEvent.Type.Wheel and not self.control.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


class TextField(Field):
    """A line of text."""

    def __init__(self, title: str, explanation: str = "", example: str = "") -> None:
        super().__init__(title, explanation)
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(example)
        self.edit.textEdited.connect(lambda _text: self._edited())
        self._mark: QAction | None = None
        self._is_of_address = True
        self._laid_aside = ("", False)
        self._controls(self.edit)

    def begin(self, value: str) -> None:
        """Show a value as if nobody had ever typed another."""
        self._laid_aside, self.touched = ("", False), False
        self.set_value(value)

    def change_meaning(self, protocol: str) -> None:
        """Lay aside what was meant for calls to an address, or on the cable, and show what was for the other."""
        if calls_an_address(protocol) != self._is_of_address:
            self._is_of_address = not self._is_of_address
            there = (self.edit.text(), self.touched)
            (text, self.touched), self._laid_aside = self._laid_aside, there
            self.edit.setText(text)

    def value(self) -> str:
        """Return the text."""
        return sendable(self.edit.text())

    def set_value(self, value: Any) -> None:
        """Show a text."""
        if value != self.edit.text():
            self.edit.setText(str(value))
            self.changed.emit()

    def set_error(self, sentence: str) -> None:
        """Show what is wrong, with a sign in the field."""
        super().set_error(sentence)
        if sentence and self._mark is None:
            style = self.style()
            assert style is not None
            icon: QIcon = style.standardIcon(QStyle.StandardPixmap.SP_MessageBoxWarning)
            self._mark = self.edit.addAction(icon, QLineEdit.ActionPosition.TrailingPosition)
        elif not sentence and self._mark is not None:
            self.edit.removeAction(self._mark)
            self._mark = None


class PasswordField(TextField):
    """A password: hidden, unless somebody wants to see it.

    Args:
        title: As of any field.
        explanation: As of any field.
        example: What stands in it while it is empty.
        show: What it is called to see it.
    """

    def __init__(
        self, title: str, explanation: str = "", example: str = "", show: str = _("S&how the password")
    ) -> None:
        super().__init__(title, explanation, example)
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.edit.setInputMethodHints(
            Qt.InputMethodHint.ImhSensitiveData
            | Qt.InputMethodHint.ImhNoPredictiveText
            | Qt.InputMethodHint.ImhHiddenText
        )
        self.show_it = QCheckBox(show)
        self.show_it.toggled.connect(self._show)
        self._rows.insertWidget(1, self.show_it)

    def _show(self, shown: bool) -> None:
        self.edit.setEchoMode(QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password)


class TunnelSecretField(PasswordField):
    """What a server wants to hear before it takes a tunnel."""

    def __init__(self, explanation: str, example: str = "") -> None:
        super().__init__(_("Tunne&l secret"), explanation, example, _("Show th&e secret"))
        self.ask_for("pptp")

    def ask_for(self, protocol: str) -> None:
        """Be there for a protocol whose tunnels can have one."""
        self.show_row(protocol in _WITH_TUNNEL_SECRET)


class FlagField(Field):
    """Yes or no. Its title stands beside the box and not before it."""

    def __init__(self, title: str, explanation: str = "") -> None:
        super().__init__(title, explanation)
        self.name.clear()
        self.box = QCheckBox(title)
        self.box.clicked.connect(lambda _checked: self._edited())
        self._controls(self.box)

    def value(self) -> bool:
        """Return whether it is on."""
        return self.box.isChecked()

    def set_value(self, value: Any) -> None:
        """Show whether it is on."""
        if (value is True) != self.value():
            self.box.setChecked(value is True)
            self.changed.emit()


class ServerField(TextField):
    """Whom to call, in the words of the protocol."""

    def __init__(self) -> None:
        super().__init__(_("&Server"))
        self.ask_for("pptp")

    def ask_for(self, protocol: str) -> None:
        """Ask for what this protocol calls: the name of one is none of the other."""
        self.change_meaning(protocol)
        if calls_an_address(protocol):
            self.rename(_("&Server"))
            self.edit.setPlaceholderText("vpn.example.net")
            self.explain(_("The provider's server: a name or an IPv4 address."))
        else:
            self.rename(_("Acce&ss concentrator"))
            self.edit.setPlaceholderText(_("(any)"))
            self.explain(_("Its name, when the provider has given you one. Empty: whichever answers."))


class ServiceField(TextField):
    """Which service to ask an access concentrator for."""

    def __init__(self) -> None:
        super().__init__(_("S&ervice"), _("Its name, when the provider has given you one. Empty: any."), _("(any)"))

    def ask_for(self, protocol: str) -> None:
        """Be there for a protocol that has services."""
        self.show_row(not calls_an_address(protocol))


class InterfaceField(TextField):
    """Which interface the cable is on."""

    def __init__(self) -> None:
        super().__init__(_("Cable's &interface"), "", _("(automatic)"))
        self.ask_for("pptp")

    def ask_for(self, protocol: str) -> None:
        """Ask for what this protocol needs."""
        self.explain(
            _("Empty: the one by which the server is reached.")
            if calls_an_address(protocol)
            else _(
                "The one that the modem is plugged into, such as eth0. Empty: the one of the default route, or the "
                "only one with a cable."
            )
        )


class NumberField(Field):
    """A number; 0 means that nobody has chosen one."""

    def __init__(self, title: str, explanation: str, zero: str) -> None:
        super().__init__(title, explanation)
        self.spin = QSpinBox()
        self.spin.setRange(0, 65535)  # what is allowed of it is the helper's to say
        self.spin.setSpecialValueText(zero)
        self.spin.valueChanged.connect(lambda _value: self._edited())
        self._controls(self.spin)

    def value(self) -> int:
        """Return the number."""
        return self.spin.value()

    def set_value(self, value: Any) -> None:
        """Show a number."""
        if type(value) is int and value != self.value():
            with QSignalBlocker(self.spin):
                self.spin.setValue(value)
            self.changed.emit()


class VlanField(NumberField):
    """Which VLAN of the cable to call on."""

    def __init__(self) -> None:
        super().__init__(_("V&LAN"), _("Its number on the cable, when the provider has given you one."), _("none"))

    def ask_for(self, protocol: str) -> None:
        """Be there for a protocol that calls on the cable itself."""
        self.show_row(not calls_an_address(protocol))


class ChoiceField(Field):
    """One of several values, and perhaps a list of own ones in their place.

    Args:
        title: As of any field.
        explanation: As of any field.
        choices: What each value is called.
        own: What it is called to have own ones.
        own_title: What stands before the list of these, with the mark of its key.
        example: What such a list looks like.
    """

    def __init__(
        self,
        title: str,
        explanation: str,
        choices: Mapping[Any, str],
        own: str = "",
        own_title: str = "",
        example: str = "",
    ) -> None:
        super().__init__(title, explanation)
        self.box = QComboBox()
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContentsOnFirstShow)
        self.box.setMinimumContentsLength(12)
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(example)
        self.edit.setAccessibleName(own)
        self._own = own
        self._own_name = labels.plain(own_title)
        self._own_name.setWordWrap(False)
        self._own_name.setBuddy(self.edit)
        row = QHBoxLayout()
        row.setSpacing(QFontMetrics(self.font()).height() // 2)
        row.addWidget(self._own_name)
        row.addWidget(self.edit, 1)
        self._rows.insertLayout(0, row)
        self._controls(self.box)
        self.offer(choices, with_own=bool(own))
        self.box.currentIndexChanged.connect(lambda _index: self._chosen())
        self.edit.textEdited.connect(lambda _text: self._edited())

    def offer(self, choices: Mapping[Any, str], *, with_own: bool, keep: bool = True) -> None:
        """Offer these, and what is chosen now unless that need not be kept."""
        now = self.value() if self.box.count() and keep else None
        with QSignalBlocker(self.box):
            self.box.clear()
            for value, text in choices.items():
                self.box.addItem(text, value)
            if with_own:
                self.box.addItem(self._own, None)
            if now is not None:
                self._select(now)
        self._show_edit()

    @property
    def offered(self) -> int:
        """How many there are to choose from."""
        return self.box.count()

    def value(self) -> str | bool | list[str]:
        """Return the value, or the list in its place."""
        data = self.box.currentData()
        return data if isinstance(data, str | bool) else words_of(self.edit.text())

    def set_value(self, value: Any) -> None:
        """Show a value, or a list."""
        if isinstance(value, str | bool | list) and value != self.value():
            with QSignalBlocker(self.box):
                self._select(value)
            self._show_edit()
            self.changed.emit()

    def _select(self, value: str | bool | list[str]) -> None:
        # A value that is not offered comes from a file or from another version: it is shown, so that it can stay.
        if isinstance(value, list):
            self.edit.setText(" ".join(value))
            index = next((i for i in range(self.box.count()) if self.box.itemData(i) is None), -1)
            if index < 0:
                self.box.addItem(self._own, None)
        else:
            index = self.box.findData(value)
            if index < 0:
                self.box.addItem(clean(str(value)), value)
        self.box.setCurrentIndex(index if index >= 0 else self.box.count() - 1)

    def _chosen(self) -> None:
        self._show_edit()
        if not self.edit.isHidden():
            self.edit.setFocus()
        self._edited()

    def _show_edit(self) -> None:
        for part in (self._own_name, self.edit):
            part.setVisible(self.box.currentData() is None and self.box.count() > 0)


class SomeField(Field):
    """Any of several words; none means that nobody has chosen."""

    def __init__(self, title: str, explanation: str, choices: Mapping[str, str]) -> None:
        super().__init__(title, explanation)
        self.boxes = {value: QCheckBox(text) for value, text in choices.items()}
        self._kept: list[str] = []
        for box in self.boxes.values():
            box.clicked.connect(lambda _checked: self._edited())
        self._controls(*self.boxes.values())
        for value, box in self.boxes.items():
            box.setAccessibleName(f"{self.title}: {bare(choices[value])}")

    def value(self) -> list[str]:
        """Return those that are chosen."""
        return [value for value, box in self.boxes.items() if box.isChecked()] + self._kept

    def set_value(self, value: Any) -> None:
        """Show which are chosen; one that is not known stays as it is."""
        if isinstance(value, list) and value != self.value():
            self._kept = [item for item in value if item not in self.boxes]
            for word, box in self.boxes.items():
                box.setChecked(word in value)
            self.changed.emit()


class ListField(Field):
    """Several short words on one line."""

    def __init__(self, title: str, explanation: str, example: str) -> None:
        super().__init__(title, explanation)
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(example)
        self.edit.textEdited.connect(lambda _text: self._edited())
        self._controls(self.edit)

    def value(self) -> list[str]:
        """Return the words."""
        return words_of(self.edit.text())

    def set_value(self, value: Any) -> None:
        """Show the words."""
        if isinstance(value, list) and value != self.value():
            self.edit.setText(" ".join(value))
            self.changed.emit()


class Page(QScrollArea):
    """Fields one below the other, which scroll when there is not enough room for them."""

    def __init__(self, fields: Iterable[Field]) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        rows = QVBoxLayout(body)
        # Not a QFormLayout: it gives lines that wrap too little room.
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self._grid.setVerticalSpacing(QFontMetrics(self.font()).height())
        rows.addLayout(self._grid)
        rows.addStretch(1)
        for field in fields:
            row = self._grid.rowCount()
            self._grid.addWidget(field.name, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(field, row, 1)
        self.setWidget(body)

    def add(self, widget: QWidget) -> None:
        """Put something below the fields."""
        self._grid.addWidget(widget, self._grid.rowCount(), 0, 1, 2)
