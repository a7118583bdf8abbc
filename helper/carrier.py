"""What carries PPP over the cable: the contract that `pptp.py`, `l2tp.py` and `pppoe.py` each fulfil, and nothing else.

Whatever differs between the three is a field here; who dials, diagnoses or reads settings asks these fields and never
which protocol it is. Pure: text out, no file and no process.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from cablecar.helper.reasons import Reason

if TYPE_CHECKING:
    from cablecar.helper.settings import Settings

ETHERNET: Final = 1500  # bytes that a frame carries
_PROTOCOLS: Final = {6: "tcp", 17: "udp", 47: "gre"}


class Passage(NamedTuple):
    """A kind of packets that a firewall has to let through, both ways.

    Attributes:
        what: Its name in a sentence.
        number: Its IP protocol.
        port: The server's port; 0 where there are none.
    """

    what: str
    number: int
    port: int = 0

    @property
    def protocol(self) -> str:
        """Its IP protocol by the name that nft and firewalld have for it."""
        return _PROTOCOLS[self.number]


class Carrier(NamedTuple):
    """One way to carry PPP.

    Attributes:
        title: Its name in a sentence.
        unit: The template of the unit that a call runs in.
        programs: What must be installed beside pppd.
        over_ip: Whether it calls an address: then it needs a server's name or address, a lease, and pins. Otherwise it
            calls whoever answers on the cable's Ethernet.
        own_settings: The settings that have a meaning by it and by no other.
        mtu: Bytes of a packet in the tunnel, where the cable is Ethernet and the settings leave it to us.
        options: Returns the lines of the peer file that lead to the target: an address, or the cable's interface.
        files: Returns what else the unit reads, by the endings of the files' names, for a link that dials a target.
        endings: All endings that `files` may have.
        silence: Why a call fails when the server has answered and then nothing comes through the tunnel.
        kernel: The module under /sys/module that the kernel loads for it, and what it is; empty for none of its own.
        passages: What a firewall has to let through.
        control_port: The TCP port whose connection shows that the server has answered; 0 where pppd begins only then.
        over: Matches what is logged when the call is over though its unit still runs; None when that ends by itself.
    """

    title: str
    unit: str
    programs: tuple[str, ...]
    over_ip: bool
    mtu: int
    options: Callable[["Settings", str], list[str]]
    silence: Reason
    own_settings: frozenset[str] = frozenset()
    kernel: str = ""
    files: Callable[[str, "Settings", str], Mapping[str, bytes]] = lambda name, settings, target: {}
    endings: tuple[str, ...] = ()
    passages: tuple[Passage, ...] = ()
    control_port: int = 0
    over: re.Pattern[str] | None = None

    def room(self, cable: int) -> int:
        """Return the `mtu` for a cable that takes packets of so many bytes.

        A cable with larger ones leads on over Ethernet all the same. On a cable that is called itself, pppd looks.
        """
        return self.mtu - max(0, ETHERNET - cable) if self.over_ip else self.mtu
