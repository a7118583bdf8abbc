"""The window that stands in for the icon: the menu's lines as labels and buttons."""

import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from cablecar.applet.menu import Command, describe
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import Helper, Link, Snapshot, Verb, View
from cablecar.applet.window import NO_TRAY, Window

KEYS: Any = QTest  # whose own stubs want an instance that nobody can make
HOME = "/org/cablecar1/link/home"
WORK = "/org/cablecar1/link/work"


def snapshot(*states: str) -> Snapshot:
    titles = (("home", "Home & Co <b>"), ("work", "Work"))
    return Snapshot(
        Helper.RUNNING,
        tuple(
            Link(f"/org/cablecar1/link/{name}", name, title, state, reason="hangup" if state == "waiting" else "")
            for (name, title), state in zip(titles, states, strict=False)
        ),
    )


@pytest.fixture
def clicks() -> list[Any]:
    return []


@pytest.fixture
def window(application: QApplication, clicks: list[Any]) -> Any:
    made = Window(clicks.append)
    made.apply(describe(snapshot("waiting", "up")))
    made.show()
    yield made
    made.close()
    made.deleteLater()


def texts(window: Window) -> list[str]:
    labels = [label for label in window.findChildren(QLabel) if label.isVisible() and label.text()]
    return [bare(label.text()) if label.buddy() is not None else label.text() for label in labels]


def buttons(window: Window) -> list[Any]:
    return [button for button in window.findChildren(QPushButton) if button.isVisible()]


def test_says_what_to_do_and_shows_no_markup(window: Window) -> None:
    assert texts(window) == [
        "1 Home & Co <b>: Waiting",
        "The connection to the provider's server was closed. Check the modem if this goes on, then call the provider.",
        "2 Work: Connected",
    ]


def test_buttons_do_what_the_menu_does(window: Window, clicks: list[Any]) -> None:
    for button in buttons(window):
        button.click()
    windows = (View.STATUS, View.LOG, View.DIAGNOSIS, View.SETTINGS)
    assert clicks == [
        (Verb.RECONNECT, HOME), (Verb.DISCONNECT, HOME), *((view, HOME) for view in windows),
        (Verb.RECONNECT, WORK), (Verb.DISCONNECT, WORK), *((view, WORK) for view in windows),
        Command.ADD, Command.PREFERENCES, Command.QUIT,
    ]  # fmt: skip
    assert all(button.accessibleName() for button in buttons(window))


def test_follows_in_place_and_keeps_the_keyboard(window: Window) -> None:
    window.activateWindow()
    button = next(button for button in buttons(window) if bare(button.text()) == "Disconnect")
    button.setFocus()
    window.apply(describe(snapshot("up", "up")))
    assert window.focusWidget() is button
    next(button for button in buttons(window) if bare(button.text()) == "Log…").setFocus()
    window.apply(describe(snapshot("up")))
    window.apply(describe(snapshot("up", "up")))
    assert len(buttons(window)) == 15
    focused: Any = window.focusWidget()
    assert (bare(focused.text()), focused.accessibleDescription()) == ("Log…", "Home & Co <b>: Connected")


def press(window: Window, key: Qt.Key) -> None:
    KEYS.keyClick(window, key, Qt.KeyboardModifier.AltModifier)


def test_keys_go_to_a_link_and_press_its_buttons(window: Window, clicks: list[Any], eventually: Any) -> None:
    window.activateWindow()
    assert KEYS.qWaitForWindowActive(window)
    press(window, Qt.Key.Key_S)
    eventually(lambda: clicks == [(View.STATUS, HOME)])
    press(window, Qt.Key.Key_2)
    focused: Any = window.focusWidget()
    assert (focused.accessibleName(), focused.accessibleDescription()) == ("Reconnect now", "Work: Connected")
    window.apply(describe(snapshot("up", "up")))  # what is shown anew does not send the keyboard back
    press(window, Qt.Key.Key_D)
    eventually(lambda: clicks[1:] == [(Verb.DISCONNECT, WORK)])
    press(window, Qt.Key.Key_A)
    eventually(lambda: clicks[2:] == [Command.ADD])
    window.apply(describe(snapshot("up")))
    press(window, Qt.Key.Key_S)
    eventually(lambda: clicks[3:] == [(View.STATUS, HOME)])


