"""When a form asks the helper, and which answers it believes; without a bus."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QApplication

from cablecar.applet.client import BAD_REPLY, Client
from cablecar.applet.model import Helper, Snapshot
from cablecar.applet.questions import Checker, Offers, Reading, beside, together


class Told(QObject):
    """A client that keeps what it is asked, for the test to answer."""

    changed = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = Snapshot(Helper.RUNNING)
        self.asked: list[tuple[str, Any, Callable[[Any], None]]] = []
        self.clicked: list[bool] = []

    def ask(self, *call: Any, clicked: bool = False) -> None:
        _path, _interface, member, values, _signature, done = call
        self.asked.append((member, values, done))
        self.clicked.append(clicked)

    def become(self, helper: Helper) -> None:
        self.snapshot = Snapshot(helper)
        self.changed.emit(self.snapshot)


@pytest.fixture
def told(application: QApplication) -> Told:
    return Told()


def client(told: Told) -> Client:
    return cast("Client", told)


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ("The setting `user` must not be empty.", "Must not be empty."),
        ("The setting `tunnel_secret` must be text.", "Must be text."),
        ("The setting `server` is missing.", "The setting `server` is missing."),
        ("Something of a newer helper", "Something of a newer helper"),
        ("", ""),
    ],
)
def test_a_field_does_not_name_itself(fault: str, shown: str) -> None:
    assert beside(fault) == shown
    assert together([fault] if fault else []) == fault


def test_only_the_answer_about_what_is_typed_counts(told: Told, eventually: Any) -> None:
    settings = {"server": "a b"}
    checker = Checker(client(told), lambda: dict(settings), told)
    heard: list[Any] = []
    checker.checked.connect(heard.append)
    checker.later()
    eventually(lambda: len(told.asked) == 1)
    settings["server"] = "a"
    checker.later()
    told.asked[0][2]([{"server": "too late"}])
    assert heard == []
    eventually(lambda: len(told.asked) == 2)
    told.asked[1][2]([{}])
    assert heard == [{}]
    told.asked[0][2]([{"server": "much too late"}])
    assert heard == [{}]


def test_nobody_is_asked_at_each_key(told: Told, eventually: Any) -> None:
    checker = Checker(client(told), dict, told)
    for _key in range(20):
        checker.later()
        QApplication.processEvents()
    assert told.asked == []
    eventually(lambda: told.asked)
    assert len(told.asked) == 1


def test_a_checker_that_cannot_ask_says_so(told: Told, eventually: Any) -> None:
    checker = Checker(client(told), dict, told)
    heard: list[Any] = []
    checker.checked.connect(heard.append)
    checker.later()
    eventually(lambda: told.asked)
    told.asked[0][2](BAD_REPLY)
    assert heard == [None]


def test_a_reading_waits_for_the_helper_and_asks_until_it_is_answered(told: Told) -> None:
    told.snapshot = Snapshot(Helper.ABSENT)
    reading = Reading(client(told), "/org/cablecar1", "Providers", "aa{sv}", told)
    answers: list[Any] = []
    refusals: list[Any] = []
    reading.answered.connect(answers.append)
    reading.refused.connect(refusals.append)
    reading.ask()
    assert told.asked == []
    told.become(Helper.RUNNING)
    told.become(Helper.RUNNING)
    assert len(told.asked) == 1
    told.asked[0][2](BAD_REPLY)
    assert refusals == [BAD_REPLY]
    told.become(Helper.RUNNING)
    assert len(told.asked) == 1  # it is there, and has refused: asking again would not help
    told.become(Helper.GONE)
    told.become(Helper.RUNNING)
    told.asked[1][2](["good"])
    told.become(Helper.GONE)
    told.become(Helper.RUNNING)
    assert (answers, len(told.asked)) == (["good"], 2)
    reading.ask()
    assert len(told.asked) == 3


def test_a_reading_is_a_click_only_when_somebody_asks(told: Told) -> None:
    reading = Reading(client(told), "/org/cablecar1/link/home", "Settings", "a{sv}", told, clicked=True)
    reading.ask()
    told.asked[0][2](BAD_REPLY)
    told.become(Helper.GONE)
    told.become(Helper.RUNNING)
    told.asked[1][2](BAD_REPLY)
    reading.ask()
    assert told.clicked == [True, False, True]


def test_what_a_version_offers_is_learned(told: Told) -> None:
    offers = Offers(client(told), told)
    assert offers.takes("protocol", "pptp") and offers.takes("mtu", 1400)
    assert not offers.takes("protocol", "l2tp") and not offers.takes("share", [])
    for _member, values, done in told.asked:
        done([{key: "not yet" for key in values[0] if key != "protocol"}])
    assert offers.those("protocol", {"pptp": "1", "l2tp": "2", "pppoe": "3"}) == {
        "pptp": "1",
        "l2tp": "2",
        "pppoe": "3",
    }
    assert not offers.takes("strict", True) and not offers.takes("dns", ["198.51.100.1"])
