"""Walks through every page of the applet's windows, and prints of each, in JSON, what Alt with a letter does there.

A program of its own, run by test_mnemonics.py in each language: that is chosen once, when the texts are loaded. There
is no helper: what it would say is put into the windows by hand.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTabBar,
    QTabWidget,
    QWidget,
)

from cablecar.applet import i18n
from cablecar.applet.assistant import Assistant
from cablecar.applet.client import Client
from cablecar.applet.diagnosis import DiagnosisWindow
from cablecar.applet.editor import Editor
from cablecar.applet.fields import PROTOCOLS, ChoiceField
from cablecar.applet.menu import describe
from cablecar.applet.model import UNKNOWN, CallError, Concentrator, Helper, Link, Provider, Snapshot
from cablecar.applet.password import PasswordDialog
from cablecar.applet.preferences import Preferences
from cablecar.applet.questions import Offers
from cablecar.applet.status import StatusWindow
from cablecar.applet.window import NO_TRAY, Window
from cablecar.helper import names

HOME = "/org/cablecar1/link/home"
STATES = (*names.STATES, UNKNOWN)
INPUTS = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, QAbstractItemView)
PARTS_OF = (QComboBox, QAbstractSpinBox, QLineEdit, QTabBar)  # what is in these is reached with them

Page = tuple[str, QWidget]


class Silent(Client):
    """A client with one link, `home`, that asks nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.become(names.DOWN)

    def ask(self, *_question: Any, **_options: Any) -> None:
        pass

    def become(self, state: str, reason: str = "") -> None:
        self.snapshot = Snapshot(Helper.RUNNING, (link(state, reason=reason),))
        self.changed.emit(self.snapshot)


def link(state: str, name: str = "home", reason: str = "") -> Link:
    return Link(f"/org/cablecar1/link/{name}", name, f"{name.title()} <b> & c", state, reason=reason)


def know_all(offers: Offers) -> None:
    """Let a helper be there that has every setting."""
    offers._doubtful.clear()
    offers.changed.emit()


def choice(field: Any) -> ChoiceField:
    assert isinstance(field, ChoiceField)
    return field


def questions(name: str, window: QWidget) -> Iterator[Page]:
    """Yield the question that is asked now, and answer it with Escape."""
    for box in window.findChildren(QMessageBox):
        yield name, box
        box.reject()
        box.setParent(None)


def assistant() -> Iterator[Page]:
    client = Silent()
    window = Assistant(client)
    know_all(window.providers._offers)
    window.providers.show_providers([Provider("one", "One", "IL", protocols=("pptp",))])
    for peers in (["one"], ["a & b"], ["one", "two"]):
        window.providers.show_peers(peers)
        yield f"assistant, provider, {len(peers)} found", window
    window._turn_to(window.account)
    for protocol in PROTOCOLS:
        choice(window.account.fields["protocol"]).set_value(protocol)
        yield f"assistant, account, {protocol}", window
        window.account.concentrators.show_found([Concentrator("eth0", "a")])
        yield f"assistant, account, {protocol}, answered", window
    window._path = HOME
    window._turn_to(window.attempt)
    for protocol in PROTOCOLS:
        choice(window.account.fields["protocol"]).set_value(protocol)
        for reason in (
            "authentication-failed",
            "server-refused",
            "not-admitted",
            "no-concentrator",
            "account-disabled",
        ):
            window.attempt.show_trouble("No.", reason, is_stored=True)
            yield f"assistant, call, {protocol}, {reason}", window
    window.show()
    window.reject()
    yield from questions("assistant, question", window)
    client.become(names.UP)
    yield "assistant, call, up", window


def editor() -> Iterator[Page]:
    client = Silent()
    window = Editor(client, HOME)
    know_all(window._offers)
    for own in ("route", "dns", "strict"):
        box = choice(window.fields[own]).box
        box.setCurrentIndex(box.count() - 1)
    for protocol in PROTOCOLS:
        choice(window.fields["protocol"]).set_value(protocol)
        yield from tabs(f"editor, {protocol}", window)
    window.show()
    window._ask_removal()
    yield from questions("editor, removal", window)
    client.become(names.UP)
    window._saved({"user"})
    yield from questions("editor, dial again", window)
    window._loaded = {"user": "somebody"}
    window.reject()
    yield from questions("editor, unsaved", window)


def tabs(name: str, window: QWidget) -> Iterator[Page]:
    (pages,) = window.findChildren(QTabWidget)
    for number in range(pages.count()):
        pages.setCurrentIndex(number)
        yield f"{name}, page {number}", window


