"""The TCP connections of this machine that stand, as the kernel lists them.

pptp tells of the control connection in syslog alone, and nothing of the tunnel shows that the server has answered at
all. Reads /proc (proc_pid_net(5)) and opens no socket.
"""

import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

TABLE: Final = Path("/proc/self/net/tcp")
_ESTABLISHED: Final = "01"


def established(server: IPv4Address, port: int, table: Path = TABLE) -> frozenset[str]:
    """Return the local ends of the connections with that end of the server's, in the kernel's notation.

    Raises:
        OSError: The table cannot be read.
    """
    remote = f"{int.from_bytes(server.packed, sys.byteorder):08X}:{port:04X}"
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return frozenset(local for _, local, other, state, *_ in rows if (other, state) == (remote, _ESTABLISHED))
