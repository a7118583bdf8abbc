"""Notifications against a fake server that insists on the types of the specification."""

from collections.abc import Iterator
from typing import Any

import pytest
from PyQt6.QtDBus import QDBusConnection

from cablecar.applet.model import Verb, View
from cablecar.applet.notify import Notifier
from cablecar.applet.story import Kind, Notice, Urgency

HOME = "/org/cablecar1/link/home"
WORK = "/org/cablecar1/link/work"


def notice(body: str = "Body", topic: str = HOME, **values: Any) -> Notice:
    return Notice(topic, "Home", body, "dialing", Kind.DROPPED, **values)


@pytest.fixture
def fallen() -> list[Notice]:
    return []


@pytest.fixture
def notifier(session: QDBusConnection, fallen: list[Notice]) -> Iterator[Notifier]:
    made = Notifier(session, fallen.append)
    yield made
    made.deleteLater()


@pytest.fixture(autouse=True)
def the_types_are_right(start: Any) -> Any:
    servers: list[Any] = []
    original = start

    def remember(*arguments: str) -> Any:
        servers.append(original("notifications.py", *arguments))
        return servers[-1]

    yield remember
    assert not [wrong for server in servers for wrong in server.seen("wrong")]


@pytest.fixture
def server(the_types_are_right: Any) -> Any:
    return the_types_are_right()


def test_shows(server: Any, notifier: Notifier, eventually: Any) -> None:
    notifier.show(
        notice(urgency=Urgency.CRITICAL, actions=((View.PASSWORD, "Change password"), (View.LOG, "Show log")))
    )
    [shown] = eventually(lambda: server.seen("shown"))
    assert (shown["title"], shown["body"], shown["replaces"], shown["urgency"]) == ("Home", "Body", 0, 2)
    assert shown["actions"] == ["password", "Change password", "log", "Show log"]


def test_one_per_link_replaced_and_not_piled_up(server: Any, notifier: Notifier, eventually: Any) -> None:
    for number in range(3):
        notifier.show(notice(f"{number}"))
        eventually(lambda number=number: len(server.seen("shown")) == number + 1)
    notifier.show(notice("other", WORK))
    eventually(lambda: len(server.seen("shown")) == 4)
    assert [(shown["id"], shown["replaces"]) for shown in server.seen("shown")] == [(1, 0), (1, 1), (1, 1), (2, 0)]


def test_a_storm_is_one_notification_with_the_last_word(
    the_types_are_right: Any, notifier: Notifier, eventually: Any
) -> None:
    server = the_types_are_right("--slow")
    notifier.show(notice("first"))
    eventually(lambda: server.seen("shown"))
    for number in range(50):
        notifier.show(notice(f"{number}"))
    eventually(lambda: any(shown["body"] == "49" for shown in server.seen("shown")))
    assert {shown["id"] for shown in server.seen("shown")} == {1}
    assert len(server.seen("shown")) <= 3


@pytest.mark.parametrize(
    ("capabilities", "body", "actions"),
    [("actions,body-markup", "&lt;b&gt; &amp; co", ["Reconnect", "Now"]), ("body", "<b> & co", [])],
)
def test_markup_and_actions_as_the_server_can(
    the_types_are_right: Any, notifier: Notifier, eventually: Any, capabilities: str, body: str, actions: list[str]
) -> None:
    server = the_types_are_right("--capabilities", capabilities)
    notifier.show(notice("<b> & co", actions=((Verb.RECONNECT, "Now"),)))
    [shown] = eventually(lambda: server.seen("shown"))
    assert (shown["body"], shown["actions"]) == (body, actions)


def test_only_our_own_buttons_act(server: Any, notifier: Notifier, eventually: Any) -> None:
    acted: list[Any] = []
    notifier.acted.connect(lambda topic, verb: acted.append((topic, verb)))
    notifier.show(notice(actions=((Verb.RECONNECT, "Now"), (View.LOG, "Log"))))
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: notifier._shown[HOME].id == shown["id"])
    for id, key in ((shown["id"] + 7, "Reconnect"), (0, "Reconnect"), (shown["id"], "Disconnect"), (shown["id"], "x")):
        server.do("press", id=id, key=key)
    server.do("emit", path="/org/freedesktop/Notifications", interface="org.freedesktop.Notifications",
              member="ActionInvoked", signature="s", body=["Reconnect"])  # fmt: skip
    server.do("press", id=shown["id"], key="Reconnect")
    server.do("press", id=shown["id"], key="log")
    eventually(lambda: len(acted) == 2)
    assert acted == [(HOME, Verb.RECONNECT), (HOME, View.LOG)]


def test_a_closed_one_is_not_replaced(server: Any, notifier: Notifier, eventually: Any) -> None:
    notifier.show(notice("one"))
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: notifier._shown[HOME].id)
    server.do("close", id=shown["id"])
    eventually(lambda: notifier._shown[HOME].id == 0)
    notifier.show(notice("two"))
    eventually(lambda: len(server.seen("shown")) == 2)
    assert server.seen("shown")[1]["replaces"] == 0


def test_what_is_over_is_taken_down(server: Any, notifier: Notifier, eventually: Any) -> None:
    notifier.close(HOME)
    notifier.show(notice("one"))
    [shown] = eventually(lambda: server.seen("shown"))
    eventually(lambda: notifier._shown[HOME].id)
    notifier.close(WORK)
    notifier.close(HOME)
    [closed] = eventually(lambda: server.seen("call", member="CloseNotification"))
    assert (closed["signature"], closed["body"]) == ("u", [shown["id"]])
    notifier.close(HOME)
    notifier.show(notice("two"))
    eventually(lambda: len(server.seen("shown")) == 2)
    assert server.seen("shown")[1]["replaces"] == 0
    assert len(server.seen("call", member="CloseNotification")) == 1


def test_what_is_over_before_it_is_shown_does_not_stay(
    the_types_are_right: Any, notifier: Notifier, eventually: Any
) -> None:
    server = the_types_are_right("--slow")
    notifier.show(notice("one"))
    eventually(lambda: server.seen("shown"))
    notifier.show(notice("two"))
    notifier.close(HOME)
    eventually(lambda: server.seen("call", member="CloseNotification"))
    assert [shown["body"] for shown in server.seen("shown")] == ["one"]


def test_another_server_is_asked_anew(
    server: Any, notifier: Notifier, the_types_are_right: Any, eventually: Any
) -> None:
    notifier.show(notice("one"))
    eventually(lambda: notifier._shown and notifier._shown[HOME].id)
    server.stop()
    eventually(lambda: notifier._capabilities is None)
    other = the_types_are_right("--capabilities", "")
    notifier.show(notice("<two>"))
    [shown] = eventually(lambda: other.seen("shown"))
    assert (shown["body"], shown["replaces"]) == ("<two>", 0)


def test_without_a_server_the_tray_tells(notifier: Notifier, fallen: list[Notice], eventually: Any) -> None:
    notifier.show(notice("one"))
    notifier.show(notice("two"))
    eventually(lambda: fallen)
    assert [told.body for told in fallen] == ["two"]
