"""Starting at login: the user's file takes the place of the system's, and ours is of it only what says whether."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cablecar.applet.autostart import FILE, Autostart

SYSTEM = (Path(__file__).parents[2] / "desktop" / "org.cablecar1.applet-autostart.desktop").read_text()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "home" / "autostart" / FILE


@pytest.fixture
def system(tmp_path: Path) -> Path:
    path = tmp_path / "xdg" / "autostart" / FILE
    path.parent.mkdir(parents=True)
    path.write_text(SYSTEM)
    return path


@pytest.fixture
def autostart(tmp_path: Path) -> Autostart:
    return Autostart({"XDG_CONFIG_HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": f"relative:{tmp_path / 'xdg'}"})


def test_the_systems_entry_starts_it(autostart: Autostart, system: Path) -> None:
    assert autostart.is_on()


def test_off_is_an_override_and_on_takes_it_away(autostart: Autostart, system: Path, own: Path) -> None:
    autostart.switch(False)
    assert not autostart.is_on()
    assert "Hidden=true" in own.read_text().splitlines()
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    autostart.switch(False)
    autostart.switch(True)
    assert autostart.is_on()
    assert list(own.parent.iterdir()) == []
    assert system.read_text() == SYSTEM
    autostart.switch(True)
    assert not own.exists()


def test_without_an_installation_the_user_gets_an_entry(
    autostart: Autostart, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = '/home/a user/100%/"q"/$x`y\\z/python'
    monkeypatch.setattr("sys.executable", program)
    assert not autostart.is_on()
    autostart.switch(True)
    assert autostart.is_on()
    command = next(line for line in own.read_text().splitlines() if line.startswith("Exec=")).removeprefix("Exec=")
    # As the specification has it: first the escapes of a string, then those within quotes, then the field codes.
    found = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(.*)', command.replace("\\\\", "\\"))
    assert found is not None
    argument = re.sub(r"\\(.)", r"\1", found[1])
    assert "%" not in argument.replace("%%", "")
    assert argument.replace("%%", "%") == program
    assert found[2] == " -m cablecar.applet --autostart"
    autostart.switch(False)
    assert not autostart.is_on()


def test_an_administrators_no_can_be_overruled(autostart: Autostart, system: Path, own: Path) -> None:
    system.write_text(SYSTEM + "Hidden=true\n")
    assert not autostart.is_on()
    autostart.switch(True)
    assert autostart.is_on()
    assert "Exec=" in own.read_text()


@pytest.mark.parametrize("off", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_somebodys_own_entry_stays_but_for_the_switch(autostart: Autostart, system: Path, own: Path, off: str) -> None:
    own.parent.mkdir(parents=True)
    own.write_text(f"# mine\n[Desktop Entry]\nType=Application\nExec=nice cablecar-applet\n{off}\n[Other]\nHidden=x\n")
    assert not autostart.is_on()
    autostart.switch(True)
    assert autostart.is_on()
    kept = "# mine\n[Desktop Entry]\n{}Type=Application\nExec=nice cablecar-applet\n[Other]\nHidden=x\n"
    assert own.read_text() == kept.format("")
    autostart.switch(False)
    assert not autostart.is_on()
    assert own.read_text() == kept.format("Hidden=true\n")


def test_a_symbolic_link_stays_one(autostart: Autostart, system: Path, own: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "dotfiles" / "cablecar.desktop"
    own.parent.mkdir(parents=True)
    own.symlink_to(elsewhere)
    autostart.switch(False)
    assert own.is_symlink()
    assert "Hidden=true" in elsewhere.read_text()


@pytest.mark.parametrize("environment", [{}, {"XDG_CONFIG_HOME": "relative"}, {"XDG_CONFIG_HOME": ""}])
def test_the_usual_places(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    autostart = Autostart({"XDG_CONFIG_DIRS": str(tmp_path), **environment})
    autostart.switch(False)
    assert (tmp_path / ".config" / "autostart" / FILE).is_file()


def test_a_file_that_cannot_be_read_counts_as_none(autostart: Autostart, system: Path, own: Path) -> None:
    own.mkdir(parents=True)
    assert autostart.is_on()


@pytest.mark.parametrize("obstacle", [Path.mkdir, lambda path: path.write_bytes(b"")])
def test_what_cannot_be_written_is_said(
    autostart: Autostart, system: Path, own: Path, obstacle: Callable[[Path], None]
) -> None:
    own.parent.parent.mkdir()
    own.parent.write_bytes(b"")
    with pytest.raises(OSError):
        autostart.switch(False)
    assert autostart.is_on()
    assert os.listdir(own.parent.parent) == ["autostart"]
