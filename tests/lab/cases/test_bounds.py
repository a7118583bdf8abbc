"""One message of 30 MiB, the most that the system bus takes, stops nobody's call and costs the helper no memory."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lab
import pytest

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
MIB = 2**20

# Sends one message `av` of 30 MiB, variants of a byte each, and prints what comes back for it before a Ping's answer.
SENDER = """
import asyncio, struct, sys
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message

async def send(kind):
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    bus.add_message_handler(lambda message: message.reply_serial == 4711 and print(message.error_name))
    empty = Message(destination="org.cablecar1", path="/org/cablecar1", interface="org.cablecar1.Manager",
        member="AddLink", message_type=MessageType[kind], signature="av", body=[[]], serial=4711)._marshall()
    size = 30 * 2**20
    head = empty[:4] + struct.pack("<I", size + 4) + empty[8:-4]
    large = head + struct.pack("<I", size) + b"\\x01y\\0\\7" * (size // 4)
    await asyncio.get_running_loop().sock_sendall(bus._sock, large)
    await bus.call(Message(destination="org.cablecar1", path="/", interface="org.freedesktop.DBus.Peer", member="Ping"))

asyncio.run(send(sys.argv[1]))
"""


def memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def cpu(pid: int) -> float:
    """Seconds of processor that the process has used."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / 100


@contextmanager
def undisturbed() -> Iterator[None]:
    """Demand that the helper has hardly any work with it, beside the bus daemon, which reads every byte of it.

    How long it keeps others waiting is measured on the host (tests/bus/test_bounds.py): on an emulated processor the
    daemon is busy for twenty seconds, and whoever answers waits for its turn.
    """
    pid, daemon = lab.helper_pid(), int(lab.run("systemctl", "show", "--property=MainPID", "--value", "dbus").output)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM begins anew
    before, used, daemons = memory(pid, "VmRSS"), cpu(pid), cpu(daemon)
    yield
    growth, used, daemons = memory(pid, "VmHWM") - before, cpu(pid) - used, cpu(daemon) - daemons
    print(f"helper {used:.2f} s of processor and {growth / MIB:.1f} MiB more, bus daemon {daemons:.2f} s")
    assert used < daemons / 4
    assert growth < 8 * MIB
    assert lab.helper_pid() == pid


def large(kind: str, *who: str) -> str:
    return lab.run(*who, sys.executable, "-I", "-c", SENDER, kind, timeout=300).output.strip()


@pytest.mark.usefixtures("configured")
def test_a_call_of_30_mib_is_refused() -> None:
    with undisturbed():
        assert large("METHOD_CALL", *NOBODY) == "org.cablecar1.Error.LimitExceeded"
    assert lab.prop("State") == "down"


@pytest.mark.usefixtures("configured")
def test_a_signal_of_30_mib_is_kept_from_it_by_the_bus() -> None:
    begin = time.strftime("%F %T")
    with undisturbed():
        large("SIGNAL", *NOBODY)
    assert "bytes was dropped" not in lab.journal("-u", "cablecar-helper.service", "--since", begin)
    assert lab.prop("State") == "down"
