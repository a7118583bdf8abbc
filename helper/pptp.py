"""PPTP (RFC 2637): pppd starts pptp, which holds a TCP connection to the server and carries PPP in GRE."""

from typing import TYPE_CHECKING, Final

from cablecar.helper import reasons
from cablecar.helper.carrier import Carrier, Passage

if TYPE_CHECKING:
    from cablecar.helper.settings import Settings

PROGRAM: Final = "/usr/sbin/pptp"
PORT: Final = 1723  # TCP, of the control connection
# Seconds that a packet waits for an earlier one. pptp's 0.3 halve what a path carries that loses 1 packet in 200; not
# to wait at all costs a third where packets overtake each other (`bench buffering`).
REORDERING: Final = 0.02


def _options(settings: "Settings", target: str) -> list[str]:
    # No `exec`: pppd ends its child at once, and the shell's end leaves pptp to carry the goodbye to the server.
    return [f'pty "{PROGRAM} {target} --nolaunchpppd --nohostroute --loglevel 1 --timeout {REORDERING}"']


PPTP: Final = Carrier(
    title="PPTP",
    unit="cablecar-link",
    programs=(PROGRAM,),
    over_ip=True,
    mtu=1436,  # 1500 less IPv4 (20), GRE with both numbers (16), PPP (4), rest for VLAN tags
    options=_options,
    silence=reasons.GRE_BLOCKED,
    passages=(Passage(f"TCP port {PORT}", 6, PORT), Passage("GRE", 47)),
    control_port=PORT,
)
