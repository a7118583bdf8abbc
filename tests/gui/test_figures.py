"""Amounts and times by locale, and in a line from right to left."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from PyQt6.QtCore import QLocale, Qt, QTime
from PyQt6.QtWidgets import QApplication

from cablecar.applet import figures


@pytest.fixture(autouse=True)
def as_it_was(application: QApplication) -> Iterator[None]:
    yield
    QLocale.setDefault(QLocale.c())
    application.setLayoutDirection(Qt.LayoutDirection.LeftToRight)


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (1000, "1 kB"),
        (1_550, "1.55 kB"),
        (9_996, "10 kB"),
        (31_240, "31.2 kB"),
        (310_049, "310 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2_500_000, "2.5 MB"),
        (7e9, "7 GB"),
        (3e15, "3000 TB"),
    ],
)
def test_size(amount: float, said: str) -> None:
    QLocale.setDefault(QLocale.c())
    assert figures.size(amount) == said


def test_numbers_and_times_follow_the_country() -> None:
    QLocale.setDefault(QLocale("ru_RU"))
    assert figures.rate(1500) == "1,5 kB/s"
    assert figures.percent(0.9951) == "99,5 %"
    assert figures.clock(0).count(":") == 2
    QLocale.setDefault(QLocale("en_US"))
    assert figures.clock(0).endswith(("AM", "PM"))
    assert "/" in figures.date(0)


@pytest.mark.parametrize(("part", "said"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50 %"), (0.0, "0 %")])
def test_only_the_whole_is_a_hundred_per_cent(part: float, said: str) -> None:
    QLocale.setDefault(QLocale.c())
    assert figures.percent(part) == said


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("C", "22:13:35"),
        ("en_GB", "22:13:35"),
        ("he_IL", "22:13:35"),
        ("da_DK", "22.13.35"),
        ("fr_CA", "22 h 13 min 35 s"),
        ("yo_NG", "22:13:35"),
        ("cs_CZ", "22:13:35"),
        ("ca_ES", "22:13:35"),
        ("zh_CN", "22:13:35"),
    ],
)
def test_seconds_are_written_as_the_country_does(locale: str, said: str) -> None:
    QLocale.setDefault(QLocale(locale))
    assert figures.clock(datetime(2026, 11, 22, 22, 13, 35).timestamp()) == said


def test_each_country_has_the_seconds_and_no_more_on_its_clock() -> None:
    languages = (QLocale.Language.AnyLanguage, QLocale.Script.AnyScript, QLocale.Country.AnyCountry)
    for locale in QLocale.matchingLocales(*languages):
        QLocale.setDefault(locale)
        said = figures.clock(datetime(2026, 11, 22, 22, 13, 35).timestamp())
        assert locale.toString(35) in said, (locale.name(), said)
        assert said == said.strip(" ,()[]\N{NARROW NO-BREAK SPACE}"), (locale.name(), said)


class OldQt(QLocale):
    def timeFormat(self, format: QLocale.FormatType = QLocale.FormatType.LongFormat) -> str:
        return "HH:mm:ss"


def test_seconds_are_said_once_and_only_where_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "QLocale", OldQt)
    assert figures.hour_and_minute(QTime(9, 5)) == "09:05"
    assert figures.clock(0).count(":") == 2


def test_a_number_stays_beside_its_unit_from_right_to_left(application: QApplication) -> None:
    application.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    assert figures.size(5000) == "\u20685 kB\u2069"


def test_a_tooltip_is_no_markup() -> None:
    assert figures.tooltip("<b>&") == "<qt>&lt;b&gt;&amp;</qt>"
