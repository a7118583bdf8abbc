"""What the status window gives out as text."""

import re
import time
from collections.abc import Iterator

import pytest
from PyQt6.QtCore import QLocale

from cablecar.applet.model import Details, Link
from cablecar.applet.report import Report, without
from cablecar.applet.strip import Course, Drop, Past, Span
from cablecar.helper import names

NOW = time.mktime((2026, 11, 18, 12, 0, 0, 0, 0, -1))
LINK = Link("/org/cablecar1/link/home", "home", "Home & <b>", names.UP, since=NOW - 7500)
DETAILS = Details(
    "pptp.example.net", "me@C012", "ppp0", "10.64.12.3", "10.64.0.1", ("192.0.2.1", "192.0.2.2"), 1_500_000, 0,
    (("weather", "fine"),),
)  # fmt: skip
PAST = Past((Span(NOW - 9000, NOW - 8000, Course.UP),), (Drop(NOW - 8000, "hangup", True, NOW - 7500),))
LINES = ("PAP authentication succeeded", 'rcvd [PAP AuthReq id=0x1 user="ME@C012" password=<hidden>]')


@pytest.fixture(autouse=True)
def c_locale() -> Iterator[None]:
    QLocale.setDefault(QLocale("en_GB"))
    yield
    QLocale.setDefault(QLocale.c())


def test_has_everything_that_is_shown() -> None:
    text = Report(LINK, "", DETAILS, PAST, LINES, NOW).text()
    for part in (
        "Home & <b>", "(2 h 5 min)", "Server: pptp.example.net", "User name: me@C012", "Address: 10.64.12.3",
        "DNS servers: 192.0.2.1, 192.0.2.2", "Received: 1.5 MB", "Sent: 0 B", "weather: fine", "1 interruption",
        "was closed", "after 8 min 20 s", LINES[0], LINES[1], "The provider accepted", "18/11/2026",
    ):  # fmt: skip
        assert part in text


def test_leaves_the_user_name_out_wherever_it_stands() -> None:
    text = Report(LINK, "", DETAILS, PAST, (*LINES, "peer said: welcome me@c012"), NOW).text(with_user=False)
    assert "C012" not in text.upper().replace("[LEFT OUT]", "")
    assert "User name: [left out]" in text
    assert "welcome [left out]" in text
    assert "something" in without("something", "me@C012")


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("DOM\\user", 'name = "DOM\\\\user"'),
        ("customer@C012", "login of CUSTOMER failed"),
        ("a+b(c", "said a+b(c"),
        ("u", "u was refused"),
        ("DOM\\me@suffix", 'name = "DOM\\\\me@suffix"'),
    ],
)
def test_leaves_out_what_pppd_makes_of_a_user_name(user: str, line: str) -> None:
    text = without(line, user)
    assert "[left out]" in text and "suffix" not in text
    assert re.split(r"[@\\]", user)[0].lower() not in re.split(r"\W+", text.replace("[left out]", "").lower())


def test_nothing_is_left_out_of_a_text_without_a_user_name() -> None:
    assert without("text", "") == "text"


def test_only_what_is_known_is_told() -> None:
    report = Report(Link(LINK.path, "home", "Home", names.DOWN), details=Details("pptp.example.net", "me"), now=NOW)
    assert [name for name, _value in report.facts()] == ["Server", "User name"]
    assert "Disconnected" in report.text()


@pytest.mark.parametrize(("country", "number"), [("ru_RU", "1,5 MB"), ("he_IL", "1.5 MB"), ("de_DE", "1,5 MB")])
def test_numbers_follow_the_country(country: str, number: str) -> None:
    QLocale.setDefault(QLocale(country))
    assert ("Received", number) in Report(LINK, "", DETAILS, PAST, LINES, NOW).facts()


def test_what_may_not_be_so_any_more_is_not_told_as_if_it_were() -> None:
    text = Report(LINK, "The helper is gone.", DETAILS, PAST, LINES, NOW).text()
    assert text.split("\n\n")[1] == "The helper is gone."
