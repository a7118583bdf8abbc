"""The diagnosis window against a fake helper on a private bus."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QProgressBar, QPushButton, QWidget

from cablecar.applet import diagnosis
from cablecar.applet.client import Client
from cablecar.applet.diagnosis import DiagnosisWindow, Mark, Row
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import BAD, GOOD, UNKNOWN, Finding

hand: Any = QTest  # whose stub takes its functions for methods

HOME = "/org/cablecar1/link/home"
FINDINGS = [
    {"id": "programs", "verdict": "good", "seen": "pppd and pptp are installed.", "advice": ""},
    {"id": "password", "verdict": "bad", "seen": "No password is stored.", "advice": "Set the password."},
    {"id": "pins", "verdict": "unknown", "seen": "The link is not up.", "advice": ""},
    {"id": "weather", "verdict": "odd", "seen": "<b>rain</b>\x1b[2J", "advice": "<i>umbrella</i>"},
]


@pytest.fixture
def fake(start: Callable[..., Any]) -> Any:
    made = start("status.py")
    made.do("add", name="home", Title="Home & <b>", quiet=True)
    made.do("say", member="Diagnose", what=FINDINGS)
    return made


@pytest.fixture
def client(fake: Any, follow: Callable[[], Client]) -> Client:
    return follow()


@pytest.fixture
def window(client: Client) -> Iterator[DiagnosisWindow]:
    made = DiagnosisWindow(client, HOME)
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def done(window: DiagnosisWindow, eventually: Any) -> DiagnosisWindow:
    window.show()
    eventually(lambda: len(rows(window)) == len(FINDINGS))
    return window


def rows(window: QWidget) -> list[Row]:
    return window.findChildren(Row)


def said(window: QWidget) -> str:
    return "\n".join(label.text() for label in window.findChildren(QLabel) if not label.isHidden())


def button(window: QWidget, text: str) -> QPushButton:
    return next(one for one in window.findChildren(QPushButton) if bare(one.text()).startswith(text))


def progress(window: QWidget) -> QProgressBar:
    found = window.findChild(QProgressBar)
    assert found is not None
    return found


def asked(fake: Any) -> list[Any]:
    calls: list[Any] = fake.seen("call", member="Diagnose", body=["home"], path="/org/cablecar1")
    return calls


def test_shows_every_check_with_what_was_seen_and_what_to_do(done: DiagnosisWindow, fake: Any) -> None:
    assert len(asked(fake)) == 1
    assert asked(fake)[0]["interactive"]
    text = said(done)
    for part in (
        "In order: Programs", "pppd and pptp are installed.", "Not in order: Password", "No password is stored.",
        "What to do: Set the password.", "Not known: Way to the server", "Not known: Check “weather”", "<b>rain</b>",
        "What to do: <i>umbrella</i>", "To be mended: 1 of 4 checks.",
    ):  # fmt: skip
        assert part in text
    assert "\x1b" not in text
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in done.findChildren(QLabel) if label.text())
    assert "Home & <b>" in done.windowTitle()
    done.grab()


def test_what_is_to_be_mended_stands_first(done: DiagnosisWindow) -> None:
    names = [row.accessibleName() for row in rows(done)]
    assert names == [
        "Not in order: Password",
        "Not known: Way to the server",
        "Not known: Check “weather”",
        "In order: Programs",
    ]


def test_shows_each_check_as_soon_as_it_is_done(window: DiagnosisWindow, fake: Any, eventually: Any) -> None:
    def says(link: str, finding: dict[str, str]) -> None:
        fake.do("check", link=link, finding=finding)

    heard: list[str] = []
    window._client.checked.connect(lambda link, _finding: heard.append(link))
    says("home", FINDINGS[0])  # nobody has asked yet
    eventually(lambda: heard)
    fake.do("outcome", member="Diagnose", hang=True)
    window.show()
    eventually(lambda: asked(fake))
    for link, finding in (("home", FINDINGS[0]), ("work", FINDINGS[1]), ("home", FINDINGS[1])):
        says(link, finding)
    eventually(lambda: [row.accessibleName()[-8:] for row in rows(window)] == ["Programs", "Password"])
    assert progress(window).isVisible() and not button(window, "Copy").isEnabled()
    eventually(lambda: fake.do("kept") == 1)
    fake.do("release")
    eventually(lambda: len(rows(window)) == len(FINDINGS) and not progress(window).isVisible())
    fake.do("outcome", member="Diagnose", hang=True)
    hand.mouseClick(button(window, "Again"), Qt.MouseButton.LeftButton)
    eventually(lambda: not rows(window))


def test_waits_for_a_helper_that_looks_for_long(window: DiagnosisWindow, fake: Any, eventually: Any) -> None:
    fake.do("outcome", member="Diagnose", hang=True)
    window.show()
    eventually(lambda: asked(fake))
    assert progress(window).isVisible() and "quarter of a minute" in said(window)
    assert not button(window, "Again").isEnabled() and not button(window, "Copy").isEnabled()
    window.run()
    window.hide()
    window.show()
    fake.do("release")
    eventually(lambda: rows(window))
    assert not progress(window).isVisible()
    assert len(asked(fake)) == 1


def test_again(done: DiagnosisWindow, fake: Any, eventually: Any) -> None:
    fake.do("say", member="Diagnose", what=FINDINGS[:1])
    hand.keyClick(button(done, "Again"), Qt.Key.Key_Space)
    eventually(lambda: "Nothing was found that needs mending." in said(done))
    eventually(lambda: len(rows(done)) == 1)
    assert len(asked(fake)) == 2


def test_copies_as_text(done: DiagnosisWindow) -> None:
    hand.mouseClick(button(done, "Copy"), Qt.MouseButton.LeftButton)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    lines = clipboard.text().splitlines()
    assert lines[0] == "Cablecar: diagnosis of Home & <b>"
    assert lines[lines.index("[Not in order] Password") + 1 :][:2] == [
        "    No password is stored.",
        "    What to do: Set the password.",
    ]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("org.cablecar1.Error.NotAuthorized", "You are not allowed to do this."),
        ("org.cablecar1.Error.NoSuchLink", "This link does not exist any more."),
        ("org.freedesktop.DBus.Error.UnknownMethod", "<b>old</b>"),
    ],
)
def test_says_why_it_cannot(window: DiagnosisWindow, fake: Any, eventually: Any, name: str, sentence: str) -> None:
    fake.do("outcome", member="Diagnose", error=name, text="<b>old</b>")
    window.show()
    eventually(lambda: sentence in said(window))
    assert button(window, "Again").isEnabled() and not progress(window).isVisible()


def test_an_answer_of_another_shape(window: DiagnosisWindow, fake: Any, eventually: Any) -> None:
    fake.do("say", member="Diagnose", what=[{"dns": ["x"]}, {"id": True, "verdict": 5}])
    window.show()
    eventually(lambda: asked(fake) and not progress(window).isVisible())
    assert "no checks" in said(window)
    assert not rows(window)


def test_the_helper_restarts_while_it_looks(
    window: DiagnosisWindow, client: Client, fake: Any, start: Any, eventually: Any
) -> None:
    fake.do("outcome", member="Diagnose", hang=True)
    window.show()
    eventually(lambda: asked(fake))
    fake.stop()
    eventually(lambda: not progress(window).isVisible() and "helper is not running" in said(window))
    assert not button(window, "Again").isEnabled()
    again = start("status.py")
    again.do("say", member="Diagnose", what=FINDINGS)
    again.do("add", name="home", quiet=True)
    client.start()
    eventually(lambda: button(window, "Again").isEnabled())
    hand.mouseClick(button(window, "Again"), Qt.MouseButton.LeftButton)
    eventually(lambda: len(rows(window)) == len(FINDINGS))


def test_the_link_is_removed(done: DiagnosisWindow, fake: Any, eventually: Any) -> None:
    fake.do("remove", name="home")
    eventually(lambda: "does not exist any more" in said(done))
    assert not button(done, "Again").isEnabled()
    assert len(rows(done)) == len(FINDINGS)
    assert button(done, "Copy").isEnabled()


def test_a_verdict_is_a_shape_and_a_word(application: QApplication) -> None:
    pictures = set()
    for verdict in (GOOD, BAD, UNKNOWN):
        mark = Mark(verdict)
        mark.resize(mark.sizeHint())
        assert mark.accessibleName()
        image = mark.grab().toImage()
        ground = image.pixelColor(0, image.height() - 1)
        # Where there is anything at all, whatever its colour.
        places = [(x, y) for x in range(image.width()) for y in range(image.height())]
        pictures.add(tuple(place for place in places if image.pixelColor(*place) != ground))
        mark.deleteLater()
    assert len(pictures) == 3


def test_the_keyboard_reaches_every_check(done: DiagnosisWindow) -> None:
    first, *_others = rows(done)
    first.setFocus()
    done.grab()
    for row in rows(done):
        assert row.focusPolicy() == Qt.FocusPolicy.StrongFocus
        assert ":" in row.accessibleName() and row.accessibleDescription()
    assert first.nextInFocusChain() is not None
    hand.keyClick(done, Qt.Key.Key_Escape)
    assert not done.isVisible()


def test_keys_press_the_buttons(done: DiagnosisWindow, fake: Any, eventually: Any) -> None:
    for key in (Qt.Key.Key_A, Qt.Key.Key_Y):
        hand.keyClick(done, key, Qt.KeyboardModifier.AltModifier)
        eventually(lambda: len(asked(fake)) == 2 and button(done, "Copy").isEnabled())
    eventually(lambda: "Copied." in said(done))
    hand.keyClick(done, Qt.Key.Key_C, Qt.KeyboardModifier.AltModifier)
    eventually(lambda: not done.isVisible())


def test_titles_of_all_checks_that_the_helper_has() -> None:
    for check in (
        "programs", "settings", "password", "peer-file", "server-name", "cable", "pins", "default-route", "last-call",
        "double-dialers", "mtu",
    ):  # fmt: skip
        assert "“" not in diagnosis.title(check)
    assert diagnosis.title("") == "A check"
    assert diagnosis.summary(()) and "1 of 1" in diagnosis.summary((Finding("x", BAD),))


def test_no_timer_of_its_own(done: DiagnosisWindow) -> None:
    done.hide()
    assert not [timer for timer in done.findChildren(QTimer) if timer.isActive()]


@pytest.mark.parametrize("direction", list(Qt.LayoutDirection)[:2])
def test_is_drawn_in_both_directions_and_in_a_small_room(done: DiagnosisWindow, direction: Qt.LayoutDirection) -> None:
    done.setLayoutDirection(direction)
    done.resize(200, 100)
    done.grab()
    assert done.minimumSizeHint().height() < 300
