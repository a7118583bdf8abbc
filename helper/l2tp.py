"""L2TP (RFC 2661): an xl2tpd of the link's own, for this one call, starts pppd once the server has accepted it.

Its configuration is made of validated data only: an address, paths with the link's name, a secret without white space.
It listens on a port that the kernel chooses, so that it does not contend with the machine's own xl2tpd for port 1701.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from cablecar.helper import reasons
from cablecar.helper.carrier import Carrier, Passage

if TYPE_CHECKING:
    from cablecar.helper.settings import Settings

PROGRAM: Final = "/usr/sbin/xl2tpd"
PORT: Final = 1701  # UDP
ENDINGS: Final = ("l2tp", "l2tp-secrets")  # of what the unit reads: the configuration, the tunnel's secret
RETRIES: Final = 4  # each wait is twice the one before: 15 s without an answer are enough, within the limit of a dial

# xl2tpd stays when its call is over. What the server says stands behind these words, unescaped: nothing of what follows
# such a line is believed any more.
_OVER: Final = re.compile(
    r"LCP: timeout sending Config-Requests"  # xl2tpd has pppd wait for ever, then
    r"|xl2tpd\[\d+\]: (?:"
    r"child_handler : pppd |call_close: Call \d+ to |Connection \d+ closed to |control_finish: Connection closed to "
    r"|Maximum retries exceeded for tunnel |control_finish: (?:No secret|Invalid authentication|Denied connection)"
    r"|start_pppd: (?!I'm running)|unable to open tty )"
)


def _options(settings: "Settings", target: str) -> list[str]:
    return ["logfd 2"]  # xl2tpd gives pppd the rest, and its own standard error


def _files(name: str, settings: "Settings", target: str) -> Mapping[str, bytes]:
    lines = [
        "[global]",
        "port = 0",
        "access control = yes",  # nobody calls us
        f"max retries = {RETRIES}",
        f"[lac {name}]",
        f"lns = {target}",
        "autodial = yes",
        "redial = no",
        "length bit = yes",  # some servers take no packets without
        f"pppoptfile = /etc/ppp/peers/{name}",
    ]
    secret = f"* * {settings.tunnel_secret}\n" if settings.tunnel_secret else ""
    return dict(zip(ENDINGS, (("\n".join(lines) + "\n").encode("ascii"), secret.encode("ascii")), strict=True))


L2TP: Final = Carrier(
    title="L2TP",
    unit="cablecar-l2tp",
    programs=(PROGRAM,),
    over_ip=True,
    mtu=1452,  # 1500 less IPv4 (20), UDP (8), L2TP (8), PPP (4), rest for VLAN tags
    options=_options,
    silence=reasons.PATH_LOST,
    own_settings=frozenset({"tunnel_secret"}),
    kernel="l2tp_ppp",
    files=_files,
    endings=ENDINGS,
    passages=(Passage(f"UDP port {PORT}", 17, PORT),),
    over=_OVER,
)