def test_the_keys_of_links_are_digits_while_there_are_any(window: Window) -> None:
    links = tuple(Link(f"/org/cablecar1/link/l{i}", f"l{i}", f"Link {i}", "up") for i in range(11))
    window.apply(describe(Snapshot(Helper.RUNNING, links)))
    assert [text for text in texts(window) if "Link" in text][7:] == [
        "8 Link 7: Connected", "9 Link 8: Connected", "Link 9: Connected", "Link 10: Connected"
    ]  # fmt: skip


def test_many_links_scroll(window: Window, application: QApplication) -> None:
    links = tuple(Link(f"/org/cablecar1/link/l{i}", f"l{i}", f"Link {i}", "up") for i in range(200))
    window.apply(describe(Snapshot(Helper.RUNNING, links)))
    screen = window.screen()
    assert screen is not None
    assert window.height() <= screen.availableSize().height()


def test_a_note_says_why_it_is_here(window: Window) -> None:
    window.set_note("Because.")
    assert texts(window)[0] == "Because."
    window.set_note("")
    assert texts(window)[0] != "Because."


def test_without_the_helper_there_is_little_to_click(window: Window) -> None:
    window.apply(describe(Snapshot(Helper.ABSENT)))
    assert [bare(button.text()) for button in buttons(window)] == [
        "Try again", "Preferences…", "Quit (links stay as they are)"
    ]  # fmt: skip


def test_nothing_is_cut_off(window: Window, application: QApplication) -> None:
    application.processEvents()
    width = window._area.viewport().width()  # type: ignore[union-attr]
    for widget in (*buttons(window), *(label for label in window.findChildren(QLabel) if label.isVisible())):
        assert widget.mapTo(window, widget.rect().topLeft()).x() >= 0
        assert widget.parentWidget() is None or widget.geometry().right() <= widget.parentWidget().width()
    assert window._area.widget().width() <= width  # type: ignore[union-attr]


def test_what_comes_later_covers_nothing(window: Window, application: QApplication) -> None:
    window.set_note(NO_TRAY)
    application.processEvents()
    for width in (window.width(), window.minimumWidth(), 2 * window.width(), window.minimumWidth()):
        window.resize(width, 0)
        for states in (("down", "down"), ("up", "down"), ("waiting", "up")):
            now = snapshot(*states)
            links = tuple(replace(link, since=time.time() - 60 if link.state == "up" else 0) for link in now.links)
            window.apply(describe(replace(now, links=links)))
            application.processEvents()
            parts = [child for child in window.children() if isinstance(child, QWidget) and child.isVisible()]
            parts.sort(key=QWidget.y)
            assert parts[0].height() >= parts[0].heightForWidth(parts[0].width())
            for above, below in pairwise(parts):
                assert above.geometry().bottom() < below.y(), f"{above} and {below} at {states}, {width} wide"
            assert parts[-1].geometry().bottom() < window.height()


def test_counters_are_followed_while_they_can_be_seen(window: Window) -> None:
    assert not window._timer.isActive()
    window.set_counting(True)
    assert window._timer.isActive()
    window.hide()
    assert not window._timer.isActive()
    window.show()
    assert window._timer.isActive()
    window.set_counting(False)
    assert not window._timer.isActive()


def test_a_screen_reader_hears_which_link_a_button_is_about(window: Window) -> None:
    described = [button.accessibleDescription() for button in buttons(window) if bare(button.text()) == "Status…"]
    assert described == ["Home & Co <b>: Waiting", "Work: Connected"]
