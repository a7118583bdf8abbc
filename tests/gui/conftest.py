"""The applet's tests: private buses, fakes as processes of their own, no fixed sleeps, Qt warnings fail.

The pure parts are tested without a bus; the client and the notifier against the fakes, with Qt's offscreen platform;
the tray in Xvfb, where Qt speaks to a tray as on a real desktop.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["LANGUAGE"] = "C"

from PyQt6.QtCore import QEvent, QtMsgType, qInstallMessageHandler
from PyQt6.QtDBus import QDBusConnection
from PyQt6.QtWidgets import QApplication

from cablecar.applet.app import Program
from cablecar.applet.client import Client

ROOT = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).parent / "fakes"
PATIENCE = 10.0

# What Qt says of itself on a healthy machine, with the reason.
HARMLESS = (
    # QSystemTrayIcon looks for an XEmbed tray also on platforms that have none.
    "QObject::connect: No such signal QPlatformNativeInterface::systemTrayWindowChanged",
    "QStandardPaths: XDG_RUNTIME_DIR not set",
    "This plugin does not support",  # raise() and activateWindow() on the offscreen platform
    "propagateSizeHints()",
)

BUS_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"""


def eventually(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Run Qt's events until the condition is true, and return what it says; fail when it never is."""
    end = time.monotonic() + patience
    while True:
        QApplication.processEvents()
        if result := condition():
            return result
        if time.monotonic() > end:
            raise AssertionError(f"still not so after {patience} s")
        time.sleep(0.002)


class Fake:
    """A process that plays a peer on the bus."""

    def __init__(self, script: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self._results: queue.Queue[Any] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, str(FAKES / script), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env=os.environ | {"PYTHONWARNINGS": "ignore::DeprecationWarning"} | (environment or {}),
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.unique = eventually(lambda: self.seen("ready"))[0]["unique"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "done":
                self._results.put(event["result"])
            else:
                self.events.append(event)

    def seen(self, event: str, **values: Any) -> list[dict[str, Any]]:
        """Return what it has told of that kind, with these values."""
        wanted = {"event": event} | values
        return [told for told in list(self.events) if wanted.items() <= told.items()]

    def do(self, command: str, **arguments: Any) -> Any:
        """Give an order and wait until it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command} | arguments) + "\n")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            QApplication.processEvents()
            try:
                return self._results.get(timeout=0.002)
            except queue.Empty:
                assert self._process.poll() is None, "the fake has died"
        raise AssertionError(f"the fake does not do {command}")

    def stop(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[..., Any]:
    """Hand `eventually` to the tests, which cannot import this file."""
    return eventually


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the tests a folder with the program and its catalogues, as a wheel is unpacked."""
    folder = tmp_path_factory.mktemp("site-packages")
    for part in ("applet", "helper"):
        shutil.copytree(ROOT / part, folder / "cablecar" / part, ignore=shutil.ignore_patterns("locale", "__pycache__"))
    catalogues = folder / "cablecar" / "applet" / "locale"
    subprocess.run([ROOT / "desktop" / "po" / "catalogues", "mo", catalogues], check=True)
    return folder


@pytest.fixture(scope="session")
def buses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests a system bus and a session bus of their own."""
    processes = []
    for kind in ("SYSTEM", "SESSION"):
        folder = tmp_path_factory.mktemp(kind.lower())
        configuration = folder / "bus.conf"
        configuration.write_text(BUS_CONFIGURATION.format(folder=folder))
        process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        os.environ[f"DBUS_{kind}_BUS_ADDRESS"] = process.stdout.readline().strip()
        processes.append(process)
    yield
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def application(buses: None) -> Iterator[QApplication]:
    """Give the tests the one application object."""
    yield Program()


@pytest.fixture(autouse=True)
def no_qt_warnings() -> Iterator[None]:
    """Fail a test in which Qt warns, or in which a slot raised."""
    complaints: list[str] = []

    def handler(kind: QtMsgType, _context: object, text: str | None) -> None:
        if kind not in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg) and not (text or "").startswith(HARMLESS):
            complaints.append(f"{kind.name}: {text}")

    def hook(_kind: object, error: BaseException, _traceback: object) -> None:
        complaints.append(f"unhandled: {error!r}")

    qInstallMessageHandler(handler)
    old, sys.excepthook = sys.excepthook, hook
    yield
    # What a test has put to deleteLater() must not live on and answer the next test's fakes.
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qInstallMessageHandler(None)
    sys.excepthook = old
    assert not complaints


@pytest.fixture
def start(application: QApplication) -> Iterator[Callable[..., Fake]]:
    """Start fakes, and end them after the test."""
    fakes: list[Fake] = []

    def starter(script: str, *arguments: str, **options: Any) -> Fake:
        fakes.append(Fake(script, *arguments, **options))
        return fakes[-1]

    yield starter
    for fake in fakes:
        fake.stop()


@pytest.fixture
def helper(start: Callable[..., Fake]) -> Fake:
    """Give the test a fake helper with one link, `home`, that is down."""
    fake = start("helper.py")
    fake.do("add", name="home", Title="Home & Co <b>", quiet=True)
    return fake


@pytest.fixture
def session(application: QApplication) -> Iterator[QDBusConnection]:
    """Give the test a connection of its own to the session bus."""
    # By type and not by address: libdbus shares a connection by address, and aborts when Qt ends that.
    connection = QDBusConnection.connectToBus(QDBusConnection.BusType.SessionBus, "test-session")
    assert connection.isConnected()
    yield connection
    del connection
    QDBusConnection.disconnectFromBus("test-session")


@pytest.fixture
def follow(application: QApplication, eventually: Any) -> Iterator[Callable[[], Client]]:
    """Begin a client that follows the fake helper; it is there once all of the first link is known."""
    made: list[Client] = []

    def begin() -> Client:
        client = Client()
        made.append(client)
        client.start()
        eventually(lambda: client.snapshot.links and not client.snapshot.links[0].partial)
        return client

    yield begin
    for client in made:
        client.deleteLater()
