"""What the lab's tests do by hand: busctl, isp, ip; and waiting for conditions instead of times.

Everything goes by the programs that a person would use, so that a test reads like a terminal session; but for `ask`
and so `prop`, which tests ask again and again while they wait: a process each time would take the processor from what
they wait for.
"""

import asyncio
import atexit
import json
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from dbus_next import BusType, Message, MessageType
from dbus_next.aio import MessageBus

SERVER = "203.0.113.7"
HOST = "198.51.100.10"  # on the Internet, beyond the tunnel
USER = "customer@C012"
PASSWORD = "secret-C012"
PEER = "192.0.2.1"
# Those of the kernel are put back as its own, or systemd-networkd would take them away.
FLUSH_RULES = (
    "ip rule flush; ip rule add pref 32766 table main protocol kernel; "
    "ip rule add pref 32767 table default protocol kernel"
)
CALL_PROCESSES = ("pppd", "pptp", "pptpgw", "pptpcm", "xl2tpd")  # pptp renames its two: gateway and call manager
LINK = "yosefcom"
RESOLV = Path("/etc/resolv.conf")
NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
PATH = f"/org/cablecar1/link/{LINK}"
MANAGER = ("org.cablecar1", "/org/cablecar1", "org.cablecar1.Manager")
PROPERTIES = "org.freedesktop.DBus.Properties"


@dataclass(frozen=True)
class Answer:
    """What a program answered."""

    status: int
    output: str
    error: str

    @property
    def ok(self) -> bool:
        return self.status == 0


