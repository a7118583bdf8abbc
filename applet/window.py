"""The small window that stands in for the tray icon, and the help for the first link.

Shows the same description as the menu, as labels and buttons; owns no decision. All text is plain text.
"""

from typing import Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFontDatabase, QGuiApplication
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import pictures
from cablecar.applet.i18n import _
from cablecar.applet.menu import Click, Item, label

NO_TRAY: Final = _(
    "This desktop shows no tray icons, so this window takes the icon's place. "
    "(On GNOME, the extension “AppIndicator and KStatusNotifierItem Support” brings the tray.)"
)

# The password is asked for, so that it does not stay in the shell's history.
HOW_TO_ADD: Final = """\
busctl call org.cablecar1 /org/cablecar1 org.cablecar1.Manager AddLink 'sa{sv}' home 4 \\
    protocol s pptp server s SERVER user s USER title s 'My provider'
read -rsp 'Password: ' PASSWORD
busctl call org.cablecar1 /org/cablecar1/link/home org.cablecar1.Link SetPassword s "$PASSWORD"
"""


class Window(QWidget):
    """The menu's lines as a window."""

    def __init__(self, click: Click) -> None:
        super().__init__()
        self.setWindowTitle("Cablecar")
        self.setWindowIcon(pictures.app())
        self.setMinimumWidth(380)
        self._click = click
        self._items: tuple[Item, ...] = ()
        self._shown: dict[str, QLabel | QPushButton] = {}
        self._note = _plain_label()
        self._body = QWidget()
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(self._note)
        self._layout.addWidget(self._body)
        self._layout.addStretch(1)
        self.set_note("")

    def set_note(self, text: str) -> None:
        """Say why the window is here; nothing when it was asked for."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def apply(self, items: tuple[Item, ...]) -> None:
        """Make the window look like `items`."""
        same = [item.structure for item in items] == [item.structure for item in self._items]
        self._items = items
        if not same:
            self._build()
        self._refresh(items)

    def _build(self) -> None:
        old, self._body = self._body, QWidget()
        self._layout.replaceWidget(old, self._body)
        old.hide()
        old.deleteLater()
        self._shown.clear()
        rows = QVBoxLayout(self._body)
        rows.setContentsMargins(0, 0, 0, 0)
        self._add(rows, self._items)

    def _add(self, rows: QVBoxLayout, items: tuple[Item, ...]) -> None:
        buttons: QHBoxLayout | None = None
        for item in items:
            if item.does is None:
                if item.text or not item.visible:
                    self._shown[item.key] = _plain_label()
                    rows.addWidget(self._shown[item.key])
                buttons = None
                self._add(rows, item.children)
                continue
            if buttons is None:
                buttons = QHBoxLayout()
                rows.addLayout(buttons)
            button = QPushButton()
            button.clicked.connect(lambda _checked, key=item.key: self._chosen(key, self._items))
            buttons.addWidget(button)
            self._shown[item.key] = button

    def _refresh(self, items: tuple[Item, ...]) -> None:
        for item in items:
            widget = self._shown.get(item.key)
            if isinstance(widget, QPushButton):
                widget.setText(label(item.text))
                widget.setAccessibleName(item.text)
            elif widget is not None:
                widget.setText(item.more or item.text)
            if widget is not None:
                widget.setVisible(item.visible)
            self._refresh(item.children)

    def _chosen(self, key: str, items: tuple[Item, ...]) -> None:
        for item in items:
            if item.key == key and item.does is not None:
                self._click(item.does)
                return
            self._chosen(key, item.children)


class HowToAdd(QDialog):
    """How to add the first link: commands to copy."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle(_("Cablecar: add a link"))
        self.setWindowIcon(pictures.app())
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        text = _plain_label(
            _(
                "In a terminal, with your provider's server and your user name in the place of the words in capital "
                "letters. An administrator's password will be asked for."
            )
        )
        commands = QPlainTextEdit(HOW_TO_ADD)
        commands.setReadOnly(True)
        commands.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        commands.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        commands.setAccessibleName(_("Commands"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = QPushButton(_("Copy"))
        copy.clicked.connect(_copy_commands)
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for part in (text, commands, buttons):
            layout.addWidget(part)
        self.resize(820, 260)


def _copy_commands() -> None:
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(HOW_TO_ADD)


def _plain_label(text: str = "") -> QLabel:
    result = QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)  # a title may come from a file that somebody else wrote
    result.setWordWrap(True)
    return result
