"""What is worth a notification, and what is not."""

from typing import Any

import pytest

from cablecar.applet.model import CallError, Helper, Link, Snapshot, Verb, View
from cablecar.applet.story import Kind, Over, Story, Urgency
from cablecar.helper import names, reasons

HOME = "/org/cablecar1/link/home"
RECONNECT = (Verb.RECONNECT, "Reconnect now")
CONNECT = (Verb.CONNECT, "Connect")
PASSWORD = (View.PASSWORD, "Change password")
LOG = (View.LOG, "Show log")


class Teller:
    """A story with a clock, fed with the states of one link."""

    def __init__(self, state: str = "up") -> None:
        self.now = 1000.0
        self.story = Story(lambda: self.now)
        self.snapshot = Snapshot()
        assert self.to(state) == []

    def to(self, state: str, reason: str = "", helper: Helper = Helper.RUNNING, **values: Any) -> list[Any]:
        self.snapshot = Snapshot(helper, (Link(HOME, "home", "Home", state, reason=reason, **values),))
        return self.story.update(self.snapshot)


def test_dropped_and_back() -> None:
    teller = Teller("up")
    [notice] = teller.to("dialing", "terminated-by-peer")
    assert (notice.title, notice.body) == (
        "Home",
        "The provider ended the call. Reconnecting…",
    )
    assert (notice.kind, notice.actions) == (Kind.DROPPED, (RECONNECT, LOG))
    assert teller.to("waiting", "server-unreachable") == []
    teller.now += 75
    assert teller.to("dialing") == []
    [notice] = teller.to("up")
    assert (notice.topic, notice.body) == (HOME, "Connected again after 1 min 15 s.")
    assert (notice.kind, notice.actions) == (Kind.BACK, ())


def test_a_drop_whose_processes_are_still_ending() -> None:
    teller = Teller("up")
    assert teller.to("stopping") == []
    [notice] = teller.to("dialing", "hangup")
    assert notice.body == "The connection to the provider's server was closed. Reconnecting…"


def test_dropped_without_a_reason_we_know() -> None:
    assert Teller().to("waiting")[0].body == "The connection was lost. Reconnecting…"
    assert "solar-flare" in Teller().to("waiting", "solar-flare")[0].body


def test_dropped_for_good() -> None:
    [notice] = Teller().to("down", "hangup")
    assert notice.body.startswith(reasons.HANGUP.sentence)  # with what to do, for nobody tries again
    assert (notice.kind, notice.actions) == (Kind.DROPPED, (CONNECT, LOG))


@pytest.mark.parametrize("before", ["up", "dialing", "waiting"])
def test_failed_needs_somebody(before: str) -> None:
    teller = Teller(before)
    [notice] = teller.to("failed", "authentication-failed")
    assert notice.body == reasons.AUTHENTICATION_FAILED.sentence
    assert (notice.kind, notice.urgency, notice.actions) == (Kind.FAILED, Urgency.CRITICAL, (PASSWORD, LOG))
    assert teller.to("failed", "authentication-failed") == []
    assert [n.body for n in teller.to("up")] == (["Connected."] if before != "up" else ["Connected again after 1 s."])


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        ("no-password", PASSWORD),
        ("password-expired", PASSWORD),
        ("account-disabled", CONNECT),
        ("no-such-reason", CONNECT),
        ("", CONNECT),
    ],
)
def test_the_first_button_is_what_may_cure_it(reason: str, cure: Any) -> None:
    [notice] = Teller("dialing").to("failed", reason)
    assert notice.actions == (cure, LOG)
    assert notice.body


def test_a_refused_click_that_a_password_may_cure_offers_it() -> None:
    teller = Teller("down")
    teller.story.clicked(HOME)
    notice = teller.story.refused(teller.snapshot, HOME, CallError(names.ERROR_PREFIX + "NoPassword"))
    assert notice is not None
    assert notice.actions == (PASSWORD, LOG)


def flap(teller: Teller, times: int, seconds: float = 20) -> list[Any]:
    told = []
    for _time in range(times):
        told += teller.to("dialing", "hangup")
        teller.now += seconds
        told += teller.to("up")
        teller.now += seconds
    return told


def test_a_flapping_line_is_told_once() -> None:
    teller = Teller("up")
    kinds = [notice.kind for notice in flap(teller, 3)]
    assert kinds == [Kind.DROPPED, Kind.BACK] * 3
    last, back = flap(teller, 1)
    assert last.body.startswith("The connection to the provider's server was closed.")
    assert "again and again" in last.body
    assert back.body == "Connected again after 20 s."  # or its button would hang up a line that works
    assert set(flap(teller, 20)) == {Over(HOME)}


def test_a_line_that_flaps_and_then_fails_is_told() -> None:
    teller = Teller("up")
    flap(teller, 10)
    [notice] = teller.to("failed", "account-disabled")
    assert notice.kind is Kind.FAILED
    assert teller.to("up") == [Over(HOME)]


