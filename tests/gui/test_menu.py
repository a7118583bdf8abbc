"""The menu: its description for each state, and the QMenu that follows it in place."""

import itertools
import time
from typing import Any

import pytest
from PyQt6.QtWidgets import QApplication

from cablecar.applet import pictures
from cablecar.applet.menu import Command, Item, Menu, describe
from cablecar.applet.model import UNKNOWN, CallError, Details, Helper, Link, Snapshot, Verb, View
from cablecar.helper import names

HOME = "/org/cablecar1/link/home"
WINDOWS = ["Status…", "Log…", "Diagnosis…", "Settings…"]
ALWAYS = ["Preferences…", "Quit (links stay as they are)"]
WORK = "/org/cablecar1/link/work"


def one(state: str, **values: Any) -> Snapshot:
    return Snapshot(Helper.RUNNING, (Link(HOME, "home", "Home", state, **values),))


def seen(items: tuple[Item, ...]) -> list[str]:
    return [item.text for item in items if item.visible and item.text]


@pytest.mark.parametrize(
    ("snapshot", "lines"),
    [
        (one("down"), ["Home: Disconnected", "Connect"]),
        (one("down", reason="requested"), ["Home: Disconnected", "Connect"]),
        (one("dialing", phase="authenticating"), ["Home: Connecting…", "Logging in", "Stop trying"]),
        (one("up"), ["Home: Connected", "Reconnect now", "Disconnect"]),
        (one("stopping"), ["Home: Disconnecting…"]),
        (
            one("waiting", reason="hangup"),
            ["Home: Waiting", "The connection to the provider's server was closed.", "Try now", "Stop trying"],
        ),
        (
            one("failed", reason="no-password"),
            [
                "Home: Not connected",
                "No password is stored for this link.",
                "Connect",
                "Give up",
                "Change password…",
            ],
        ),
        (
            one("failed", reason="account-disabled"),
            [
                "Home: Not connected",
                "The provider has disabled this account, for example because a bill is open.",
                "Connect",
                "Give up",
            ],
        ),
        (one(UNKNOWN), ["Home: In a state that this applet does not know", "Connect", "Stop trying"]),
        (Snapshot(Helper.RUNNING), ["No link yet"]),
        (Snapshot(Helper.ASKING), ["Asking the Cablecar helper…"]),
        (Snapshot(Helper.GONE, one("up").links), ["The Cablecar helper is not running.", "Try again"]),
        (
            Snapshot(Helper.ABSENT, (), CallError("org.freedesktop.DBus.Error.ServiceUnknown")),
            ["The Cablecar helper is not installed, or cannot be started.", "Try again"],
        ),
    ],
)
def test_menu_per_state(snapshot: Snapshot, lines: list[str]) -> None:
    usable = snapshot.helper is Helper.RUNNING
    windows = WINDOWS if usable and snapshot.links else []
    assert seen(describe(snapshot)) == [*lines, *windows, *(["Add a link…"] if usable else []), *ALWAYS]


def test_waiting_says_when_it_tries_again() -> None:
    assert any(
        "Next try at" in line for line in seen(describe(one("waiting", reason="no-cable", next_retry=time.time() + 60)))
    )
    assert not any("Next try at" in line for line in seen(describe(one("waiting", next_retry=time.time() - 60))))


def test_what_to_do_is_said_where_there_is_room() -> None:
    detail = next(i for i in describe(one("failed", reason="no-password")) if i.key.endswith("#detail"))
    assert detail.more == "No password is stored for this link. Set the password, then connect."


def test_several_links_are_submenus() -> None:
    links = (Link(HOME, "home", "Home", "up"), Link(WORK, "work", "Work", "down"))
    items = [item for item in describe(Snapshot(Helper.RUNNING, links)) if item.children]
    assert [item.text for item in items] == ["Home: Connected", "Work: Disconnected"]
    assert seen(items[1].children) == ["Connect", *WINDOWS]
    assert [item.picture for item in items] == ["up", "down"]


