"""The helper's objects on a private bus with the real policy, before a real polkitd and callers with other user ids.

systemd and the kernel's routes are played as in tests/bus. polkitd has a mount namespace of its own, in which there
are our actions only, our rules only, and no login session whoever runs the tests: the host's polkitd is not touched.
"""

import asyncio
import importlib.util
import json
import os
import pickle
import pwd
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbus_next.constants import MessageType

from cablecar.helper import names

ROOT = Path(__file__).resolve().parents[2]

if TYPE_CHECKING:
    from tests.bus import conftest as bus_conftest
    from tests.bus.conftest import Stage
else:
    _spec = importlib.util.spec_from_file_location("bus_conftest", ROOT / "tests/bus/conftest.py")
    sys.modules["bus_conftest"] = bus_conftest = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(bus_conftest)

stage, ears = bus_conftest.stage, bus_conftest.ears  # the fixtures, on the bus that is made here

# Only root can be somebody else: for others test_as_root.py runs the rest as root of a user namespace.
collect_ignore = ["test_as_root.py"] if os.geteuid() == 0 else ["test_polkitd.py"]

# Users that every Debian has, each of whom our rule grants one action.
GRANTED = {
    names.ACTION_CONNECT: "daemon",
    names.ACTION_VIEW_DETAILS: "bin",
    names.ACTION_MODIFY: "sys",
    names.ACTION_SYSTEM: "sync",
}
RULE = f"""
polkit.addRule(function(action, subject) {{
    if (subject.user == {json.dumps(GRANTED)}[action.id])
        return polkit.Result.YES;
}});
"""
PATIENCE = 10.0

_NOT_OURS = {
    "user", "fork", "syslog", "pidfile", "listen", "servicehelper", "standard_system_servicedirs", "include",
    "includedir",
}  # fmt: skip
_POLKITD = """
set -eu
mount --bind "$1/actions" /usr/share/polkit-1/actions
mount --bind "$1/rules" /usr/share/polkit-1/rules.d
mount --bind "$1/rules" /etc/polkit-1/rules.d
mount -t tmpfs none /run/systemd
exec /usr/lib/polkit-1/polkitd --no-debug
"""


def configuration(socket: Path) -> str:
    """The system bus's own configuration with our policy and polkit's, listening elsewhere and starting nothing."""
    bus = ET.parse("/usr/share/dbus-1/system.conf").getroot()
    for element in list(bus):
        if element.tag in _NOT_OURS:
            bus.remove(element)
    ET.SubElement(bus, "listen").text = f"unix:path={socket}"
    for policy in (ROOT / "dbus/org.cablecar1.conf", "/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf"):
        ET.SubElement(bus, "include").text = str(policy)
    return ET.tostring(bus, encoding="unicode")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="cablecar-polkitd-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def private_bus(folder: Path) -> Iterator[str]:
    (folder / "bus.conf").write_text(configuration(folder / "socket"))
    command = ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()  # its address: it listens
        yield f"unix:path={folder / 'socket'}"
        daemon.terminate()


class Polkitd:
    """The real one."""

    def __init__(self, folder: Path, address: str) -> None:
        for name in ("actions", "rules"):
            (folder / name).mkdir(exist_ok=True)
        self._folder = folder
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, policy: bool = True) -> None:
        """Start it, with our policy file or without."""
        actions = self._folder / "actions/org.cablecar1.policy"
        actions.unlink(missing_ok=True)
        if policy:
            actions.write_bytes((ROOT / "polkit/org.cablecar1.policy").read_bytes())
        (self._folder / "rules/50-tests.rules").write_text(RULE)
        command = ["unshare", "--mount", "sh", "-c", _POLKITD, "sh", str(self._folder)]
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self._address}
        with (self._folder / "polkitd.log").open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "polkitd.log").read_text()
            assert time.monotonic() < end

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        ping = ["--dest=org.freedesktop.PolicyKit1", "--print-reply", "/", "org.freedesktop.DBus.Peer.Ping"]
        command = ["dbus-send", f"--bus={self._address}", *ping]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def polkitd(folder: Path, private_bus: str) -> Iterator[Polkitd]:
    polkitd = Polkitd(folder, private_bus)
    polkitd.start()
    yield polkitd
    polkitd.kill()


@pytest.fixture
def granted(polkitd: Polkitd) -> dict[str, str]:
    """By action, the user to whom the polkitd that runs grants that action and no other."""
    return GRANTED


@dataclass(frozen=True)
class Answer:
    """What a call came to; `error` is empty when it was done."""

    error: str
    body: list[Any]


class Caller:
    """A process on the bus with a user id of its own (caller.py)."""

    def __init__(self, uid: int, address: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("caller.py")), str(uid)],
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.name = self._process.stdout.readline().strip()

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Answer:
        """Call a method of the helper's."""
        return await self.ask(names.BUS_NAME, path, interface, member, signature, *body)

    async def ask(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> Answer:
        """Call a method of somebody's."""
        sent = {"path": path, "interface": interface, "member": member, "signature": signature, "body": list(body)}
        error, answer = await self._send({**sent, "destination": destination})
        return Answer(error or "", answer)

    async def signal(self, destination: str, interface: str) -> None:
        """Send a signal to somebody."""
        signal = {"path": "/x", "interface": interface, "member": "S", "message_type": MessageType.SIGNAL}
        await self._send({**signal, "destination": destination})

    async def _send(self, message: dict[str, Any]) -> Any:
        return await asyncio.wait_for(asyncio.to_thread(self._exchange, message), 60)

    def _exchange(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(pickle.dumps(message).hex() + "\n")
        self._process.stdin.flush()
        return pickle.loads(bytes.fromhex(self._process.stdout.readline()))

    def close(self) -> None:
        with self._process:
            self._process.terminate()


@pytest.fixture(scope="session")
def caller(private_bus: str) -> Iterator[Callable[[str], Caller]]:
    """Callers by user name, made when they are first asked for."""
    made: dict[str, Caller] = {}

    def caller_of(user: str) -> Caller:
        if user not in made:
            made[user] = Caller(pwd.getpwnam(user).pw_uid, private_bus)
        return made[user]

    yield caller_of
    for made_one in made.values():
        made_one.close()


@pytest_asyncio.fixture
async def scene(stage: "Stage") -> AsyncIterator["Stage"]:
    """A link with a password, down; who calls is what the bus daemon says."""
    await stage.client.add_link()
    stage.links.set_password(bus_conftest.LINK, b"0pen-sesame")
    del stage.bus.uid_of
    yield stage
