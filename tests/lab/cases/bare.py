"""The same calls without Cablecar, to measure it against: by pppd, and by xl2tpd with xl2tpd-control.

What pppd is told is what the helper's own peer file tells it, but the name of the link.
"""

import contextlib
import fcntl
import signal
import socket
import subprocess
from pathlib import Path

import lab
from lines import Line

NAME = "bare"
OURS, PEER = Path("/etc/ppp/peers", lab.LINK), Path("/etc/ppp/peers", NAME)
FOLDER = Path("/run/xl2tpd")  # where xl2tpd-control hears the answer
CONTROL = FOLDER / "l2tp-control"
BUFFERING = "--timeout 0.02"  # in our own peer file
UP_WITHIN = 30.0  # seconds
SIOCGIFADDR = 0x8915

TUNNEL = f"""\
[global]
port = 0
[lac {NAME}]
lns = {lab.SERVER}
pppoptfile = {PEER}
redial = yes
redial timeout = 1
"""


def has_address(interface: str = "ppp0") -> bool:
    """Whether the call is up, for a bare pppd; asked without a process, for that would take time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
        fcntl.ioctl(asking, SIOCGIFADDR, interface.encode().ljust(32, b"\0"))
        return True
    return False


def quietly(*command: str) -> None:
    """Run it, but not by pipes: a pppd that detaches leaves its pptp holding them."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Bare:
    """Calls by the bare tools on one line; our own peer file for it has to be there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._daemon: subprocess.Popen[bytes] | None = None
        self.tell(BUFFERING)

    def tell(self, buffering: str) -> None:
        """Have pptp told what our own peer file tells it, but to put packets in order like this."""
        own = OURS.read_text().replace(f"linkname {lab.LINK}", f"linkname {NAME}")
        PEER.write_text(own.replace(BUFFERING, buffering))

    def connect(self, *options: str) -> None:
        """Dial, pppd with these options more; return when the call is up."""
        if self._line.pinned:
            lab.run("ip", "route", "replace", lab.SERVER, "via", "10.20.30.1", "dev", "eth0")
        if self._line.unit == "cablecar-l2tp":
            self._connect_tunnel()
        else:
            quietly("pppd", "call", NAME, "updetach", *options)

    def _connect_tunnel(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "conf").write_text(TUNNEL)
        self._daemon = subprocess.Popen(
            ["xl2tpd", "-D", "-c", FOLDER / "conf", "-C", CONTROL],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        lab.eventually(CONTROL.is_fifo, UP_WITHIN, "xl2tpd listens", pause=0.01)
        quietly("xl2tpd-control", "connect-lac", NAME)
        lab.eventually(has_address, UP_WITHIN, "the bare call is up", pause=0.01)

    def hang_up(self) -> None:
        """End the call; return when nothing of it is left."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGINT)
            self._daemon.wait()
        else:
            lab.run("pkill", "-f", f"pppd call {NAME}")
        lab.eventually(lambda: not lab.call_processes(), 15, "the bare call has ended")
        if self._line.pinned:
            lab.run("ip", "route", "del", lab.SERVER)