def small_window() -> Iterator[Page]:
    window = Window(lambda _deed: None)
    window.set_note(NO_TRAY)
    for snapshot in (
        Snapshot(Helper.ABSENT),
        Snapshot(Helper.RUNNING),
        Snapshot(Helper.RUNNING, (link(names.FAILED, reason="authentication-failed"),)),
        *(Snapshot(Helper.RUNNING, (link(state),)) for state in STATES),
        *(Snapshot(Helper.RUNNING, (link(state), link(state, "work"))) for state in STATES),
    ):
        window.apply(describe(snapshot))
        name = ", ".join(["window", snapshot.helper.value, *(one.state for one in snapshot.links)])
        if len(snapshot.links) < 2:
            yield name, window
        else:
            yield from each_link(name, window)


def each_link(name: str, window: QWidget) -> Iterator[Page]:
    """Yield the window with the keyboard at each link. The buttons of the other one have keys when it is there."""
    window.show()
    window.activateWindow()
    buttons = [each for each in seen(window, QPushButton) if each.accessibleDescription()]
    for title in ("Home", "Work"):
        of_another = [each for each in buttons if title not in each.accessibleDescription()]
        next(each for each in buttons if each not in of_another).setFocus()
        QApplication.processEvents()
        for each in of_another:
            each.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # for this page, as if they were not there
        yield f"{name}, keyboard at {title}", window
        for each in of_another:
            each.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


def status() -> Iterator[Page]:
    """Yield the window in each state, with the most that it can offer then."""
    client = Silent()
    window = StatusWindow(client, HOME)
    window._answered("Details", CallError(names.ERROR_PREFIX + "NotAuthorized"))
    for state, reason in (*((state, "") for state in STATES), (names.FAILED, "no-password")):
        client.become(state, reason)
        yield from tabs(", ".join(filter(None, ["status", state, reason])), window)


def pages() -> Iterator[Page]:
    client = Silent()
    yield from assistant()
    yield from editor()
    yield from small_window()
    yield "preferences", Preferences(QSettings("/dev/null", QSettings.Format.IniFormat))
    yield "password", PasswordDialog(client, HOME)
    yield "diagnosis", DiagnosisWindow(client, HOME)
    yield from status()


def seen(window: QWidget, kind: type[QWidget]) -> list[Any]:
    """Return what can be seen of that kind in a window, and not in another one over it."""
    return [each for each in window.findChildren(kind) if each.window() is window and each.isVisibleTo(window)]


def inputs(window: QWidget) -> list[Any]:
    found = [each for kind in INPUTS for each in seen(window, kind)]
    return [
        each
        for each in found
        if each.focusPolicy() != Qt.FocusPolicy.NoFocus and not isinstance(each.parentWidget(), PARTS_OF)
    ]


def key(text: str) -> str:
    return QKeySequence.mnemonic(text).toString()


def mark(text: str) -> str:
    """Return the marked letter of a text, such as no name or title has that we show."""
    found = re.search(r"&(\w)", text.replace("&&", ""))
    return found[1] if found else ""


def keys(window: QWidget) -> list[tuple[str, QWidget | str]]:
    """Return each key with what it goes to; an empty one for a tab that has none."""
    labels = [each for each in seen(window, QLabel) if each.buddy() is not None]
    bars = seen(window, QTabBar)
    return [
        *((key(each.text()), each) for each in seen(window, QAbstractButton) if key(each.text())),
        *((key(each.text()), each.buddy()) for each in labels if key(each.text())),
        *((key(bar.tabText(i)), bar.tabText(i)) for bar in bars for i in range(bar.count())),
    ]


def told(window: QWidget) -> dict[str, Any]:
    found = keys(window)
    reached = [each for key, each in found if key]
    count = Counter(key for key, _each in found if key)
    named = [window, *seen(window, QWidget)]
    rows = [(row, button) for row in seen(window, QDialogButtonBox) for button in row.buttons()]
    return {
        "keys": list(count),
        "twice": [key for key, times in count.items() if times > 1],
        "unreached": [_name(each) for each in inputs(window) if each not in reached]
        + [each for key, each in found if not key],
        "shown": [each.text() for each in seen(window, QLabel) if each.buddy() is None and mark(each.text())],
        "read": [each.accessibleName() for each in named if mark(each.accessibleName())],
        "qts": [_name(each) for row, each in rows if row.standardButton(each) != row.StandardButton.NoButton],
    }


def _name(widget: Any) -> str:
    return f"{type(widget).__name__} {widget.accessibleName() or getattr(widget, 'text', str)()}"


def main() -> None:
    application = QApplication(["test"])
    i18n.install(application)
    for name, window in pages():
        print(json.dumps({"page": name} | told(window), ensure_ascii=False))


if __name__ == "__main__":
    main()
