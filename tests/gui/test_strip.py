"""The last days: what is made of the records, and what the widget says and shows of it."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PyQt6.QtCore import QEvent, QLocale, QPoint, QPointF, Qt
from PyQt6.QtGui import QHelpEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QToolTip

from cablecar.applet import figures
from cablecar.applet.model import Link, Record
from cablecar.applet.strip import DAYS, Course, Drop, Past, Span, Strip, last_days, tell
from cablecar.helper import names, reasons

hand: Any = QTest  # whose stub takes its functions for methods

NOON = time.mktime((2026, 11, 18, 12, 0, 0, 0, 0, -1))
HOUR = 3600.0


def link(state: str, since: float = 0) -> Link:
    return Link("/org/cablecar1/link/home", "home", "Home", state, since=since)


def courses(past: Past) -> list[tuple[float, float, Course]]:
    """Return the stretches, in hours before noon."""
    return [((span.begin - NOON) / HOUR, (span.end - NOON) / HOUR, span.course) for span in past.spans]


def test_nothing_is_known() -> None:
    assert tell((), None, NOON) == Past()
    assert tell((), link(names.DOWN), NOON) == Past()
    assert Past().share(0, NOON) is None
    assert "Nothing" in Past().summary(NOON)


def test_a_drop_and_what_came_after() -> None:
    records = (Record(NOON - 5 * HOUR, NOON - 5 * HOUR, NOON - 3 * HOUR, "hangup"),)
    past = tell(records, link(names.UP, NOON - 2 * HOUR), NOON)
    assert courses(past) == [(-5, -3, Course.UP), (-3, -2, Course.DOWN), (-2, 0, Course.UP)]
    assert past.drops == (Drop(NOON - 3 * HOUR, "hangup", True, NOON - 2 * HOUR),)
    assert past.share(0, NOON) == pytest.approx(0.8)
    assert past.summary(NOON) == "Connected for 80 % of the time that it should have been. 1 interruption."


@pytest.mark.parametrize("reason", ["requested", "hung-up-here", "idle", "traffic-limit"])
def test_what_was_wished_is_no_drop(reason: str) -> None:
    records = (Record(0, NOON - 5 * HOUR, NOON - 3 * HOUR, reason),)
    past = tell(records, link(names.DOWN), NOON)
    assert courses(past) == [(-5, -3, Course.UP), (-3, 0, Course.OFF)]
    assert not past.drops
    assert reason in reasons.BY_ID


def test_failed_tries_after_a_drop_are_one_interruption() -> None:
    records = (
        Record(0, NOON - 5 * HOUR, NOON - 3 * HOUR, "path-lost"),
        Record(NOON - 3 * HOUR, 0, NOON - 2.5 * HOUR, "server-unreachable"),
        Record(NOON - 2.4 * HOUR, 0, NOON - 2.2 * HOUR, "server-unreachable"),
        Record(NOON - 2.1 * HOUR, NOON - 2 * HOUR, NOON - HOUR, "requested"),
    )
    past = tell(records, link(names.DOWN), NOON)
    assert {span.course for span in past.spans if NOON - 3 * HOUR <= span.begin < NOON - 2 * HOUR} == {Course.DOWN}
    assert past.drops == (Drop(NOON - 3 * HOUR, "path-lost", True, NOON - 2 * HOUR),)


def test_a_link_that_could_not_be_connected() -> None:
    records = (
        Record(NOON - 3 * HOUR, 0, NOON - 2 * HOUR, "authentication-failed"),
        Record(NOON - 2 * HOUR, 0, NOON - HOUR, "authentication-failed"),
    )
    past = tell(records, link(names.FAILED), NOON)
    assert [(drop.was_up, drop.back) for drop in past.drops] == [(False, 0)]
    assert "not connected: The provider refused" in past.drops[0].sentence()


def test_a_clock_that_was_put_back_and_records_that_overlap() -> None:
    records = (
        Record(0, NOON - 5 * HOUR, NOON - 3 * HOUR, "hangup"),
        Record(0, NOON - 4 * HOUR, NOON - 2 * HOUR, "hangup"),
        Record(0, NOON + HOUR, NOON + 2 * HOUR, "hangup"),
    )
    past = tell(records, link(names.UP, NOON + HOUR), NOON)
    assert all(span.begin < span.end <= NOON for span in past.spans)
    assert all(one.end == other.begin for one, other in zip(past.spans, past.spans[1:], strict=False))


def test_a_hostile_reason_is_only_text() -> None:
    drop = Drop(NOON, "<img src='x'>")
    assert "<img src='x'>" in drop.sentence()
    assert "&lt;img" in figures.tooltip(drop.sentence())


def test_days_are_those_of_the_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "Europe/Berlin")
    time.tzset()
    try:
        # The night of 25 October 2026 has an hour more.
        days = last_days(time.mktime((2026, 10, 27, 12, 0, 0, 0, 0, -1)))
        assert len(days) == DAYS
        assert [round((day.end - day.begin) / HOUR) for day in days] == [24, 24, 24, 24, 25, 24, 24]
        assert days[-1].begin < time.mktime((2026, 10, 27, 12, 0, 0, 0, 0, -1)) < days[-1].end
    finally:
        monkeypatch.undo()
        time.tzset()


PAST = tell(
    (
        Record(0, NOON - 60 * HOUR, NOON - 50 * HOUR, "hangup"),
        Record(0, NOON - 49 * HOUR, NOON - 30 * HOUR, "path-lost"),
        Record(0, NOON - 29 * HOUR, NOON - 6 * HOUR, "requested"),
        Record(0, NOON - 5 * HOUR, NOON - 3 * HOUR, "terminated-by-peer"),
    ),
    link(names.WAITING),
    NOON,
)


@pytest.fixture
def strip(application: QApplication) -> Iterator[Strip]:
    QLocale.setDefault(QLocale.c())
    made = Strip()
    made.show_past(PAST, NOON)
    made.resize(1000, made.sizeHint().height())
    made.show()
    yield made
    made.deleteLater()


def press(strip: Strip, key: Qt.Key) -> Drop | None:
    hand.keyClick(strip, key)
    return strip.chosen


def test_the_keyboard_reaches_every_drop(strip: Strip, eventually: object) -> None:
    said: list[str] = []
    strip.told.connect(said.append)
    first, second, third = PAST.drops
    assert strip.focusPolicy() == Qt.FocusPolicy.StrongFocus
    strip.setFocus(Qt.FocusReason.TabFocusReason)
    assert press(strip, Qt.Key.Key_Home) == first
    assert press(strip, Qt.Key.Key_Right) == second
    assert press(strip, Qt.Key.Key_End) == third
    assert press(strip, Qt.Key.Key_Right) == third
    assert press(strip, Qt.Key.Key_Left) == second
    assert said[-1] == second.sentence()
    assert strip.accessibleDescription().startswith(second.sentence())
    assert "interruptions" in strip.accessibleDescription()
    strip.grab()


def test_a_chosen_drop_stays_chosen_when_it_is_over(strip: Strip) -> None:
    assert press(strip, Qt.Key.Key_End) == PAST.drops[-1]
    later = Past(PAST.spans, (*PAST.drops[:-1], Drop(PAST.drops[-1].moment, "terminated-by-peer", True, NOON)))
    strip.show_past(later, NOON)
    assert strip.chosen == later.drops[-1]
    strip.show_past(Past(), NOON)
    assert strip.chosen is None
    assert press(strip, Qt.Key.Key_Left) is None


def test_pointing_tells_drops_and_stretches(strip: Strip) -> None:
    drop = PAST.drops[-1]
    place = strip.place_of(drop)
    assert strip.text_at(place) == drop.sentence()
    assert strip.text_at(place + QPointF(60, 0)).startswith("Not connected from")
    assert strip.text_at(QPointF(-5, -5)) == ""
    event = QHelpEvent(QEvent.Type.ToolTip, place.toPoint(), strip.mapToGlobal(place.toPoint()))
    QApplication.sendEvent(strip, event)
    assert QToolTip.text() == figures.tooltip(drop.sentence())
    QToolTip.hideText()
    hand.mouseClick(strip, Qt.MouseButton.LeftButton, pos=place.toPoint())
    assert strip.chosen == drop


@pytest.mark.parametrize("direction", list(Qt.LayoutDirection)[:2])
def test_time_runs_from_left_to_right_in_every_language(strip: Strip, direction: Qt.LayoutDirection) -> None:
    strip.setLayoutDirection(direction)
    morning, evening = Drop(NOON - 10 * HOUR, "hangup"), Drop(NOON + 10 * HOUR, "hangup")
    assert strip.place_of(morning).x() < strip.place_of(evening).x()
    before = strip.place_of(Drop(NOON - 12 * HOUR, "hangup")).x()
    after = strip.width() - strip.place_of(Drop(NOON + 12 * HOUR - 1, "hangup")).x()
    # The day's name stands where reading begins, and is wider than the share.
    assert before != after


def test_up_down_and_off_differ_without_colour(strip: Strip) -> None:
    """Of a stretch that is up everything is painted, of one that is down half, of one that is off a line."""
    begin = NOON - 12 * HOUR
    spans = [Span(begin + n * HOUR, begin + (n + 1) * HOUR, course) for n, course in enumerate(Course)]
    strip.show_past(Past(tuple(spans)), NOON)
    image = strip.grab().toImage()
    ground = strip.palette().base().color()
    painted = []
    for span in spans:
        x = int(strip.place_of(Drop((span.begin + span.end) / 2, "")).x())
        y = int(strip.place_of(Drop(span.begin, "")).y())
        room = [image.pixelColor(x + dx, y + dy) for dx in range(-5, 6) for dy in range(-6, 7)]
        painted.append(sum(colour != ground for colour in room) / len(room))
    up, down, off = painted
    assert up == 1.0
    assert 0.35 < down < 0.9
    assert 0 < off < 0.25


def test_is_drawn_when_there_is_no_room_and_nothing_to_draw(strip: Strip) -> None:
    strip.resize(1, 1)
    strip.grab()
    empty = Strip()
    empty.grab()
    empty.show_past(Past(), NOON)
    empty.grab()
    assert empty.text_at(QPointF(QPoint(10, 10))) == ""
