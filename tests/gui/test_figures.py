"""Amounts and times by locale, and in a line from right to left."""

from collections.abc import Iterator

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
