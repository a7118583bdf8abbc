"""Labels for what comes from the helper: plain text, to be selected and copied, on the side where reading begins."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QLabel

_RIGHT_TO_LEFT = Qt.LayoutDirection.RightToLeft


def plain(text: str = "", *, keyboard: bool = False) -> QLabel:
    """Return a label; `keyboard` makes it a stop of the Tab key."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    flags = Qt.TextInteractionFlag.TextSelectableByMouse
    label.setTextInteractionFlags(flags | Qt.TextInteractionFlag.TextSelectableByKeyboard if keyboard else flags)
    label.setWordWrap(True)
    # Otherwise a label with Latin text would be drawn at the far side of a window that is mirrored.
    mirrored = QGuiApplication.layoutDirection() == _RIGHT_TO_LEFT
    side = Qt.AlignmentFlag.AlignRight if mirrored else Qt.AlignmentFlag.AlignLeft
    label.setAlignment(side | Qt.AlignmentFlag.AlignAbsolute | Qt.AlignmentFlag.AlignVCenter)
    return label
