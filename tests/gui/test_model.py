"""What the bus says becomes values, however odd it is."""

import subprocess
import sys
import time
from typing import Any, Final

import pytest

from cablecar.applet import figures, model, words
from cablecar.applet.model import CallError, Details, Finding, Helper, Link, Provider, Record, Snapshot
from cablecar.helper import names, reasons

HOME = "/org/cablecar1/link/home"


def test_parses_what_the_helper_says() -> None:
    link = Link.parse(
        HOME,
        {"Name": "home", "Title": "Home", "State": "waiting", "Phase": "", "Reason": "path-lost",
         "Since": 1_700_000_000_000_000, "NextRetry": 1_700_000_030_000_000},
    )  # fmt: skip
    assert link == Link(HOME, "home", "Home", "waiting", "", "path-lost", 1_700_000_000, 1_700_000_030)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/org/cablecar1/link/",
        "/org/cablecar1/link/Home",
        "/org/cablecar1/link/a/b",
        HOME + "\n",
        None,
        7,
        b"x",
    ],
)
def test_other_paths_are_no_links(path: Any) -> None:
    assert Link.parse(path, {"State": "up"}) is None


@pytest.mark.parametrize("value", [None, 5, True, 2.5, b"up", [], {}, ("up",), "UP", "up ", "", "\0", "half-up"])
def test_odd_states_and_phases_are_unknown(value: Any) -> None:
    link = Link.parse(HOME, {"State": value, "Phase": value})
    assert link is not None
    assert link.state == model.UNKNOWN
    assert link.phase in ("", model.UNKNOWN)
    assert words.state(link)


@pytest.mark.parametrize("value", ["soon", -1, 0, 2**64 - 1, 253_402_300_799_000_001, True, None, 1.5])
def test_odd_times_are_none(value: Any) -> None:
    link = Link.parse(HOME, {"State": "up", "Since": value, "NextRetry": value})
    assert link is not None
    assert (link.since, link.next_retry) == (0, 0)
    assert words.state(link) == "Connected"


def test_a_text_that_may_be_read_tomorrow_has_the_date_of_today() -> None:
    now = time.time()
    link = Link.parse(HOME, {"State": "up", "Since": int(now * 1_000_000)})
    assert link is not None
    assert figures.date(now) not in words.state(link)
    assert figures.date(now) in words.state(link, dated=True)


@pytest.mark.parametrize("microseconds", [1, 253_402_300_799_000_000 - 1])
def test_the_first_and_the_last_time_can_be_said(microseconds: int) -> None:
    link = Link.parse(HOME, {"State": "up", "Since": microseconds})
    assert link is not None
    assert words.state(link).startswith("Connected since")


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Home", "Home"),
        (None, "home"),
        (7, "home"),
        ("", "home"),
        (" \n\t ", "home"),
        ("a\nb\x1b[31mc", "a b [31mc"),
        ("right\u202eleft\u2028next\ud800", "right left next"),
        ("x" * 1_000_000, "x" * 59 + "…"),
        ("<b>bold</b> & co", "<b>bold</b> & co"),
    ],
)
def test_titles_are_one_short_line(title: Any, shown: str) -> None:
    link = Link.parse(HOME, {"Title": title, "State": "up"})
    assert link is not None
    assert link.title == shown


@pytest.mark.parametrize(
    "listing", [None, 5, "abc", [1, 2], [[]], [["a", "b"]], [["a", None, "up"]], [["a", "/elsewhere", "up"]], ["abc"]]
)
def test_odd_listings_are_empty(listing: Any) -> None:
    assert model.parse_list(listing) == {}


def test_a_listing_has_an_end() -> None:
    listing = [(f"l{i}", f"/org/cablecar1/link/l{i}", "down") for i in range(10_000)]
    assert len(model.parse_list(listing)) == model.MAX_LINKS


def test_focus_is_the_only_link_or_the_last_used() -> None:
    home, work = Link(HOME, "home", "Home", "up"), Link("/w", "work", "Work", "up")
    assert Snapshot(Helper.RUNNING).focus("home") is None
    assert Snapshot(Helper.RUNNING, (home,)).focus("work") is home
    assert Snapshot(Helper.RUNNING, (home, work)).focus("work") is work
    assert Snapshot(Helper.RUNNING, (home, work)).focus("") is None


ODD: Final[list[Any]] = [
    None,
    5,
    True,
    "text",
    [],
    {},
    [1, "a", None, []],
    [{}],
    [{1: 2}],
    {"received": "many"},
    {"dns": "8.8.8.8"},
]


@pytest.mark.parametrize("answer", [*ODD, {"server": 5, "user": None, "dns": [1, None], "received": -1, "sent": True}])
def test_odd_details_are_empty(answer: Any) -> None:
    assert Details.parse(answer) == Details()


def test_details_and_what_is_not_known_of_them() -> None:
    details = Details.parse(
        {"server": "pptp.example.net", "user": "customer@C012", "interface": "ppp0", "dns": ["192.0.2.1", "192.0.2.2"],
         "received": 2**40, "sent": 7, "round_trip_ms": 12, "relay": ["a", "b"], "odd": {"a": 1}, "bad\nkey": "a\x1bb"},
    )  # fmt: skip
    assert (details.server, details.dns, details.received) == ("pptp.example.net", ("192.0.2.1", "192.0.2.2"), 2**40)
    assert details.others == (("round_trip_ms", "12"), ("relay", "a, b"), ("bad key", "a b"))


