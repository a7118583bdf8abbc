"""The icons: complete, readable on light and dark panels, distinct by shape."""

import itertools
import re
from pathlib import Path

import pytest
from PyQt6.QtCore import QSize
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication

from cablecar.applet import pictures

FOLDER = Path(pictures.__file__).parent / "icons" / "hicolor"
STATES = ("down", "waiting", "dialing", "up", "failed")
ALL = (*STATES, "dialing-2")


def source(name: str) -> str:
    return (FOLDER / "scalable" / "status" / f"org.cablecar1.applet-{name}.svg").read_text()


@pytest.mark.parametrize("name", ALL)
def test_symbolic_has_the_same_shape_in_one_colour(name: str) -> None:
    symbolic = (FOLDER / "symbolic" / "status" / f"org.cablecar1.applet-{name}-symbolic.svg").read_text()
    assert re.findall(r'd="([^"]+)"', symbolic) == re.findall(r'd="([^"]+)"', source(name))
    assert set(re.findall(r'fill="([^"]+)"', symbolic)) == {"#2e3436"}
    assert "stroke" not in symbolic  # GTK recolours fills only


@pytest.mark.parametrize("name", ALL)
def test_contrast_on_light_and_dark_panels(name: str) -> None:
    for colour in set(re.findall(r'fill="#(\w{6})"', source(name))):
        light = luminance(colour)
        assert (luminance("f6f5f4") + 0.05) / (light + 0.05) >= 3
        assert (light + 0.05) / (luminance("2b2b2b") + 0.05) >= 3


def test_distinct_by_shape_at_16_pixels(application: QApplication) -> None:
    """Any two differ in at least an eighth of the 256 pixels, colour left out."""
    masks = {name: mask(name) for name in STATES}
    for one, other in itertools.combinations(STATES, 2):
        different = sum(abs(a - b) for a, b in zip(masks[one], masks[other], strict=True)) / 255
        assert different >= 32, (one, other, different)


def test_the_program_has_an_icon(application: QApplication) -> None:
    assert not pictures.app().pixmap(QSize(48, 48)).isNull()
    assert (FOLDER / "symbolic" / "apps" / "org.cablecar1.applet-symbolic.svg").is_file()


def test_not_installed_means_that_the_picture_is_sent(application: QApplication) -> None:
    icon = pictures.status("up")
    assert (icon.name() == "") == pictures.for_notification("up").startswith("file://")


def mask(name: str) -> list[int]:
    image = pictures.status(name).pixmap(QSize(16, 16)).toImage().convertToFormat(QImage.Format.Format_Alpha8)
    return [image.pixelColor(x, y).alpha() for y in range(16) for x in range(16)]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
