"""Which interfaces forward packets because of us, as sharing needs it; put back as it was, after a crash too.

Each interface has a switch of its own (`net.ipv4.conf.NAME.forwarding`), which netlink reaches from inside the
helper's cage: that of the whole machine, `net.ipv4.ip_forward`, is never touched.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from cablecar.helper import safefile
from cablecar.helper.netlink import Netlink

NOTE: Final = Path("/run/cablecar/forwarding")
_ROUTER: Final = "*"  # noted beside the names, and none itself: all others were on before us


class Forwarding:
    """What is switched on. The methods block, and belong to the thread of the netlink socket.

    Args:
        note: The file with the names of the interfaces that were off before us; there while one is.
    """

    def __init__(self, note: Path = NOTE) -> None:
        self._note = note

    @property
    def is_ours(self) -> bool:
        """Whether anything is switched on by us."""
        return self._note.exists()

    def put_back(self, kernel: Netlink, wanted: Collection[str]) -> None:
        """Switch off what we have switched on, but for the interfaces that are wanted."""
        noted = safefile.read_names(self._note)
        if not (over := noted - {_ROUTER} - set(wanted)):
            return
        # Else somebody has switched on all of them meanwhile.
        if _ROUTER in noted or not kernel.forwards_everywhere():
            for link in kernel.links():
                if link.get_attr("IFLA_IFNAME") in over:
                    kernel.set_forwarding(link["index"], False)
        left = noted - over
        safefile.write_names(self._note, left if left != {_ROUTER} else ())

    def switchable(self, kernel: Netlink, wanted: Collection[str]) -> set[str]:
        """Note those of the wanted interfaces that forward because of us, or will; return them."""
        off = {link.get_attr("IFLA_IFNAME") for link in kernel.links() if not kernel.forwards(link)}
        noted = safefile.read_names(self._note)
        is_router = kernel.forwards_everywhere()
        if is_router and _ROUTER not in noted:
            noted = set()  # somebody, such as Docker, has switched on all of them meanwhile
        if new := off & set(wanted) - noted:
            noted |= new | ({_ROUTER} if is_router else set())
            safefile.write_names(self._note, noted)
        return noted - {_ROUTER}

    def switch_on(self, kernel: Netlink, wanted: Collection[str]) -> None:
        """Have the wanted interfaces forward."""
        for link in kernel.links():
            if link.get_attr("IFLA_IFNAME") in wanted and not kernel.forwards(link):
                kernel.set_forwarding(link["index"], True)
