"""The status window against a fake helper on a private bus."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QLocale, Qt, QTimer
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QCheckBox, QFileDialog, QLabel, QLineEdit, QPushButton, QTabWidget, QWidget

from cablecar.applet import status
from cablecar.applet.client import Client
from cablecar.applet.logview import LogView
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import CallError
from cablecar.applet.plot import Plot
from cablecar.applet.status import StatusWindow
from cablecar.applet.strip import Strip

hand: Any = QTest  # whose stub takes its functions for methods

HOME = "/org/cablecar1/link/home"
UP = {
    "server": "pptp.example.net",
    "user": "me@C012",
    "interface": "ppp0",
    "local_address": "10.64.12.3",
    "remote_address": "10.64.0.1",
    "dns": ["192.0.2.1", "192.0.2.2"],
    "received": 1000,
    "sent": 500,
}
HOUR = 3600


def microseconds(ago: float) -> int:
    return int((time.time() - ago) * 1e6)


@pytest.fixture
def fake(start: Callable[..., Any]) -> Any:
    made = start("status.py")
    made.do("add", name="home", Title="Home & Co <b>", State="up", Since=microseconds(2 * HOUR), quiet=True)
    made.do("say", member="Details", what=UP)
    made.do("say", member="Log", what=["PAP authentication succeeded", "<b>bold</b>"])
    ended = {"dialed": microseconds(4 * HOUR), "connected": microseconds(4 * HOUR), "ended": microseconds(3 * HOUR)}
    made.do("say", member="History", what=[ended | {"reason": "hangup", "received": 5, "sent": 5}])
    return made


@pytest.fixture
def client(fake: Any, application: QApplication, eventually: Any) -> Iterator[Client]:
    QLocale.setDefault(QLocale("en_GB"))
    made = Client()
    made.start()
    eventually(lambda: made.snapshot.links and not made.snapshot.links[0].partial)
    yield made
    made.deleteLater()
    QLocale.setDefault(QLocale.c())


@pytest.fixture
def window(client: Client, monkeypatch: pytest.MonkeyPatch, eventually: Any) -> Iterator[StatusWindow]:
    monkeypatch.setattr(status, "UP_MS", 30)
    monkeypatch.setattr(status, "DIALING_MS", 30)
    made = StatusWindow(client, HOME)
    made.show()
    eventually(lambda: "pptp.example.net" in said(made) and "authentication" in log(made))
    yield made
    made.close()
    made.deleteLater()


def said(window: QWidget) -> str:
    """Return all that the labels say."""
    return "\n".join(label.text() for label in window.findChildren(QLabel) if not label.isHidden())


def log(window: QWidget) -> str:
    view = window.findChild(LogView)
    assert view is not None
    return view.toPlainText()


def plot(window: QWidget) -> Plot:
    found = window.findChild(Plot)
    assert found is not None
    return found


def strip(window: QWidget) -> Strip:
    found = window.findChild(Strip)
    assert found is not None
    return found


def pages(window: QWidget) -> QTabWidget:
    found = window.findChild(QTabWidget)
    assert found is not None
    return found


def timers(window: QWidget) -> int:
    """Return how many of the window's own timers run."""
    return sum(timer.isActive() for timer in own_timers(window))


def own_timers(window: QWidget) -> list[QTimer]:
    return window.findChildren(QTimer, options=Qt.FindChildOption.FindDirectChildrenOnly)


def button(window: QWidget, text: str) -> QPushButton:
    return next(one for one in window.findChildren(QPushButton) if bare(one.text()).startswith(text))


def offered(window: QWidget) -> list[str]:
    wanted = ("Connect", "Reconnect", "Try", "Disconnect", "Stop")
    texts = [bare(one.text()) for one in window.findChildren(QPushButton) if not one.isHidden()]
    return [text for text in texts if text.startswith(wanted)]


def asked(fake: Any, member: str) -> int:
    return len(fake.seen("call", member=member))


def clipboard() -> str:
    board = QGuiApplication.clipboard()
    assert board is not None
    return board.text()


