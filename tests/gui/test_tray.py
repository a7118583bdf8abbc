"""The icon in a real X display with a fake tray: born late, born again, clicked, its menu chosen from.

Qt speaks to a tray only on a real platform, so the applet runs as a program in Xvfb.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HARMLESS = (
    "XDG_RUNTIME_DIR",
    "QDBusTrayIcon encountered a D-Bus error",  # Qt of the panel that we have just killed
)
QUIT = "Quit (links stay as they are)"
REST = ["---", "Status…", "Log…", "Diagnosis…", "Settings…", "---", "Add a link…", "Preferences…", "---", QUIT]


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.fail("Xvfb is not installed (package xvfb)")
    read, write = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    process.terminate()
    process.wait()


class Program:
    """The applet, running in Xvfb."""

    def __init__(self, display: str, home: Path, *code: str) -> None:
        self.log = home / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(code or ("-m", "cablecar.applet", "--autostart"))],
                env=os.environ | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "XDG_CONFIG_HOME": str(home)},
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def stop(self) -> None:
        """End it as the session does; it must go willingly and without complaints."""
        self.process.terminate()
        try:
            assert self.process.wait(5) == 0
        finally:
            self.process.kill()
            self.process.wait()
        complaints = [line for line in self.log.read_text().splitlines() if "WARNING" in line or "ERROR" in line]
        assert not [line for line in complaints if not any(known in line for known in HARMLESS)]


@pytest.fixture
def applet(display: str, helper: Any, tmp_path: Path, eventually: Any) -> Iterator[Program]:
    program = Program(display, tmp_path)
    eventually(lambda: helper.seen("call", member="GetAll") or program.process.poll() is not None)
    try:
        assert program.process.poll() is None, program.log.read_text()
        yield program
    finally:
        program.stop()


def looked(watcher: Any, eventually: Any) -> dict[str, Any]:
    # A new icon may just be taking the place of an old one.
    seen: dict[str, Any] = eventually(lambda: watcher.do("look"))
    return seen


def texts(watcher: Any) -> list[str]:
    return [line[1] for line in watcher.do("menu")]


def test_a_late_tray_gets_an_icon(applet: Program, start: Any, helper: Any, eventually: Any) -> None:
    watcher = start("watcher.py")
    seen = looked(watcher, eventually)
    assert seen["icon"] or seen["pixmaps"]
    assert seen["title"] == "Cablecar"  # what a screen reader says
    eventually(lambda: watcher.do("look").get("tooltip") == "Home \uff06 Co \u2039b\u203a: Disconnected")
    helper.do("set", name="home", State="up")
    eventually(lambda: watcher.do("look").get("tooltip", "").endswith(": Connected"))


def test_a_tray_that_restarts_gets_it_again(applet: Program, start: Any, eventually: Any) -> None:
    first = start("watcher.py")
    eventually(lambda: first.seen("item"))
    first.stop()
    again = start("watcher.py")
    assert looked(again, eventually)["tooltip"]


def test_an_early_tray_gets_one_icon(display: str, helper: Any, start: Any, tmp_path: Path, eventually: Any) -> None:
    watcher = start("watcher.py")
    program = Program(display, tmp_path)
    try:
        seen = looked(watcher, eventually)
        eventually(lambda: watcher.do("look").get("tooltip", "").endswith("Disconnected"))
        assert len(watcher.seen("item")) == 1
        assert seen["id"]
    finally:
        program.stop()


def test_an_icon_that_is_wanted_only_in_use(
    display: str, helper: Any, start: Any, tmp_path: Path, eventually: Any
) -> None:
    (tmp_path / "cablecar").mkdir()
    (tmp_path / "cablecar" / "applet.ini").write_text("[General]\nicon-always=false\n")
    watcher = start("watcher.py")
    program = Program(display, tmp_path)
    try:
        eventually(lambda: helper.seen("call", member="GetAll"))
        helper.do("set", name="home", State="dialing")
        eventually(lambda: "Connecting" in watcher.do("look").get("tooltip", ""))
        helper.do("set", name="home", State="down")
        eventually(lambda: not watcher.do("look"))
        helper.do("set", name="home", State="up")
        eventually(lambda: "Connected" in watcher.do("look").get("tooltip", ""))
        assert len(watcher.seen("item")) == 2  # none before it was in use
    finally:
        program.stop()


def test_a_very_late_tray_gets_an_icon_too(
    display: str, helper: Any, start: Any, tmp_path: Path, eventually: Any
) -> None:
    """The window has taken the icon's place, and Qt has made up its mind; old Qt for ever."""
    code = (
        "import sys; from cablecar.applet import app, tray; tray.PATIENCE_MS = 1\n"
        "app.Applet._tray_missing = lambda self: print('no tray', flush=True)\n"
        "sys.exit(app.main([]))"
    )
    program = Program(display, tmp_path, "-c", code)
    try:
        eventually(lambda: "no tray" in program.log.read_text())
        assert looked(start("watcher.py"), eventually)["tooltip"]
    finally:
        program.stop()


def test_a_click_and_the_menu_as_a_host_sees_them(applet: Program, start: Any, helper: Any, eventually: Any) -> None:
    watcher = start("watcher.py")
    looked(watcher, eventually)
    eventually(lambda: texts(watcher)[:1] == ["Home & Co <b>: Disconnected"])
    assert texts(watcher) == ["Home & Co <b>: Disconnected", "Connect", *REST]
    watcher.do("click")
    eventually(lambda: helper.seen("call", member="Connect"))
    helper.do("set", name="home", State="dialing", Phase="authenticating")
    eventually(lambda: texts(watcher) == ["Home & Co <b>: Connecting…", "Logging in", "Stop trying", *REST])
    helper.do("set", name="home", State="up", Phase="")
    eventually(lambda: "Disconnect" in texts(watcher))
    watcher.do("choose", id=next(line[0] for line in watcher.do("menu") if line[1] == "Disconnect"))
    eventually(lambda: helper.seen("call", member="Disconnect"))
    watcher.do("choose", id=next(line[0] for line in watcher.do("menu") if line[1] == QUIT))
    eventually(lambda: applet.process.poll() == 0)


def test_the_icon_follows_the_state_within_100_ms(applet: Program, start: Any, helper: Any, eventually: Any) -> None:
    watcher = start("watcher.py")
    looked(watcher, eventually)
    seconds = []
    for state, words in (("up", "Connected"), ("waiting", "Waiting")) * 3:
        began = time.monotonic()
        helper.do("set", name="home", State=state)
        eventually(lambda words=words: watcher.do("look").get("tooltip", "").endswith(words))
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.1  # the quickest: whatever else the machine does is not the applet's fault