def test_a_line_that_is_calm_again_is_told_of_as_before() -> None:
    teller = Teller("up")
    flap(teller, 10)
    teller.now += 600
    assert [notice.kind for notice in flap(teller, 1)] == [Kind.DROPPED, Kind.BACK]


def test_a_line_that_drops_now_and_then_does_not_flap() -> None:
    assert len(flap(Teller("up"), 10, 150)) == 20


def test_what_was_told_is_over_when_the_user_has_seen_to_it() -> None:
    teller = Teller("up")
    teller.to("waiting", "hangup")
    teller.story.clicked(HOME)
    assert teller.to("stopping") == []
    assert teller.to("down", "requested") == [Over(HOME)]
    assert teller.to("down", "requested") == []
    teller.story.answered(HOME)
    teller.to("failed", "no-password")
    teller.story.clicked(HOME)
    assert teller.to("dialing") == []
    assert teller.to("up") == [Over(HOME)]


@pytest.mark.parametrize("states", [["stopping", "down"], ["down"], ["stopping", "dialing", "up"]])
def test_nothing_of_what_the_user_just_did(states: list[str]) -> None:
    teller = Teller("up")
    teller.story.clicked(HOME)
    assert [notice for state in states for notice in teller.to(state)] == []


def test_nothing_of_what_was_asked_elsewhere() -> None:
    teller = Teller("up")
    assert teller.to("down", "requested") == []


def test_a_click_that_works_is_quiet_and_one_that_fails_is_told_once() -> None:
    teller = Teller("down")
    teller.story.clicked(HOME)
    assert teller.to("dialing") == teller.to("up") == []
    teller.story.answered(HOME)
    teller.story.clicked(HOME)
    assert teller.to("down") == []
    teller.story.answered(HOME)
    teller.story.clicked(HOME)
    assert teller.to("dialing") == teller.to("failed", "authentication-failed") == []
    error = CallError(names.ERROR_PREFIX + "AuthenticationFailed", "")
    notice = teller.story.refused(teller.snapshot, HOME, error)
    assert notice is not None
    assert notice.body == reasons.AUTHENTICATION_FAILED.sentence
    assert (notice.kind, notice.actions) == (Kind.ANSWER, (PASSWORD, LOG))
    assert teller.to("failed", "authentication-failed") == []
    assert [n.body for n in teller.to("up")] == ["Connected."]


def test_a_refused_click_on_a_line_that_is_up_is_no_failure_of_the_line() -> None:
    teller = Teller("up")
    teller.story.clicked(HOME)
    notice = teller.story.refused(teller.snapshot, HOME, CallError(names.ERROR_PREFIX + "NotAuthorized"))
    assert notice is not None
    assert notice.body == "You are not allowed to do this."
    assert (notice.picture, notice.urgency, notice.actions) == ("up", Urgency.NORMAL, (LOG,))


def test_a_click_that_fails_while_the_helper_keeps_trying() -> None:
    teller = Teller("down")
    teller.story.clicked(HOME)
    teller.to("waiting", "no-cable")
    notice = teller.story.refused(teller.snapshot, HOME, CallError(names.ERROR_PREFIX + "NoCable"))
    assert notice is not None
    assert notice.body.endswith("Trying again…")


@pytest.mark.parametrize(
    "error",
    [
        "org.cablecar1.Error.Cancelled",
        "org.cablecar1.Error.NotAuthorizedDismissed",
        "org.freedesktop.DBus.Error.NoReply",
    ],
)
def test_a_click_taken_back_is_quiet(error: str) -> None:
    teller = Teller("down")
    teller.story.clicked(HOME)
    assert teller.story.refused(teller.snapshot, HOME, CallError(error)) is None
    teller.to("up")
    assert teller.to("waiting", "hangup") != []  # and it does not silence what comes later


def test_a_helper_that_restarts_is_no_news() -> None:
    teller = Teller("up")
    assert teller.to("up", helper=Helper.GONE) == []
    assert teller.to("up", partial=True) == []
    assert teller.to("up") == []


def test_a_drop_while_the_helper_was_away_is_told_with_its_reason() -> None:
    teller = Teller("up")
    assert teller.to("up", helper=Helper.GONE) == []
    assert teller.to("waiting", partial=True) == []
    [notice] = teller.to("waiting", "path-lost")
    assert notice.body.startswith("The provider's server stopped answering")


def test_what_was_so_before_is_no_news() -> None:
    Teller("failed")
    Teller("waiting")


def test_a_link_that_is_gone_is_forgotten() -> None:
    teller = Teller("up")
    assert teller.story.update(Snapshot(Helper.RUNNING)) == [Over(HOME)]
    assert teller.to("failed", "hangup") == []