def test_time_and_traffic_are_said_when_they_are_known() -> None:
    up = one("up", since=time.time() - 3 * 3600 - 720)
    details = {HOME: Details(received=2_500_000, sent=40)}
    [line] = [line for line in seen(describe(up, details)) if "received" in line]
    assert line == "For 3 h 12 min: 2.5 MB received, 40 B sent"
    assert not any("received" in line for line in seen(describe(up)))
    assert not any("received" in line for line in seen(describe(one("dialing"), details)))
    assert "2.5 MB received, 40 B sent" in seen(describe(one("up"), details))  # since when is not known


def test_lines_between_groups_go_with_what_they_part() -> None:
    for snapshot in (one("up"), Snapshot(Helper.RUNNING), Snapshot(Helper.ABSENT), Snapshot(Helper.ASKING)):
        kinds = [item.separator for item in describe(snapshot) if item.visible]
        assert not kinds[0]
        assert not kinds[-1]
        assert not any(a and b for a, b in itertools.pairwise(kinds))


def test_structure_stays_through_all_states() -> None:
    structures = {tuple(i.structure for i in describe(one(state, reason="hangup"))) for state in names.STATES}
    assert len(structures) == 1


def test_menu_follows_in_place_and_escapes(application: QApplication) -> None:
    clicks: list[Any] = []
    menu = Menu(clicks.append, lambda: None)
    link = Link(HOME, "home", "Home & Co", "down")
    menu.apply(describe(Snapshot(Helper.RUNNING, (link,))))
    before = menu.widget.actions()
    assert next(a.text() for a in before if a.isVisible() and a.text()) == "Home && Co: Disconnected"
    menu.apply(describe(one("up")))
    assert menu.widget.actions() == before
    visible = {a.text(): a for a in menu.widget.actions() if a.isVisible()}
    assert visible["Home: Connected"].isEnabled()  # what is switched off is drawn too faint to be read
    visible["Disconnect"].trigger()
    for text in (*WINDOWS, "Add a link…", *ALWAYS):
        visible[text].trigger()
    windows = [(view, HOME) for view in (View.STATUS, View.LOG, View.DIAGNOSIS, View.SETTINGS)]
    assert clicks == [(Verb.DISCONNECT, HOME), *windows, Command.ADD, Command.PREFERENCES, Command.QUIT]


def test_menu_takes_links_coming_and_going(application: QApplication) -> None:
    clicks: list[Any] = []
    menu = Menu(clicks.append, lambda: None)
    links = (Link(HOME, "home", "Home", "up"), Link(WORK, "work", "Work", "down"))
    for snapshot in (
        one("up"),
        Snapshot(Helper.RUNNING, links),
        Snapshot(Helper.RUNNING),
        Snapshot(Helper.RUNNING, links),
    ):
        menu.apply(describe(snapshot))
    submenu = next(a.menu() for a in menu.widget.actions() if a.text() == "Work: Disconnected")
    assert submenu is not None
    next(a for a in submenu.actions() if a.text() == "Connect").trigger()
    assert clicks == [(Verb.CONNECT, WORK)]


def test_who_opens_the_menu_sees_what_is_so_then(application: QApplication) -> None:
    menu = Menu(lambda _deed: None, lambda: menu.apply(describe(one("up"))))
    menu.apply(describe(one("down")))
    menu.widget.aboutToShow.emit()
    assert "Home: Connected" in [action.text() for action in menu.widget.actions()]


@pytest.mark.parametrize(
    ("states", "picture"),
    [
        ([], "down"),
        (["down"], "down"),
        (["stopping"], "waiting"),
        (["waiting", "down"], "waiting"),
        (["up", "waiting", "down"], "up"),
        (["up", "failed"], "failed"),
        (["up", "failed", "dialing"], "dialing"),
        ([UNKNOWN], "waiting"),
    ],
)
def test_picture_of_several_links(states: list[str], picture: str) -> None:
    links = tuple(Link(f"{HOME}{i}", f"home{i}", "Home", state) for i, state in enumerate(states))
    assert pictures.picture(Snapshot(Helper.RUNNING, links)) == picture


def test_picture_without_helper() -> None:
    assert pictures.picture(Snapshot(Helper.ABSENT)) == "failed"
    assert pictures.picture(Snapshot(Helper.GONE, one("up").links)) == "waiting"