def test_shows_what_is_up(window: StatusWindow) -> None:
    text = said(window)
    for part in ("Home & Co <b>", "Connected since", "2 h", "me@C012", "ppp0", "10.64.12.3", "10.64.0.1"):
        assert part in text
    assert "192.0.2.1, 192.0.2.2" in text
    assert "Home & Co <b>" in window.windowTitle()
    assert offered(window) == ["Reconnect now", "Disconnect"]
    assert [drop.reason for drop in strip(window).drops] == ["hangup"]
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in window.findChildren(QLabel) if label.text())


def test_numbers_are_live(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("say", member="Details", what=UP | {"received": 5_000_000, "sent": 700})
    eventually(lambda: "5 MB" in said(window))
    eventually(lambda: any(sample.received > 0 for sample in plot(window).samples))
    assert "Received" in plot(window).accessibleDescription()
    window.grab()


def test_nothing_is_measured_while_it_is_not_up(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("say", member="Details", what={"server": "pptp.example.net"})
    fake.do("set", name="home", State="dialing", Phase="preparing")
    eventually(lambda: "10.64.12.3" not in said(window))
    samples = plot(window).samples
    for phase in ("connecting", "authenticating", "configuring"):
        calls = asked(fake, "Details")
        fake.do("set", name="home", Phase=phase)
        eventually(lambda calls=calls: asked(fake, "Details") > calls)
    fake.do("say", member="Details", what={"server": "other.example.net"})
    fake.do("set", name="home", Phase="preparing")
    eventually(lambda: "other.example.net" in said(window))
    assert plot(window).samples == samples


def test_what_went_through_while_nobody_looked_is_a_gap(window: StatusWindow, eventually: Any) -> None:
    eventually(lambda: len(plot(window).samples) > 1)
    window.hide()
    before = plot(window).samples
    window.show()
    eventually(lambda: len(plot(window).samples) > len(before))
    assert plot(window).samples[len(before)].begin > before[-1].end


def test_a_slow_helper_is_not_asked_the_faster(
    window: StatusWindow, fake: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.do("outcome", member="Details", hang=True)
    eventually(lambda: fake.do("kept") == 1)
    before = asked(fake, "Details")
    ticks: list[None] = []
    own_timers(window)[0].timeout.connect(lambda: ticks.append(None))
    eventually(lambda: len(ticks) > 5)
    assert asked(fake, "Details") == before
    monkeypatch.setattr(status, "UP_MS", 10**6)
    fake.do("say", member="Details", what=UP | {"received": 5_000_000})
    fake.do("outcome", member="Details")
    fake.do("release")
    eventually(lambda: "5 MB" in said(window))
    hand.mouseClick(button(window, "Reconnect now"), Qt.MouseButton.LeftButton)
    eventually(lambda: fake.seen("call", member="Reconnect"))
    assert asked(fake, "Details") == before


def test_what_another_link_does_is_not_asked_about(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("set", name="home", State="down")
    eventually(lambda: offered(window) == ["Connect"])
    hand.mouseClick(button(window, "Connect"), Qt.MouseButton.LeftButton)
    eventually(lambda: fake.seen("call", member="Connect"))
    calls = len(fake.seen("call", path=HOME))
    fake.do("add", name="work", State="up")
    eventually(lambda: len(window._client.snapshot.links) == 2)
    hand.mouseClick(button(window, "Connect"), Qt.MouseButton.LeftButton)
    eventually(lambda: len(fake.seen("call", member="Connect")) == 2)
    assert len(fake.seen("call", path=HOME)) == calls + 1


def test_no_timer_runs_when_nobody_can_see_it(window: StatusWindow, fake: Any, eventually: Any) -> None:
    eventually(lambda: timers(window) == 1)
    window.hide()
    assert timers(window) == 0
    window.show()
    assert timers(window) == 1
    window.showMinimized()
    eventually(lambda: timers(window) == 0)
    window.showNormal()
    eventually(lambda: timers(window) == 1)
    window.close()
    assert timers(window) == 0
    fake.do("set", name="home", State="dialing")
    eventually(lambda: "Disconnect" not in offered(window))
    calls = asked(fake, "Details")  # those that were on their way have arrived
    fake.do("set", name="home", State="up", Since=microseconds(0))
    eventually(lambda: "Disconnect" in offered(window))
    assert timers(window) == 0
    assert asked(fake, "Details") == calls


def test_a_window_never_shown_asks_nothing(client: Client, fake: Any) -> None:
    window = StatusWindow(client, HOME)
    fake.do("set", name="home", State="waiting")
    assert timers(window) == 0
    assert not fake.seen("call", member="Details")
    window.deleteLater()


@pytest.mark.parametrize(
    ("state", "running"), [("down", 0), ("waiting", 0), ("failed", 0), ("stopping", 0), ("dialing", 1)]
)
def test_a_timer_runs_only_while_something_moves(
    window: StatusWindow, fake: Any, eventually: Any, state: str, running: int
) -> None:
    fake.do("set", name="home", State=state)
    eventually(lambda: "Disconnect" not in offered(window))  # it has heard of it
    assert timers(window) == running


def test_the_link_drops_while_the_window_is_open(window: StatusWindow, fake: Any, eventually: Any) -> None:
    eventually(lambda: plot(window).samples)
    samples = len(plot(window).samples)
    fake.do("say", member="Details", what={"server": "pptp.example.net", "user": "me@C012"})
    fake.do("say", member="Log", what=["PAP authentication succeeded", "LCP terminated by peer"])
    calls = asked(fake, "History")
    fake.do("set", name="home", State="waiting", Reason="terminated-by-peer", Since=microseconds(0), NextRetry=0)
    eventually(lambda: "The provider ended the call." in said(window))
    eventually(lambda: "10.64.12.3" not in said(window))
    eventually(lambda: "LCP terminated" in log(window) and asked(fake, "History") > calls)
    assert offered(window) == ["Try now", "Stop trying"]
    assert timers(window) == 0
    assert len(plot(window).samples) >= samples  # what there was stays to be seen
    fake.do("say", member="Details", what=UP | {"received": 0, "sent": 0})
    fake.do("set", name="home", State="up", Reason="", Since=microseconds(0))
    eventually(lambda: "10.64.12.3" in said(window) and timers(window) == 1)
    assert all(sample.received >= 0 for sample in plot(window).samples)


def test_the_log_is_followed_while_dialing(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("set", name="home", State="dialing", Phase="connecting", Since=microseconds(0))
    fake.do("say", member="Log", what=["pppd 2.5.2 started by root, uid 0"])
    eventually(lambda: "pppd 2.5.2" in log(window))
    fake.do("say", member="Log", what=["pppd 2.5.2 started by root, uid 0", "Using interface ppp0"])
    eventually(lambda: "Using interface ppp0" in log(window))
    assert "Calling the provider" in said(window)


def test_the_helper_restarts(window: StatusWindow, client: Client, fake: Any, start: Any, eventually: Any) -> None:
    fake.stop()
    eventually(lambda: "helper is not running" in said(window))
    assert timers(window) == 0
    assert offered(window) == []
    assert "pptp.example.net" in said(window)
    assert not button(window, "Diagnose").isEnabled()
    again = start("status.py")
    again.do("say", member="Details", what=UP | {"server": "other.example.net"})
    again.do("add", name="home", Title="Home", State="up", Since=microseconds(5), quiet=True)
    client.start()
    eventually(lambda: "other.example.net" in said(window) and timers(window) == 1)
    assert button(window, "Diagnose").isEnabled()


def test_the_link_is_removed(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("remove", name="home")
    eventually(lambda: "does not exist any more" in said(window))
    assert timers(window) == 0
    assert offered(window) == []
    hand.mouseClick(button(window, "Copy"), Qt.MouseButton.LeftButton)
    assert "pptp.example.net" in clipboard() and "does not exist any more" in clipboard()


def test_buttons_do_as_the_menu_does(window: StatusWindow, fake: Any, eventually: Any) -> None:
    for text, member in (("Reconnect now", "Reconnect"), ("Disconnect", "Disconnect")):
        hand.mouseClick(button(window, text), Qt.MouseButton.LeftButton)
        eventually(lambda member=member: fake.seen("call", member=member, path=HOME, interactive=True))
    assert not any(call["interactive"] for call in fake.seen("call", member="Details"))


def test_the_password_can_be_changed_where_that_may_help(window: StatusWindow, fake: Any, eventually: Any) -> None:
    asked_for: list[None] = []
    window.mends.connect(lambda: asked_for.append(None))
    change = button(window, "Change password")
    assert change.isHidden()
    fake.do("set", name="home", State="failed", Reason="no-password")
    eventually(lambda: not change.isHidden())
    hand.mouseClick(change, Qt.MouseButton.LeftButton)
    assert asked_for == [None]
    fake.do("set", name="home", State="failed", Reason="program-missing")
    eventually(lambda: change.isHidden())


def test_a_click_that_did_not_work_is_told(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("outcome", member="Reconnect", error="org.cablecar1.Error.NoCable", text="")
    hand.mouseClick(button(window, "Reconnect now"), Qt.MouseButton.LeftButton)
    eventually(lambda: "The cable is not connected" in said(window))
    fake.do("outcome", member="Reconnect", error="org.cablecar1.Error.Cancelled", text="<b>no</b>")
    hand.mouseClick(button(window, "Reconnect now"), Qt.MouseButton.LeftButton)
    eventually(lambda: len(fake.seen("call", member="Reconnect")) == 2)
    assert "The cable is not connected" not in said(window)


def test_a_click_about_another_link_is_told_elsewhere(window: StatusWindow, client: Client) -> None:
    client.refused.emit(HOME + "2", CallError("", "<i>other</i>"))
    assert "<i>other</i>" not in said(window)
    client.refused.emit(HOME, CallError("", "<i>this</i>"))
    assert "<i>this</i>" in said(window)


def test_what_changes_while_an_answer_is_on_its_way_is_asked_again(
    window: StatusWindow, fake: Any, eventually: Any
) -> None:
    fake.do("outcome", member="Log", hang=True)
    before = asked(fake, "Log")
    for state in ("waiting", "down", "waiting"):
        fake.do("set", name="home", State=state)
        eventually(lambda state=state: window._client.snapshot.links[0].state == state)
    eventually(lambda: fake.do("kept") == 1)
    fake.do("outcome", member="Log")
    fake.do("release")
    eventually(lambda: asked(fake, "Log") == before + 2)


def test_a_click_while_an_answer_is_on_its_way_stays_a_click(
    window: StatusWindow, fake: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer asks too; what it asks for must not take away polkit's leave to ask for a password."""
    fake.do("outcome", member="Details", hang=True)
    eventually(lambda: fake.do("kept") == 1)
    window._permission.click()
    monkeypatch.setattr(status, "UP_MS", 10**6)
    fake.do("outcome", member="Details")
    fake.do("release")
    eventually(lambda: fake.seen("call", member="Details", interactive=True))


def test_copies_with_and_without_the_user_name(window: StatusWindow, fake: Any, eventually: Any) -> None:
    copy = button(window, "Copy")
    hand.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert "me@C012" in clipboard() and "<b>bold</b>" in clipboard() and "was closed" in clipboard()
    box = window.findChild(QCheckBox)
    assert box is not None
    box.setChecked(True)
    hand.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert "C012" not in clipboard() and "pptp.example.net" in clipboard()
    calls = asked(fake, "Details")
    eventually(lambda: asked(fake, "Details") > calls + 1)
    assert "Copied" in said(window)


def save_as(window: StatusWindow, path: Path, eventually: Any) -> None:
    hand.mouseClick(button(window, "Save"), Qt.MouseButton.LeftButton)
    dialog = eventually(lambda: window.findChild(QFileDialog))
    name = dialog.findChild(QLineEdit)
    assert name is not None and name.text().startswith("cablecar-home-")
    name.setText(str(path))
    dialog.accept()


def test_saves_as_text(window: StatusWindow, tmp_path: Path, eventually: Any) -> None:
    save_as(window, tmp_path / "report.txt", eventually)
    eventually(lambda: "Saved" in said(window))
    assert "me@C012" in (tmp_path / "report.txt").read_text("utf-8")


def test_says_when_it_cannot_be_saved(window: StatusWindow, tmp_path: Path) -> None:
    window._write(str(tmp_path / "no" / "folder" / "report.txt"))
    assert "could not be saved" in said(window)


def test_nobody_is_sent_to_ask_before_the_helper_has_answered(client: Client) -> None:
    window = StatusWindow(client, HOME)
    assert button(window, "Ask for permission").isHidden()
    window.deleteLater()


def test_who_may_not_see_the_details_can_ask(window: StatusWindow, fake: Any, eventually: Any) -> None:
    error = {"error": "org.cablecar1.Error.NotAuthorizedCanObtain", "text": "no"}
    for member in ("Details", "History", "Log"):
        fake.do("outcome", member=member, **error)
    fake.do("set", name="home", Since=microseconds(1))
    eventually(lambda: not button(window, "Ask for permission").isHidden())
    assert timers(window) == 0
    assert "needs a password" in said(window)
    for member in ("Details", "History", "Log"):
        fake.do("outcome", member=member)
    hand.mouseClick(button(window, "Ask for permission"), Qt.MouseButton.LeftButton)
    eventually(lambda: fake.seen("call", member="Details", interactive=True))
    eventually(lambda: button(window, "Ask for permission").isHidden() and timers(window) == 1)
    eventually(lambda: "needs a password" not in said(window))


def test_who_comes_back_to_the_window_and_is_allowed_again_sees_the_details(
    window: StatusWindow, fake: Any, eventually: Any
) -> None:
    other = QWidget()
    other.show()
    fake.do("outcome", member="Details", error="org.cablecar1.Error.NotAuthorizedCanObtain", text="no")
    eventually(lambda: not button(window, "Ask for permission").isHidden())
    other.activateWindow()
    eventually(lambda: not window.isActiveWindow())
    before = asked(fake, "Details")
    window.activateWindow()
    eventually(lambda: window.isActiveWindow() and asked(fake, "Details") == before + 1)
    assert not button(window, "Ask for permission").isHidden() and timers(window) == 0
    other.activateWindow()
    eventually(lambda: not window.isActiveWindow())
    fake.do("outcome", member="Details")
    window.activateWindow()
    eventually(lambda: button(window, "Ask for permission").isHidden() and timers(window) == 1)
    assert not fake.seen("call", member="Details", interactive=True)
    other.deleteLater()


def test_hostile_answers_are_only_text(window: StatusWindow, fake: Any, eventually: Any) -> None:
    evil = "<img src='x'>\x1b[2J\u202eevil"
    fake.do("say", member="Details", what={"server": evil, "user": evil, "<h1>key</h1>": evil, "dns": [evil] * 500})
    fake.do("say", member="Log", what=[evil * 100], times=2000)
    fake.do("say", member="History", what=[{"ended": 1, "reason": evil}, {"ended": True}, {"dns": ["x"]}], times=400)
    fake.do("set", name="home", State="<b>odd</b>", Title=evil, Reason=evil)
    eventually(lambda: "<h1>key</h1>" in said(window))
    eventually(lambda: "[2J" in log(window))
    assert "\x1b" not in said(window) + log(window) and "\u202e" not in said(window) + log(window)
    assert timers(window) == 0
    window.grab()


@pytest.mark.parametrize("member", ["Details", "History", "Log"])
def test_an_older_helper_that_lacks_a_method(window: StatusWindow, fake: Any, eventually: Any, member: str) -> None:
    fake.do("outcome", member=member, error="org.freedesktop.DBus.Error.UnknownMethod", text="<b>no such</b>")
    fake.do("set", name="home", State="dialing", Since=microseconds(0))
    eventually(lambda: "<b>no such</b>" in said(window))
    fake.do("outcome", member=member)
    fake.do("set", name="home", State="up", Since=microseconds(0))
    eventually(lambda: "<b>no such</b>" not in said(window))


def test_everything_works_by_keyboard(window: StatusWindow, fake: Any, eventually: Any) -> None:
    reached: set[QWidget] = set()
    widget = window.nextInFocusChain()
    while widget is not None and widget is not window:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            reached.add(widget)
        widget = widget.nextInFocusChain()
    needed = (*window.findChildren(QPushButton), strip(window), window.findChild(LogView), window.findChild(QCheckBox))
    assert reached.issuperset(one for one in needed if one is not None)
    for key, page in ((Qt.Key.Key_A, 1), (Qt.Key.Key_L, 2), (Qt.Key.Key_O, 0)):
        hand.keyClick(window, key, Qt.KeyboardModifier.AltModifier)
        assert pages(window).currentIndex() == page
    for key, member in ((Qt.Key.Key_R, "Reconnect"), (Qt.Key.Key_D, "Disconnect")):
        hand.keyClick(window, key, Qt.KeyboardModifier.AltModifier)
        eventually(lambda member=member: fake.seen("call", member=member))
    hand.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.AltModifier)
    eventually(lambda: not window.isVisible())
    window.show()
    hand.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isVisible()


def test_enter_does_not_hang_up_unless_it_is_meant_to(window: StatusWindow, fake: Any, eventually: Any) -> None:
    window.activateWindow()
    eventually(window.isActiveWindow)
    assert window.focusWidget() is not None and not isinstance(window.focusWidget(), QPushButton)
    button(window, "Reconnect now").setFocus()
    hand.keyClick(window.focusWidget(), Qt.Key.Key_Return)
    eventually(lambda: fake.seen("call", member="Reconnect"))
    pages(window).setFocus()
    hand.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    hand.keyClick(window.focusWidget(), Qt.Key.Key_Return)
    assert not window.isVisible()
    assert len(fake.seen("call", member="Reconnect")) == 1 and not fake.seen("call", member="Disconnect")


def test_everything_has_a_name(window: StatusWindow) -> None:
    for widget in (plot(window), strip(window), window.findChild(LogView), pages(window)):
        assert widget is not None and widget.accessibleName()
    values = [label for label in window.findChildren(QLabel) if label.text() == "pptp.example.net"]
    assert [label.accessibleName() for label in values] == ["Server: pptp.example.net"]


def test_a_sign_in_what_the_helper_names_is_no_key(window: StatusWindow, fake: Any, eventually: Any) -> None:
    fake.do("say", member="Details", what=UP | {"R&D": "both"})
    (value,) = eventually(lambda: [label for label in window.findChildren(QLabel) if label.text() == "both"])
    (name,) = [label for label in window.findChildren(QLabel) if label.buddy() is value]
    assert (bare(name.text()), value.accessibleName()) == ("R&D", "R&D: both")


def test_the_log_can_be_shown_at_once(window: StatusWindow) -> None:
    window.show_log()
    view = window.findChild(LogView)
    assert view is not None and view.isVisible()


@pytest.mark.parametrize("direction", list(Qt.LayoutDirection)[:2])
def test_is_drawn_in_both_directions_and_in_a_small_room(window: StatusWindow, direction: Qt.LayoutDirection) -> None:
    window.setLayoutDirection(direction)
    for page in range(pages(window).count()):
        pages(window).setCurrentIndex(page)
        window.resize(300, 200)
        window.grab()
        window.resize(1200, 900)
        window.grab()
    assert window.minimumSizeHint().height() < 380  # half of a small screen, for 200 %


def test_a_window_that_is_deleted_hears_no_answer(client: Client, fake: Any, eventually: Any) -> None:
    fake.do("outcome", member="Details", hang=True)
    window = StatusWindow(client, HOME)
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    window.show()
    eventually(lambda: fake.seen("call", member="Details"))
    gone: list[object] = []
    window.destroyed.connect(gone.append)
    window.close()
    eventually(lambda: gone)
    fake.do("outcome", member="Details")
    fake.do("release")
    fake.do("set", name="home", State="down")
    eventually(lambda: client.snapshot.links[0].state == "down")
