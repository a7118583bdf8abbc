"""How large a window opens: as many lines of text as it needs, and no more than the screen has room for."""

from PyQt6.QtWidgets import QWidget

_FRAME = 3  # lines that the window manager's title and borders take


def fit(window: QWidget, width: int, height: int) -> None:
    """Give a window its first size, in heights of a line of text; what does not fit is for its pages to scroll."""
    line = window.fontMetrics().height()
    size = (width * line, height * line)
    if (screen := window.screen()) is not None:
        there = screen.availableGeometry()
        size = min(size[0], there.width() - line), min(size[1], there.height() - _FRAME * line)
    window.resize(*size)
