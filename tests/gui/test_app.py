"""The program as a whole: clicks, notifications, one instance, signals. Offscreen, where there is no tray to see."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QCoreApplication, QSettings
from PyQt6.QtDBus import QDBusConnection, QDBusMessage
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QSystemTrayIcon

from cablecar.applet import app
from cablecar.applet.app import Applet
from cablecar.applet.client import Client
from cablecar.applet.diagnosis import DiagnosisWindow
from cablecar.applet.editor import Editor
from cablecar.applet.menu import _flat
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import Helper, Verb

HOME = "/org/cablecar1/link/home"


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "applet.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def applet(application: QApplication, session: QDBusConnection, settings: QSettings) -> Iterator[Applet]:
    client = Client()
    made = Applet(client, session, settings)
    yield made
    client.deleteLater()
    if made._window is not None:
        made._window.close()
    for window in list(made._windows._open.values()):
        window.close()
    made.deleteLater()


@pytest.fixture
def ready(helper: Any, applet: Applet, eventually: Any) -> Applet:
    """An applet that has read the one link `home`."""
    eventually(lambda: applet._client.snapshot.links and not applet._client.snapshot.links[0].partial)
    return applet


def children(widget: Any, kind: type) -> list[Any]:
    found: list[Any] = widget.findChildren(kind)
    return found


def click(applet: Applet) -> None:
    applet.tray._since_click.invalidate()
    applet.tray._activated(QSystemTrayIcon.ActivationReason.Trigger)


def state(applet: Applet) -> str:
    return applet._client.snapshot.links[0].state


def test_a_click_connects_and_the_next_disconnects(helper: Any, ready: Applet, eventually: Any) -> None:
    click(ready)
    eventually(lambda: helper.seen("call", member="Connect", path=HOME))
    helper.do("set", name="home", State="up")
    eventually(lambda: state(ready) == "up")
    click(ready)
    eventually(lambda: helper.seen("call", member="Disconnect", path=HOME))
    assert len(helper.seen("call", member="Connect")) == 1


def test_a_double_click_is_one(helper: Any, ready: Applet, eventually: Any) -> None:
    click(ready)
    ready.tray._activated(QSystemTrayIcon.ActivationReason.Trigger)
    ready.tray._activated(QSystemTrayIcon.ActivationReason.Context)
    eventually(lambda: helper.seen("call", member="Connect"))
    helper.do("set", name="home", State="up")
    assert len(helper.seen("call", member="Connect")) == 1
    assert not helper.seen("call", member="Disconnect")


def test_a_click_before_the_helper_has_answered_connects_when_it_has(
    helper: Any, applet: Applet, eventually: Any
) -> None:
    assert applet._client.snapshot.helper is Helper.ASKING
    click(applet)
    eventually(lambda: helper.seen("call", member="Connect", path=HOME))


def test_a_click_before_the_helper_has_answered_ends_no_line(
    helper: Any, request: pytest.FixtureRequest, eventually: Any
) -> None:
    helper.do("set", name="home", State="up")
    applet: Applet = request.getfixturevalue("applet")
    click(applet)
    eventually(lambda: applet._client.snapshot.links and state(applet) == "up")
    click(applet)
    eventually(lambda: helper.seen("call", member="Disconnect", path=HOME))
    assert len(helper.seen("call", member="Disconnect")) == 1
    assert not helper.seen("call", member="Connect")


def test_with_several_links_the_one_used_last(helper: Any, ready: Applet, settings: QSettings, eventually: Any) -> None:
    helper.do("add", name="work")
    eventually(lambda: len(ready._client.snapshot.links) == 2)
    click(ready)
    assert ready._window is not None
    assert ready._window.isVisible()
    button = next(b for b in children(ready._window, QPushButton) if bare(b.text()) == "Connect" and b.isVisible())
    button.click()  # home's, the first
    eventually(lambda: helper.seen("call", member="Connect", path=HOME))
    assert settings.value("last-used-link") == "home"
    click(ready)
    eventually(lambda: len(helper.seen("call", member="Connect", path=HOME)) == 2)


def test_drop_and_back_are_told_in_one_notification(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("set", name="home", State="up")
    helper.do("set", name="home", State="dialing", Reason="terminated-by-peer")
    eventually(lambda: server.seen("shown"))
    helper.do("set", name="home", State="up", Reason="")
    eventually(lambda: len(server.seen("shown")) == 2)
    dropped, back = server.seen("shown")
    assert dropped["title"] == "Home & Co <b>"
    assert dropped["body"] == "The provider ended the call. Reconnecting…"
    assert dropped["actions"] == ["Reconnect", "Reconnect now", "log", "Show log"]
    assert (back["body"], back["replaces"]) == ("Connected again after 1 s.", dropped["id"])
    assert not server.seen("wrong")


def test_a_button_of_a_notification_asks_the_helper(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("set", name="home", State="up")
    helper.do("set", name="home", State="waiting", Reason="hangup")
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: ready._notifier._shown[HOME].id)
    server.do("press", id=shown["id"], key="Reconnect")
    assert eventually(lambda: helper.seen("call", member="Reconnect"))[0]["interactive"]


def test_a_failed_click_is_told_in_words_and_once(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("outcome", member="Connect", hang=True)
    click(ready)
    eventually(lambda: helper.seen("call", member="Connect"))
    helper.do("set", name="home", State="failed", Reason="authentication-failed")
    eventually(lambda: state(ready) == "failed")
    helper.do("outcome", member="Connect", error="org.cablecar1.Error.AuthenticationFailed", text="x")
    click(ready)
    [shown] = eventually(lambda: server.seen("shown"))
    assert shown["body"].startswith("The provider refused the user name or password.")
    assert (shown["urgency"], shown["actions"]) == (2, ["password", "Change password", "log", "Show log"])
    helper.do("release")
    helper.do("set", name="home", State="failed", Since=5_000_000)
    eventually(lambda: ready._client.snapshot.links[0].since == 5)
    assert len(server.seen("shown")) == 1


def test_no_helper_is_told_to_who_clicks(applet: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    eventually(lambda: applet._client.snapshot.helper is Helper.ABSENT)
    assert not server.seen("shown")
    click(applet)
    [shown] = eventually(lambda: server.seen("shown"))
    assert shown["body"] == "The Cablecar helper is not installed, or cannot be started."
    eventually(lambda: applet._notifier._shown["helper"].id)
    start("helper.py")
    eventually(lambda: server.seen("call", member="CloseNotification"))


def opened(applet: Applet) -> list[str]:
    return [name for name, window in applet._windows._open.items() if window.isVisible()]


def choose(applet: Applet, text: str) -> None:
    next(action for action in applet._menu.widget.actions() if action.text() == text and action.isVisible()).trigger()


def test_no_link_yet_a_click_opens_the_assistant(applet: Applet, start: Any, eventually: Any) -> None:
    start("helper.py")
    eventually(lambda: applet._client.snapshot.helper is Helper.RUNNING)
    assert opened(applet) == []
    click(applet)
    assert opened(applet) == ["assistant"]


@pytest.mark.parametrize(("links", "shown"), [(0, ["assistant"]), (1, [])])
def test_who_starts_it_without_a_link_sees_the_assistant(
    application: QApplication, session: QDBusConnection, settings: QSettings, start: Any, eventually: Any,
    links: int, shown: list[str],
) -> None:  # fmt: skip
    helper = start("helper.py")
    for number in range(links):
        helper.do("add", name=f"link{number}", quiet=True)
    client = Client()
    made = Applet(client, session, settings, greets=True)
    eventually(lambda: client.snapshot.helper is Helper.RUNNING)
    assert opened(made) == shown
    for window in list(made._windows._open.values()):
        window.close()
    helper.do("add", name="another")
    helper.do("remove", name="another")
    eventually(lambda: len(client.snapshot.links) == links)
    assert opened(made) == []
    client.deleteLater()
    made.deleteLater()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Status…", f"status {HOME}"),
        ("Log…", f"status {HOME}"),
        ("Diagnosis…", f"diagnosis {HOME}"),
        ("Settings…", f"editor {HOME}"),
        ("Preferences…", "preferences"),
        ("Add a link…", "assistant"),
    ],
)
def test_one_window_of_each_kind(helper: Any, ready: Applet, eventually: Any, text: str, name: str) -> None:
    choose(ready, text)
    first = ready._windows._open[name]
    choose(ready, text)
    assert ready._windows._open == {name: first}
    assert first.isVisible()
    first.close()
    eventually(lambda: not ready._windows._open)
    choose(ready, text)
    assert opened(ready) == [name]


def test_the_diagnosis_of_the_status_window_is_that_of_the_menu(helper: Any, ready: Applet, eventually: Any) -> None:
    choose(ready, "Status…")
    window: Any = ready._windows._open[f"status {HOME}"]
    eventually(window._diagnose.isEnabled)
    window._diagnose.click()
    choose(ready, "Diagnosis…")
    diagnoses = [window for window in QApplication.topLevelWidgets() if isinstance(window, DiagnosisWindow)]
    assert diagnoses == [ready._windows._open[f"diagnosis {HOME}"]]
    eventually(lambda: helper.seen("call", member="Diagnose", body=["home"], interactive=True))


def test_the_assistants_editor_is_that_of_the_menu(helper: Any, ready: Applet) -> None:
    choose(ready, "Add a link…")
    assistant: Any = ready._windows._open["assistant"]
    read: list[bool] = []
    assistant.read_back = lambda: read.append(True)
    assistant.edits.emit(HOME)
    choose(ready, "Settings…")
    (editor,) = [window for window in QApplication.topLevelWidgets() if isinstance(window, Editor)]
    assert editor is ready._windows._open[f"editor {HOME}"]
    editor.close()
    assert read == [True]


def test_the_log_is_a_page_of_the_status(helper: Any, ready: Applet) -> None:
    choose(ready, "Status…")
    window: Any = ready._windows._open[f"status {HOME}"]
    assert not window._log.isVisible()
    choose(ready, "Log…")
    assert window._log.isVisible()


def test_another_password_out_of_the_notification(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("set", name="home", State="dialing")
    helper.do("set", name="home", State="failed", Reason="authentication-failed")
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: ready._notifier._shown[HOME].id)
    server.do("press", id=shown["id"], key="password")
    eventually(lambda: opened(ready) == [f"password {HOME}"])
    dialog: Any = ready._windows._open[f"password {HOME}"]
    dialog._field.set_value("secret")
    helper.do("outcome", member="Connect", hang=True)
    dialog._save_it.click()
    eventually(lambda: helper.seen("call", member="Connect"))
    [stored], [connect] = helper.seen("call", member="SetPassword"), helper.seen("call", member="Connect")
    assert helper.events.index(stored) < helper.events.index(connect)
    assert opened(ready) == []
    helper.do("set", name="home", State="up", Reason="")
    eventually(lambda: state(ready) == "up")
    eventually(lambda: server.seen("call", member="CloseNotification"))
    assert len(server.seen("shown")) == 1


def test_the_log_out_of_the_notification(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("set", name="home", State="up")
    helper.do("set", name="home", State="waiting", Reason="hangup")
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: ready._notifier._shown[HOME].id)
    server.do("press", id=shown["id"], key="log")
    eventually(lambda: opened(ready) == [f"status {HOME}"])


def test_what_nobody_wants_to_be_told_is_not(
    helper: Any, ready: Applet, settings: QSettings, start: Any, eventually: Any
) -> None:
    server = start("notifications.py")
    settings.setValue("notify-back", False)
    helper.do("set", name="home", State="up")
    helper.do("set", name="home", State="waiting", Reason="hangup")
    eventually(lambda: server.seen("shown"))
    eventually(lambda: ready._notifier._shown[HOME].id)
    helper.do("set", name="home", State="up", Reason="")
    eventually(lambda: server.seen("call", member="CloseNotification"))  # of what is so no longer
    settings.setValue("notify-dropped", False)
    helper.do("set", name="home", State="waiting", Reason="hangup")
    helper.do("set", name="home", State="failed", Reason="no-password")
    eventually(lambda: len(server.seen("shown")) == 2)
    assert server.seen("shown")[1]["body"].startswith("No password")


def test_a_click_in_another_window_is_a_click(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("set", name="home", State="up")
    eventually(lambda: state(ready) == "up")
    helper.do("outcome", member="Disconnect", hang=True)
    ready._client.act(HOME, Verb.DISCONNECT)
    eventually(lambda: helper.seen("call", member="Disconnect"))
    helper.do("set", name="home", State="down", Reason="hangup")
    eventually(lambda: state(ready) == "down")
    helper.do("release")
    helper.do("set", name="home", State="failed", Reason="no-password")
    eventually(lambda: server.seen("shown"))
    assert [shown["body"][:11] for shown in server.seen("shown")] == ["No password"]


def test_the_icon_can_be_away_while_nothing_is_in_use(
    helper: Any, ready: Applet, settings: QSettings, eventually: Any
) -> None:
    assert ready.tray._wanted
    settings.setValue("icon-always", False)
    ready._windows.preferred.emit()
    assert not ready.tray._wanted
    helper.do("set", name="home", State="dialing")
    eventually(lambda: ready.tray._wanted)
    helper.do("set", name="home", State="down")
    eventually(lambda: not ready.tray._wanted)


def test_traffic_is_asked_for_when_somebody_looks(applet: Applet, start: Any, eventually: Any) -> None:
    helper = start("status.py")
    helper.do("add", name="home", State="up", Since=5_000_000)
    helper.do("say", member="Details", what={"received": 2_500_000, "sent": 40})
    helper.do("add", name="work")
    eventually(lambda: [link.partial for link in applet._client.snapshot.links] == [False, False])
    assert not helper.seen("call", member="Details")
    applet._menu.widget.aboutToShow.emit()
    assert [text.count(":") for text in traffic(applet)] == [0]  # for how long: that is known
    eventually(lambda: traffic(applet)[0].endswith("2.5 MB received, 40 B sent"))
    [call] = eventually(lambda: helper.seen("call", member="Details"))  # its own word may come later
    assert (call["path"], call["interactive"]) == (HOME, False)
    helper.do("set", name="home", State="down", Reason="requested")
    eventually(lambda: not traffic(applet))
    applet._menu.widget.aboutToShow.emit()
    helper.do("set", name="home", State="up")
    eventually(lambda: state(applet) == "up")
    assert len(helper.seen("call", member="Details")) == 1


def test_without_leave_there_is_no_traffic_and_no_question(applet: Applet, start: Any, eventually: Any) -> None:
    helper = start("helper.py")
    helper.do("add", name="home", State="up")
    helper.do("outcome", member="Details", error="org.cablecar1.Error.NotAuthorizedCanObtain", text="x")
    eventually(lambda: applet._client.snapshot.links)
    applet.show_window()
    eventually(lambda: helper.seen("call", member="Details"))
    assert applet._window is not None and applet._window._timer.isActive()  # for how long can be told even so
    helper.do("set", name="home", State="waiting")
    eventually(lambda: state(applet) == "waiting")
    assert not traffic(applet)


def test_the_window_counts_while_a_link_is_up(applet: Applet, start: Any, eventually: Any) -> None:
    helper = start("status.py")
    helper.do("say", member="Details", what={"received": 2_500_000, "sent": 40})
    helper.do("add", name="home", State="up")
    applet.show_window()
    assert applet._window is not None
    eventually(applet._window._timer.isActive)
    helper.do("say", member="Details", what={"received": 7_500_000, "sent": 40})
    applet._window.looked_at.emit()
    eventually(lambda: any("7.5 MB" in text for text in traffic(applet)))
    helper.do("set", name="home", State="down")
    eventually(lambda: applet._window and not applet._window._timer.isActive())


def traffic(applet: Applet) -> list[str]:
    return [item.text for item in _flat(applet._menu._items) if item.key.endswith("#traffic") and item.visible]


def test_a_helper_that_takes_its_time_stops_nothing(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    helper.do("outcome", member="ListLinks", hang=True)
    ready._client.start()
    eventually(lambda: len(helper.seen("call", member="ListLinks")) == 2)
    choose(ready, "Preferences…")
    assert opened(ready) == ["preferences"]
    helper.do("set", name="home", State="up")
    eventually(lambda: state(ready) == "up")
    click(ready)
    eventually(lambda: helper.seen("call", member="Disconnect"))


def test_without_a_tray_the_window_stands_in(helper: Any, ready: Applet, eventually: Any) -> None:
    ready.tray._patience.start(0)
    eventually(lambda: ready._window is not None and ready._window.isVisible())
    assert ready._window is not None
    texts = [label.text() for label in children(ready._window, QLabel) if label.isVisible()]
    assert any("shows no tray icons" in text for text in texts)
    assert "Home & Co <b>: Disconnected" in texts
    helper.do("set", name="home", State="up")
    eventually(
        lambda: any(bare(b.text()) == "Disconnect" and b.isVisible() for b in children(ready._window, QPushButton))
    )
    ready.tray.found.emit()
    assert not ready._window.isVisible()
    ready.show_window()
    ready.tray.found.emit()
    assert ready._window.isVisible(), "somebody has asked for it"


def test_a_window_that_was_asked_for_outlives_the_panel(ready: Applet) -> None:
    ready.show_window()
    assert ready._window is not None
    ready.tray.missing.emit()
    assert "shows no tray icons" in ready._window._note.text()
    ready.tray.found.emit()
    assert ready._window.isVisible() and not ready._window._note.text()


def test_without_a_server_for_notifications_the_window_answers(helper: Any, ready: Applet, eventually: Any) -> None:
    helper.do("outcome", member="Connect", error="org.cablecar1.Error.NotAuthorized", text="x")
    click(ready)
    eventually(lambda: ready._window is not None and ready._window.isVisible())
    assert ready._window is not None
    assert ready._window._note.text() == "Home & Co <b>: You are not allowed to do this."
    ready._window.close()
    helper.do("set", name="home", State="up")
    eventually(lambda: not ready._window._note.text())  # it is so no longer
    helper.do("set", name="home", State="waiting", Reason="hangup")
    eventually(lambda: not ready._notifier._asking and state(ready) == "waiting")
    assert not ready._window.isVisible()  # which the icon tells well enough
    helper.do("set", name="home", State="failed", Reason="account-disabled")
    eventually(lambda: ready._window and ready._window.isVisible())
    assert "disabled this account" in ready._window._note.text()


def test_who_starts_it_sees_the_window_when_there_is_no_helper(
    application: QApplication, session: QDBusConnection, settings: QSettings, eventually: Any
) -> None:
    made = Applet(Client(), session, settings, greets=True)
    eventually(lambda: made._client.snapshot.helper is Helper.ABSENT)
    assert made._window is not None and made._window.isVisible()
    made._window.close()
    made._client.deleteLater()
    made.deleteLater()


def test_who_starts_it_sees_the_window_when_the_icon_is_away(
    application: QApplication, session: QDBusConnection, settings: QSettings, helper: Any, eventually: Any
) -> None:
    settings.setValue("icon-always", False)
    made = Applet(Client(), session, settings, greets=True)
    eventually(lambda: made._window is not None and made._window.isVisible())
    made.tray._patience.start(0)
    eventually(lambda: not made.tray._patience.isActive())
    assert made._window is not None
    made._window.close()
    helper.do("set", name="home", State="dialing")
    eventually(made._window.isVisible)  # there is no tray to show the icon in
    assert "shows no tray icons" in made._window._note.text()
    made._window.close()
    made._client.deleteLater()
    made.deleteLater()


def test_what_is_shown_goes_with_the_applet(helper: Any, ready: Applet, start: Any, eventually: Any) -> None:
    server = start("notifications.py")
    helper.do("set", name="home", State="dialing")
    helper.do("set", name="home", State="failed", Reason="account-disabled")
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: ready._notifier._shown[HOME].id)
    ready.end()
    [closed] = eventually(lambda: server.seen("call", member="CloseNotification"))
    assert closed["body"] == [shown["id"]]


def test_it_starts_again_for_a_late_tray_only_when_no_window_would_be_lost(
    ready: Applet, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(QCoreApplication, "exit", ended.append)
    ready._windows.preferences()
    ready.tray.deaf.emit()
    assert not ended
    ready._windows._open["preferences"].close()
    eventually(lambda: ended == [app._START_AGAIN])


@pytest.mark.parametrize(("version", "ends"), [("0.1.0", []), ("0.2.0", [app._START_AGAIN])])
def test_it_starts_again_as_the_version_of_a_new_helper(
    helper: Any, ready: Applet, start: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch,
    version: str, ends: list[int],
) -> None:  # fmt: skip
    ended: list[int] = []
    monkeypatch.setattr(QCoreApplication, "exit", ended.append)
    eventually(lambda: ready._client._version == "0.1.0")
    helper.stop()
    eventually(lambda: ready._client.snapshot.helper is Helper.GONE)
    again = start("helper.py", "--version", version)
    again.do("add", name="home", State="up")
    eventually(lambda: again.seen("call", member="Get"))
    answered: list[str] = []
    ready._client.answered.connect(answered.append)
    ready._client.act(HOME, Verb.CONNECT)
    eventually(lambda: answered)  # after what was asked before
    assert ended == ends


def test_it_starts_again_when_a_window_cannot_be_loaded(
    ready: Applet, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(QCoreApplication, "exit", ended.append)
    for text, module in (("Add a link…", "assistant"), ("Settings…", "editor"), ("Preferences…", "preferences")):
        monkeypatch.setitem(sys.modules, f"cablecar.applet.{module}", None)  # fails to be imported
        choose(ready, text)
        assert opened(ready) == []
        assert ended.pop() == app._START_AGAIN


def test_who_is_started_again_greets_nobody(buses: None, tmp_path: Path) -> None:
    code = (
        "import os; from PyQt6.QtCore import QTimer; from cablecar.applet import app\n"
        "os.execv = lambda path, arguments: print(arguments)\n"
        "make = app._application\n"
        "def application():\n"
        "    made = make()\n"
        "    QTimer.singleShot(0, lambda: made.exit(app._START_AGAIN))\n"
        "    return made\n"
        "app._application = application\n"
        "app.main([])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith(", '--autostart']"), done.stderr


def test_only_the_window_about_a_link_tells_what_became_of_a_click_on_it(
    ready: Applet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready._windows.add()
    assistant = ready._windows._open["assistant"]
    monkeypatch.setattr(QApplication, "activeWindow", lambda: assistant)
    assert not ready._windows.shows(HOME)
    monkeypatch.setattr(assistant, "_path", HOME)
    assert ready._windows.shows(HOME)


def test_a_click_on_a_link_too_new_to_be_known_is_remembered(ready: Applet) -> None:
    ready._acted("/org/cablecar1/link/imported")
    assert ready._choices.last_used == "imported"


def test_tooltip_carries_no_markup(ready: Applet) -> None:
    assert ready.tray._tooltip == "Home \uff06 Co \u2039b\u203a: Disconnected"


def test_idle_means_no_timers(helper: Any, ready: Applet, eventually: Any) -> None:
    ready.tray._patience.stop()
    assert not ready.tray._frames.isActive()
    helper.do("set", name="home", State="dialing")
    eventually(lambda: ready.tray._frames.isActive())
    helper.do("set", name="home", State="up")
    eventually(lambda: not ready.tray._frames.isActive())


@pytest.fixture
def program(buses: None, tmp_path: Path) -> Iterator[Any]:
    """Start the applet as a program, with a home of its own."""
    processes: list[subprocess.Popen[str]] = []

    def starter(*arguments: str) -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "cablecar.applet", *arguments],
                env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
        )  # fmt: skip
        return processes[-1]

    yield starter
    for process in processes:
        process.kill()
        process.communicate()


def test_one_instance_and_the_second_start_shows_the_window(
    program: Any, helper: Any, session: QDBusConnection, eventually: Any
) -> None:
    first = program()
    bus = session.interface()
    assert bus is not None
    eventually(lambda: bus.isServiceRegistered(app.APP_NAME).value())
    eventually(lambda: helper.seen("call", member="ListLinks"))
    second = program()
    eventually(lambda: second.poll() is not None)
    assert second.returncode == 0, second.stdout.read()
    third = program("--autostart")
    eventually(lambda: third.poll() is not None)
    assert third.returncode == 0
    assert first.poll() is None
    first.terminate()
    assert first.wait(5) == 0
    assert "ERROR" not in first.stdout.read()


def test_a_second_start_hands_on_its_leave_to_come_to_the_front(ready: Applet, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Session:
        def call(self, message: QDBusMessage, timeout: int) -> QDBusMessage:
            sent.extend(message.arguments())
            return QDBusMessage()

    session: Any = Session()
    monkeypatch.setenv("XDG_ACTIVATION_TOKEN", "kwin-1")
    assert app._activate_first(session) == 0
    monkeypatch.delenv("XDG_ACTIVATION_TOKEN")
    assert app._activate_first(session) == 0
    assert sent == [{"activation-token": "kwin-1"}, {}]
    adaptor = app._Application(ready)
    adaptor.Activate({"activation-token": ["of another type"]})
    assert "XDG_ACTIVATION_TOKEN" not in os.environ
    adaptor.Activate(sent[0])
    assert os.environ["XDG_ACTIVATION_TOKEN"] == "kwin-1"


def test_the_window_of_a_notification_may_come_to_the_front(
    helper: Any, ready: Applet, start: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_ACTIVATION_TOKEN", "")
    server = start("notifications.py")
    helper.do("set", name="home", State="up")
    helper.do("set", name="home", State="waiting", Reason="hangup")
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: ready._notifier._shown[HOME].id)
    server.do("permit", id=shown["id"], token="kwin-2")
    server.do("permit", id=shown["id"] + 1, token="another's")
    server.do("press", id=shown["id"], key="log")
    eventually(lambda: opened(ready) == [f"status {HOME}"])
    assert os.environ["XDG_ACTIVATION_TOKEN"] == "kwin-2"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_cleanly(program: Any, helper: Any, eventually: Any, number: int) -> None:
    process = program()
    eventually(lambda: helper.seen("call", member="GetAll"))
    process.send_signal(number)
    assert process.wait(5) == 0
    assert not [line for line in process.stdout if "ERROR" in line or "Traceback" in line]


def test_a_signal_ends_it_cleanly_also_with_a_window_open(program: Any, start: Any, eventually: Any) -> None:
    forms = start("forms.py")
    process = program()  # which has no link to show, and opens the assistant
    eventually(lambda: forms.seen("call", member="ListPeers"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    said = process.stdout.read()
    assert "ERROR" not in said, said


def test_version(program: Any) -> None:
    output, _ = program("--version").communicate(timeout=10)
    assert output.startswith("cablecar-applet")


def test_an_exception_in_a_slot_is_logged_and_survived() -> None:
    code = (
        "import sys; from PyQt6.QtCore import QCoreApplication, QTimer; from cablecar.applet import log\n"
        "log.setup(); sys.excepthook = log.excepthook; app = QCoreApplication([])\n"
        "QTimer.singleShot(0, lambda: 1 / 0); QTimer.singleShot(10, lambda: app.exit(7)); sys.exit(app.exec())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "ZeroDivisionError" in done.stderr