def run(*command: str, check: bool = True, timeout: float = 120) -> Answer:
    options: dict[str, Any] = {"text": True, "errors": "replace"}  # a journal has whatever bytes a server has said
    done = subprocess.run(
        command, check=False, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, **options
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.ok or not check, f"{' '.join(command)}: {answer.status}\n{answer.output}{answer.error}"
    return answer


def isp(*arguments: str) -> None:
    run("isp", *arguments)


def bus(*arguments: str, check: bool = True) -> Answer:
    return run("busctl", "--timeout=120", "--", "call", *arguments, check=check)  # -- : values may begin with a dash


def manager(*arguments: str, check: bool = True) -> Answer:
    return bus(*MANAGER, *arguments, check=check)


def link(*arguments: str, check: bool = True) -> Answer:
    return bus("org.cablecar1", PATH, "org.cablecar1.Link", *arguments, check=check)


async def leave(connection: MessageBus) -> None:
    """End a connection; dbus-next's own `disconnect` leaves the socket open."""
    connection.disconnect()  # type: ignore[no-untyped-call]
    await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
    connection._stream.close()
    connection._sock.close()


class Bus:
    """The system bus, by a connection that is kept."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._bus: MessageBus | None = None

    def ask(self, question: Message) -> Message:
        """Return the answer; the helper is started by the bus if it does not run, as for busctl."""
        return self._loop.run_until_complete(self._ask(question))

    def close(self) -> None:
        """Leave the bus; it is over."""
        if self._bus is not None:
            self._loop.run_until_complete(leave(self._bus))
        self._loop.close()

    async def _ask(self, question: Message) -> Message:
        if self._bus is None:
            self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        async with asyncio.timeout(120):
            while (reply := await self._bus.call(question)) and reply.error_name == NO_REPLY:
                pass  # it was sent to a helper that a test has just killed
        assert reply is not None
        return reply


_bus: Final = Bus()
atexit.register(_bus.close)


def ask(interface: str, member: str, signature: str, body: list[Any], path: str, owner: str = MANAGER[0]) -> Message:
    """Call a method by the connection that is kept, and return its answer, which may be an error."""
    return _bus.ask(Message(owner, path, interface, member, signature=signature, body=body))


def value_of(reply: Message) -> Any:
    assert reply.message_type is MessageType.METHOD_RETURN, f"{reply.error_name} {reply.body}"
    return reply.body[0]


def prop(name: str, path: str = PATH) -> Any:
    return value_of(ask(PROPERTIES, "Get", "ss", ["org.cablecar1.Link", name], path)).value


def version() -> str:
    """The helper's version: what is the same whatever it does."""
    return str(value_of(ask(PROPERTIES, "Get", "ss", [MANAGER[2], "Version"], MANAGER[1])).value)


def failed_units() -> list[str]:
    """The units of systemd's that have failed."""
    interface, path = "org.freedesktop.systemd1.Manager", "/org/freedesktop/systemd1"
    rows = value_of(ask(interface, "ListUnitsFiltered", "as", [["failed"]], path, "org.freedesktop.systemd1"))
    return [str(row[0]) for row in rows]


def add_link(**settings: str) -> None:
    """Add the link with these settings; where they do not say what it dials, that is the provider's PPTP server."""
    values = {"user": USER, "title": "Yosefcom", **(settings or {"server": SERVER})}
    flat = [part for key, value in values.items() for part in (key, "s", value)]
    manager("AddLink", "sa{sv}", LINK, str(len(values)), *flat)


def device_to(address: str) -> str:
    """The interface that the kernel sends packets for `address` out of; empty when there is none."""
    match = re.search(r" dev (\S+)", run("ip", "route", "get", address, check=False).output)
    return match[1] if match else ""


def address(interface: str = "ppp0") -> str:
    """The machine's own address on an interface."""
    return run("ip", "-4", "-o", "address", "show", "dev", interface).output.split()[3]


def flows() -> bool:
    """Whether a ping comes back by a call, whatever the routes say; one that has ended may leave its name a while."""
    tunnels = [path.name for path in Path("/sys/class/net").glob("ppp*")]
    return any(run("ping", "-n", "-c1", "-W1", "-I", name, HOST, check=False).ok for name in tunnels)


def reaches(address: str = HOST) -> bool:
    return run("ping", "-c", "1", "-W", "2", address, check=False).ok


@contextmanager
def pinging(interval: float) -> Iterator[list[int]]:
    """Ping through the tunnel meanwhile; afterwards the numbers of the packets that nobody answered are there."""
    unanswered: list[int] = []
    command = ["ping", "-n", "-i", str(interval), HOST]
    with tempfile.TemporaryFile("w+") as said:  # a pipe that nobody reads meanwhile is full in the end
        with subprocess.Popen(command, stdout=said) as ping:
            try:
                yield unanswered
            finally:
                ping.send_signal(signal.SIGINT)
        said.seek(0)
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", said.read())}
    assert answered, "no packet came back"
    unanswered += {*range(1, max(answered))} - answered


def eventually(condition: Callable[[], object], seconds: float, what: str, pause: float = 0.1) -> float:
    """Wait until the condition holds; return after how many seconds it did."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return time.monotonic() - begin


def stays(condition: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"did not stay for {seconds} s: {what}"
        time.sleep(0.2)


def check_a_short_loss_of_carrier(seconds: float, limit: float) -> None:
    """The call that is up outlives a plug that is out for so long: traffic flows by it within the limit after it."""
    first = pppd_pid()
    isp("unplug")
    stays(lambda: prop("State") == "up", seconds, "the call waits for the cable")
    begin = time.monotonic()
    isp("plug")
    eventually(flows, limit, "it goes on")
    print(f"traffic again {time.monotonic() - begin:.2f} s after the plug")
    assert pppd_pid() == first


def call_processes(*names: str) -> list[int]:
    """The processes of calls of ours, or those of such a name; the provider's are in another network namespace."""
    mine = os.readlink("/proc/self/ns/net")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, network = (entry / "comm").read_text().strip(), os.readlink(entry / "ns/net")
            except OSError:
                continue
            if name in (names or CALL_PROCESSES) and network == mine:
                found.append(int(entry.name))
    return found


def pppd_pid() -> int:
    """The link's pppd, also where another program has started it; 0 while there is none that has named itself."""
    files = [folder / f"ppp-{LINK}.pid" for folder in (Path("/run"), Path("/run/pppd"))]  # pppd 2.4.9, 2.5
    for file in files:
        with suppress(FileNotFoundError):
            if words := file.read_text().split():  # just made, it is empty
                return int(words[0])
    return 0


def redialed(first: int) -> bool:
    """Whether a call is up whose pppd is another than the first; asked in this order, for the state follows its end."""
    return pppd_pid() not in (0, first) and bool(prop("State") == "up")


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Have a process stand still meanwhile."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def helper_pid() -> int:
    return int(run("systemctl", "show", "--value", "--property=MainPID", "cablecar-helper.service").output)


def ip(*commands: str) -> list[str]:
    """What ip answers to these, each as far as it can: by one process, for each takes its time here."""
    options: dict[str, Any] = {"capture_output": True, "text": True, "input": "\n".join(commands)}
    done = subprocess.run(["ip", "-o", "-force", "-batch", "-"], check=False, **options)
    return [str(line) for line in done.stdout.splitlines()]


def routing() -> list[str]:
    """All routes and rules."""
    return ip("route show table all", "rule show")


def our_routes_and_rules() -> list[str]:
    return [line for line in routing() if "proto 201" in line]


def check_no_call() -> None:
    """No call is there, nor a way by one."""
    assert not call_processes()
    assert not our_routes_and_rules()
    assert device_to(HOST) == "eth0"


def counters(interface: str) -> tuple[int, int]:
    """Bytes received and sent."""
    folder = Path("/sys/class/net") / interface / "statistics"
    return int((folder / "rx_bytes").read_text()), int((folder / "tx_bytes").read_text())


def journal(*arguments: str) -> str:
    return run("journalctl", "--no-pager", "-o", "short-monotonic", *arguments).output


class Monitor:
    """What crosses a bus meanwhile, by `busctl monitor`: every message that a match rule takes, in order.

    A context manager. On entering it waits until busctl really hears, and on leaving until it has heard everything:
    both times it sends a Ping that the rules take too, until that comes out.
    """

    def __init__(self, *rules: str, ping: tuple[str, ...], via: tuple[str, ...] = ()) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._via = via
        bus = ("--user",) if via else ("--system",)
        self._ping = (*via, "busctl", *bus, "call", *ping, "org.freedesktop.DBus.Peer", "Ping")
        matches = [f"--match={rule}" for rule in (*rules, f"type='method_call',member='Ping',path='{ping[1]}'")]
        self._command = [*via, "busctl", *bus, "--json=short", "monitor", *matches]
        self._pings = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._synchronize()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._synchronize()
        self._process.terminate()
        if self._via:
            # It was started for us by another process, which does not pass the signal on.
            run("pkill", "-u", "alice", "-x", "busctl", check=False)
        self._reader.join()
        self._process.wait()

    def _synchronize(self) -> None:
        before = self._pings

        def heard() -> bool:
            run(*self._ping)
            return self._pings > before

        eventually(heard, 30, "busctl monitor hears", pause=0.1)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                message = json.loads(line) if line.startswith("{") else {}
                if message.get("member") == "Ping":
                    self._pings += 1
                elif message.get("type") in ("signal", "method_call"):
                    self.messages.put({**message, "heard": time.time()})


class Signals:
    """The helper's signals of a while."""

    def __init__(self, heard: list[dict[str, Any]]) -> None:
        self.heard = heard

    def names(self) -> list[str]:
        return [message["member"] for message in self.heard if message["member"] != "PropertiesChanged"]

    def bodies(self, member: str) -> list[list[Any]]:
        return [message["payload"]["data"] for message in self.heard if message["member"] == member]

    def states(self) -> list[str]:
        return self._values("State")

    def phases(self) -> list[str]:
        return self._values("Phase")

    def _values(self, name: str) -> list[str]:
        changes = [body[1] for body in self.bodies("PropertiesChanged")]
        return [change[name]["data"] for change in changes if name in change]


@contextmanager
def listening() -> Iterator[Signals]:
    """Hear every signal of the helper meanwhile; they are there afterwards."""
    heard: list[dict[str, Any]] = []
    with Monitor("type='signal',sender='org.cablecar1'", ping=("org.cablecar1", "/org/cablecar1")) as monitor:
        yield Signals(heard)
    while not monitor.messages.empty():
        message = monitor.messages.get()
        if str(message.get("path", "")).startswith("/org/cablecar1"):
            heard.append(message)
