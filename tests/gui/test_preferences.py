"""The preferences: what is chosen holds at once, and is there again at the next start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QCheckBox, QDialogButtonBox, QLabel

from cablecar.applet.autostart import Autostart
from cablecar.applet.choices import Choices
from cablecar.applet.preferences import Preferences
from cablecar.applet.story import Kind

keyboard: Any = QTest  # whose stub knows widgets by their static type only
TELLS = (Kind.DROPPED, Kind.BACK, Kind.FAILED)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "applet.ini"


@pytest.fixture
def settings(file: Path) -> QSettings:
    return QSettings(str(file), QSettings.Format.IniFormat)


@pytest.fixture
def autostart(tmp_path: Path) -> Autostart:
    return Autostart({"XDG_CONFIG_HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")})


@pytest.fixture
def window(application: QApplication, settings: QSettings, autostart: Autostart) -> Iterator[Preferences]:
    made = Preferences(settings, autostart)
    made.show()
    yield made
    made.close()
    made.deleteLater()


def boxes(window: Preferences) -> list[Any]:
    return list(window.findChildren(QCheckBox))


def box(window: Preferences, word: str) -> Any:
    return next(box for box in boxes(window) if word in box.text().replace("&", ""))


def test_everything_is_on_until_somebody_says_no(settings: QSettings) -> None:
    choices = Choices(settings)
    assert all(choices.tells(kind) for kind in Kind)
    assert choices.icon_always
    assert choices.last_used == ""


@pytest.mark.parametrize(("word", "kind"), [("lost", TELLS[0]), ("back", TELLS[1]), ("until you do", TELLS[2])])
def test_a_box_is_one_kind_of_notice(
    window: Preferences, file: Path, settings: QSettings, word: str, kind: Kind
) -> None:
    box(window, word).click()
    settings.sync()
    again = Choices(QSettings(str(file), QSettings.Format.IniFormat))
    assert [other for other in TELLS if not again.tells(other)] == [kind]
    box(window, word).click()
    assert Choices(settings).tells(kind)


def test_the_answer_to_a_click_is_always_told(settings: QSettings) -> None:
    choices = Choices(settings)
    choices.tell(Kind.ANSWER, False)
    assert choices.tells(Kind.ANSWER)


@pytest.mark.parametrize(
    ("typed", "shown"), [("false", False), ("0", False), ("No", False), ("true", True), ("maybe", True), ("", True)]
)
def test_a_file_typed_by_hand(file: Path, application: QApplication, typed: str, shown: bool) -> None:
    file.write_text(f"[General]\nicon-always={typed}\n")
    assert Choices(QSettings(str(file), QSettings.Format.IniFormat)).icon_always is shown


def test_starting_at_login(window: Preferences, autostart: Autostart) -> None:
    start = box(window, "log in")
    assert not start.isChecked()
    start.click()
    assert autostart.is_on()
    start.click()
    assert not autostart.is_on()


def test_what_cannot_be_written_is_said_and_not_shown_as_done(window: Preferences, tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"")
    start = box(window, "log in")
    start.click()
    assert not start.isChecked()
    [sentence] = [label.text() for label in window.findChildren(QLabel) if label.isVisible() and label.text()]
    assert sentence.startswith("This could not be written: ")
    (tmp_path / "home").unlink()
    start.click()
    assert start.isChecked()
    assert not any(label.isVisible() and label.text() for label in window.findChildren(QLabel))


def test_the_icon_changes_at_once(window: Preferences, settings: QSettings) -> None:
    changes: list[bool] = []
    window.changed.connect(lambda: changes.append(Choices(settings).icon_always))
    box(window, "icon").click()
    assert changes == [False]


def test_everything_by_keyboard(window: Preferences) -> None:
    window.activateWindow()
    assert keyboard.qWaitForWindowActive(window)
    seen = []
    for _step in boxes(window):
        focused = window.focusWidget()
        assert isinstance(focused, QCheckBox)
        seen.append(focused)
        keyboard.keyClick(focused, Qt.Key.Key_Tab)
    assert seen == boxes(window)
    keyboard.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isVisible()


def test_close_closes(window: Preferences) -> None:
    [buttons] = window.findChildren(QDialogButtonBox)
    [close] = buttons.buttons()
    close.click()
    assert not window.isVisible()
