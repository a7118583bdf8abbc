"""Colours for what is drawn by hand, derived from the palette: right in the dark, and under a theme of the user's.

No colour says anything alone: whoever uses these also draws another shape or writes a word.
"""

from PyQt6.QtGui import QColor, QPalette

_GREEN = 140 / 360
_RED = 5 / 360


def good(palette: QPalette) -> QColor:
    """Return the colour of what is as it should be."""
    return _tinted(palette, _GREEN)


def bad(palette: QPalette) -> QColor:
    """Return the colour of what needs somebody."""
    return _tinted(palette, _RED)


def text(palette: QPalette) -> QColor:
    """Return the colour of text on the background of views."""
    return palette.color(QPalette.ColorRole.Text)


def hint(palette: QPalette) -> QColor:
    """Return the colour of what an empty field says: weaker than the text, and still to be read."""
    colour = text(palette)
    colour.setAlphaF(0.65)
    return colour


def faint(palette: QPalette) -> QColor:
    """Return a colour for lines of a grid: between the text and its background."""
    front, back = text(palette), palette.color(QPalette.ColorRole.Base)
    return QColor(*(round(0.3 * one + 0.7 * other) for one, other in zip(_rgb(front), _rgb(back), strict=True)))


def _tinted(palette: QPalette, hue: float) -> QColor:
    dark = palette.color(QPalette.ColorRole.Base).lightness() < text(palette).lightness()
    return QColor.fromHslF(hue, 0.6, 0.62 if dark else 0.36)


def _rgb(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()
