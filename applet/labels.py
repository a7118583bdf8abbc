"""Labels and boxes of text that is shown as it is: to be selected and copied, on the side where reading begins."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFontMetrics, QGuiApplication
from PyQt6.QtWidgets import QLabel, QPlainTextEdit

_RIGHT_TO_LEFT = Qt.LayoutDirection.RightToLeft


def plain(text: str = "", *, keyboard: bool = False, bold: bool = False) -> QLabel:
    """Return a label that shows any text as it is, on as many lines as it takes; `keyboard` makes it a stop of the
    Tab key.
    """
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    flags = Qt.TextInteractionFlag.TextSelectableByMouse
    label.setTextInteractionFlags(flags | Qt.TextInteractionFlag.TextSelectableByKeyboard if keyboard else flags)
    label.setWordWrap(True)
    # Otherwise a label with Latin text would be drawn at the far side of a window that is mirrored.
    mirrored = QGuiApplication.layoutDirection() == _RIGHT_TO_LEFT
    side = Qt.AlignmentFlag.AlignRight if mirrored else Qt.AlignmentFlag.AlignLeft
    label.setAlignment(side | Qt.AlignmentFlag.AlignAbsolute | Qt.AlignmentFlag.AlignVCenter)
    if bold:
        font = label.font()
        font.setBold(True)
        label.setFont(font)
    return label


def text_box(name: str) -> QPlainTextEdit:
    """Return a box of seven lines for a text to be read; `name` is what a screen reader calls it."""
    box = QPlainTextEdit()
    box.setReadOnly(True)
    box.setTabChangesFocus(True)
    box.setAccessibleName(name)
    box.setFixedHeight(7 * QFontMetrics(box.font()).lineSpacing())
    document = box.document()
    assert document is not None
    option = document.defaultTextOption()
    # On one side, in whichever direction each line is written.
    option.setAlignment(plain().alignment() & Qt.AlignmentFlag.AlignHorizontal_Mask)
    document.setDefaultTextOption(option)
    return box
