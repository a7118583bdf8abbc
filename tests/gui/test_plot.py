"""The throughput: from counters to rates, and what is drawn of them."""

from collections.abc import Iterator

import pytest
from PyQt6.QtCore import QLocale, Qt
from PyQt6.QtGui import QColor, QImage, QPalette
from PyQt6.QtWidgets import QApplication

from cablecar.applet.plot import SPAN, Meter, Plot, Sample, round_up


@pytest.fixture
def plot(application: QApplication) -> Iterator[Plot]:
    QLocale.setDefault(QLocale.c())
    made = Plot()
    made.resize(400, 160)
    yield made
    made.deleteLater()
    QLocale.setDefault(QLocale.c())


def test_rates_are_what_went_through_in_the_time() -> None:
    meter = Meter()
    assert meter.read(10.0, 1000, 500) is None
    assert meter.read(12.0, 5000, 600) == Sample(10.0, 12.0, 2000.0, 50.0)


@pytest.mark.parametrize("reading", [(11.0, 999, 500), (11.0, 1000, 499), (10.0, 2000, 600)])
def test_counters_that_begin_anew_are_no_rate(reading: tuple[float, int, int]) -> None:
    meter = Meter()
    meter.read(10.0, 1000, 500)
    assert meter.read(*reading) is None


def test_what_nobody_saw_is_no_rate() -> None:
    meter = Meter()
    meter.read(10.0, 1000, 500)
    meter.forget()
    assert meter.read(600.0, 10**9, 500) is None


@pytest.mark.parametrize(("amount", "top"), [(1, 1), (1.01, 2), (3, 5), (5, 5), (5.1, 10), (999, 1000), (1000, 1000)])
def test_the_scale_ends_at_a_round_number(amount: float, top: float) -> None:
    assert round_up(amount) == top


def test_keeps_two_minutes(plot: Plot) -> None:
    for second in range(1000):
        plot.add(Sample(second, second + 1, 1, 1))
    assert len(plot.samples) <= SPAN + 1
    assert plot.samples[-1].end == 1000


def test_says_what_it_shows(plot: Plot) -> None:
    assert plot.accessibleName() and "Nothing" in plot.accessibleDescription()
    plot.add(Sample(0, 1, 9_000_000, 10))
    plot.add(Sample(1, 2, 1_500_000, 2_000))
    assert plot.accessibleDescription() == (
        "Received 1.5 MB/s at the moment, sent 2 kB/s; at most 9 MB/s in the last 2 min."
    )
    QLocale.setDefault(QLocale("ru_RU"))
    plot.add(Sample(2, 3, 1_500_000, 2_000))
    assert "1,5 MB/s" in plot.accessibleDescription()


def columns(image: QImage, colour: QColor) -> list[int]:
    """Return where there is this colour, or nearly so: edges are blended."""

    def near(other: QColor) -> bool:
        return all(abs(a - b) < 60 for a, b in zip(colour.getRgb()[:3], other.getRgb()[:3], strict=True))

    return [
        x for x in range(image.width()) if any(near(image.pixelColor(x, y)) for y in range(25, image.height() - 25))
    ]


@pytest.mark.parametrize("direction", list(Qt.LayoutDirection)[:2])
def test_time_runs_from_left_to_right_in_every_language(plot: Plot, direction: Qt.LayoutDirection) -> None:
    plot.setLayoutDirection(direction)
    for second in range(120):
        plot.add(Sample(second, second + 1, 1e6 if second > 90 else 0, 0))
    seen = columns(plot.grab().toImage(), plot.palette().color(QPalette.ColorRole.Highlight))
    assert seen and min(seen) > plot.width() / 2


def test_is_drawn_with_the_colours_of_the_palette(plot: Plot) -> None:
    palette = QPalette()
    for role, colour in ((QPalette.ColorRole.Base, "#101010"), (QPalette.ColorRole.Highlight, "#ff00ff")):
        palette.setColor(role, QColor(colour))
    plot.setPalette(palette)
    plot.add(Sample(0, 1, 1e6, 0))
    plot.add(Sample(1, 60, 7e5, 0))
    image = plot.grab().toImage()
    assert columns(image, QColor("#ff00ff")) and columns(image, QColor("#101010"))


def test_is_drawn_when_there_is_no_room_and_nothing_to_draw(plot: Plot) -> None:
    plot.resize(1, 1)
    plot.grab()
    plot.add(Sample(0, 1, 1e18, 0))
    plot.grab()
