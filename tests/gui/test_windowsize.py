"""The first size of a window."""

from PyQt6.QtWidgets import QApplication, QWidget

from cablecar.applet import windowsize


def test_window_is_as_large_as_its_text_asks_for(application: QApplication) -> None:
    window = QWidget()
    windowsize.fit(window, 20, 10)
    line = window.fontMetrics().height()
    assert (window.width(), window.height()) == (20 * line, 10 * line)


def test_no_window_is_larger_than_the_screen(application: QApplication) -> None:
    """As at 200 % on a laptop: a button below the screen's edge cannot be clicked."""
    window = QWidget()
    font = window.font()
    font.setPointSize(40)
    window.setFont(font)
    windowsize.fit(window, 46, 46)
    screen = window.screen()
    assert screen is not None
    there = screen.availableGeometry()
    assert window.width() < there.width() and window.height() < there.height()
