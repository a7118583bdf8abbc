"""The three lines that the provider gives: how a link dials each, and what of a call differs from one to the other.

No test asks which protocol it runs by: what differs stands here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest


@dataclass(frozen=True)
class Line:
    """One way to the provider.

    Attributes:
        settings: What the link's settings say of it.
        pinned: Whether the server is an address beyond the cable's router, which has to stay on the cable.
        processes: How many a call has.
        silent: The error when nobody serves there.
        unheard: The error when nothing comes back.
        kernel: The table in /proc/net of the calls whose packets the kernel carries, and what a row of one begins with;
            empty where pptp carries them.
        dropped: The reasons that may be told when the server's pppd is killed. xl2tpd tells that the call is over;
            pptp's gateway may lock itself up at its end, told by kernel and call manager at once: silence tells then.
        unit: The unit that the call runs in.
    """

    settings: Mapping[str, str]
    pinned: bool
    processes: int
    silent: str
    unheard: str
    kernel: tuple[str, str]
    dropped: tuple[str, ...]
    unit: str

    @property
    def way_to_server(self) -> str:
        """The interface that leads to the server's address while a call is up."""
        return "eth0" if self.pinned else "ppp0"

    def kernels_calls(self) -> list[str]:
        """The calls whose packets the kernel carries; the provider's own ends are in another network namespace."""
        table, row = self.kernel
        return re.findall(f"^{row}.*", Path("/proc/net", table).read_text(), re.MULTILINE) if table else []


LINES = {
    "pptp": Line(
        {"server": lab.SERVER},
        pinned=True,
        processes=3,
        silent="ServerRefused",
        unheard="ServerUnreachable",
        kernel=("", ""),
        dropped=("hangup", "path-lost"),
        unit="cablecar-link",
    ),
    "l2tp": Line(
        {"protocol": "l2tp", "server": lab.SERVER},
        pinned=True,
        processes=2,
        silent="L2tpNoAnswer",
        unheard="L2tpNoAnswer",
        kernel=("pppol2tp", r"  SESSION 'sess \d+/[1-9]"),  # session 0 is the tunnel itself
        dropped=("terminated-by-peer",),
        unit="cablecar-l2tp",
    ),
    "pppoe": Line(
        {"protocol": "pppoe"},
        pinned=False,
        processes=1,
        silent="NoConcentrator",
        unheard="NoConcentrator",
        kernel=("pppoe", r"[0-9A-F]{8} "),
        dropped=("hangup",),
        unit="cablecar-link",
    ),
}
every = pytest.mark.parametrize("line", LINES, indirect=True)  # the test runs on each of them
# Likewise, but what takes long is in every run by PPTP only.
most_by_whole = pytest.mark.parametrize(
    "line",
    [name if name == "pptp" else pytest.param(name, marks=pytest.mark.whole) for name in LINES],
    indirect=True,
)