@pytest.mark.parametrize("answer", ODD)
@pytest.mark.parametrize("kind", [Provider, Record, Finding])
def test_odd_lists_are_empty(kind: Any, answer: Any) -> None:
    assert kind.parse_all(answer) == ()


@pytest.mark.parametrize("kind", [Provider, Record, Finding])
def test_lists_have_an_end(kind: Any) -> None:
    entry = {"id": "x", "title": "X", "ended": 5_000_000, "verdict": "good"}
    assert len(kind.parse_all([entry] * 5000)) == model.MAX_ENTRIES


def test_presets() -> None:
    [preset] = Provider.parse_all(
        [{"id": "il_example", "title": "Example", "country": "IL", "protocols": ["pptp", "l2tp", 5],
          "server_pptp": "vpn.example.net", "server_l2tp": 5, "sources": ["server_pptp: A letter (2024)"],
          "redial_minimum": 60, "remarks": "r" * 1000},
         {"id": "", "title": "No id"}, {"id": "no_title"}],
    )  # fmt: skip
    assert (preset.id, preset.country, preset.protocols) == ("il_example", "IL", ("pptp", "l2tp"))
    assert (preset.server("pptp"), preset.server("l2tp"), preset.server("pppoe")) == ("vpn.example.net", "", "")
    assert preset.others == (("redial_minimum", "60"),)
    assert len(preset.remarks) == 1000


def test_records() -> None:
    records = Record.parse_all(
        [{"dialed": 1_000_000, "connected": 2_000_000, "ended": 3_000_000, "reason": "hangup", "received": 5},
         {"dialed": 1_000_000, "ended": 0},
         {"dialed": "x", "ended": 4_000_000, "reason": 7, "sent": -1}],
    )  # fmt: skip
    assert records == (Record(1, 2, 3, "hangup", 5), Record(ended=4))


def test_findings() -> None:
    findings = Finding.parse_all(
        [{"id": "cable", "verdict": "bad", "seen": "No carrier.", "advice": "Plug it in."},
         {"id": "new-check", "verdict": "splendid", "seen": "a\nb"},
         {"id": "pins", "verdict": 5}],
    )  # fmt: skip
    assert findings == (
        Finding("cable", model.BAD, "No carrier.", "Plug it in."),
        Finding("new-check", model.UNKNOWN, "a b"),
        Finding("pins", model.UNKNOWN),
    )


def test_settings_keep_their_types_and_spaces() -> None:
    answer = {
        "user": " a  b\x1b",
        "mtu": 0,
        "debug": False,
        "route": ["10.0.0.0/8"],
        "odd": {"a": 1},
        "x": 1.5,
        "y": [1],
    }
    assert model.parse_settings(answer) == {"user": " a  b", "mtu": 0, "debug": False, "route": ["10.0.0.0/8"]}
    assert model.parse_settings(None) == model.parse_settings([1]) == {}


@pytest.mark.parametrize("state", [*names.STATES, model.UNKNOWN])
def test_every_state_has_words(state: str) -> None:
    link = Link(HOME, "home", "Home", state, reason="hangup")
    assert words.state(link)
    assert (words.detail(link) == reasons.HANGUP.sentence) == (state in ("down", "waiting", "failed"))


def test_every_reason_and_its_error_have_words() -> None:
    for reason in reasons.ALL:
        assert words.reason(reason.id) == ("" if reason in (reasons.NONE, reasons.REQUESTED) else reason.sentence)
        assert words.error(CallError(names.ERROR_PREFIX + reason.error, "theirs")) == (reason.sentence or "theirs")
    assert "no-such-reason" in words.reason("no-such-reason")


def test_other_errors_have_words() -> None:
    assert words.error(CallError("org.example.Odd", "They say.")) == "They say."
    assert words.error(CallError("org.example.Odd")) == "It did not work."
    for name in ("ServiceUnknown", "Spawn.ChildExited", "NoReply", "AccessDenied", "Disconnected"):
        error = CallError("org.freedesktop.DBus.Error." + name, "text of the bus")
        assert words.is_absence(error)
        assert words.error(error).endswith(".")
    assert not words.needs_saying(CallError(names.ERROR_PREFIX + "Cancelled"))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "1 s"),
        (0.2, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7320, "2 h 2 min"),
        (86400, "1 d"),
        (266400, "3 d 2 h"),
    ],
)
def test_durations_are_short(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("model", "PyQt6"),
        ("i18n", "PyQt6"),
        ("words", "PyQt6.QtWidgets PyQt6.QtDBus"),
        ("story", "PyQt6.QtWidgets PyQt6.QtDBus"),
    ],
)
def test_knows_no_more_of_qt_than_it_needs(module: str, foreign: str) -> None:
    code = f"import sys, cablecar.applet.{module}; sys.exit(not sys.modules.keys().isdisjoint({foreign.split()}))"
    subprocess.run([sys.executable, "-c", code], check=True)
