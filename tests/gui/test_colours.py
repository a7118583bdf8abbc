"""The colours of what is drawn by hand can be seen on light and on dark ground."""

from typing import Any

import pytest
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication, QLineEdit

from cablecar.applet import colours


def luminance(colour: QColor) -> float:
    """Return the relative luminance of WCAG 2."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.getRgbF()[:3] if c is not None
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: QColor, other: QColor) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("ground", "text"), [("#ffffff", "#000000"), ("#fcfcfc", "#232629"), ("#1b1e20", "#fcfcfc"), ("#000000", "#ffff00")]
)
def test_contrast(application: QApplication, ground: str, text: str) -> None:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Base, QColor(ground))
    palette.setColor(QPalette.ColorRole.Text, QColor(text))
    for colour in (colours.good(palette), colours.bad(palette), colours.text(palette)):
        assert contrast(colour, QColor(ground)) >= 3  # what WCAG wants of what is not text
    assert contrast(colours.faint(palette), QColor(ground)) > 1.2


@pytest.mark.parametrize(("ground", "text"), [("#1b1e20", "#fcfcfc"), ("#ffffff", "#000000")])
def test_hints_in_empty_fields_can_be_read_under_every_theme(
    application: QApplication, ground: str, text: str, eventually: Any
) -> None:
    before = application.palette()
    theme = QPalette(before)
    theme.setColor(QPalette.ColorRole.Base, QColor(ground))
    theme.setColor(QPalette.ColorRole.Text, QColor(text))
    theme.setColor(QPalette.ColorRole.PlaceholderText, QColor(0, 0, 0, 128))
    application.setPalette(theme)
    try:
        eventually(lambda: QLineEdit().palette().color(QPalette.ColorRole.PlaceholderText) != QColor(0, 0, 0, 128))
        palette = QLineEdit().palette()
        hint = palette.color(QPalette.ColorRole.PlaceholderText)
        assert palette.color(QPalette.ColorRole.Base) == QColor(ground)
        share = hint.alphaF()
        assert share is not None
        mixed = [
            share * a + (1 - share) * b for a, b in zip(hint.getRgb()[:3], QColor(ground).getRgb()[:3], strict=True)
        ]
        assert contrast(QColor(*map(round, mixed)), QColor(ground)) >= 4.5  # what WCAG wants of text
    finally:
        application.setPalette(before)
