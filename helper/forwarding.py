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
        if not (noted := safefile.read_names(self._note)) - set(wanted):
            return
        if not kernel.forwards_everywhere():  # else somebody has switched on all of them meanwhile
            for link in kernel.links():
                if link.get_attr("IFLA_IFNAME") in noted - set(wanted):
                    kernel.set_forwarding(link["index"], False)
        safefile.write_names(self._note, noted & set(wanted))

    def switchable(self, kernel: Netlink, wanted: Collection[str]) -> set[str]:
        """Note those of the wanted interfaces that forward because of us, or will; return them."""
        off = {link.get_attr("IFLA_IFNAME") for link in kernel.links() if not kernel.forwards(link)}
        noted = safefile.read_names(self._note)
        if new := off & set(wanted) - noted:
            safefile.write_names(self._note, noted | new)
        return noted | new

    def switch_on(self, kernel: Netlink, wanted: Collection[str]) -> None:
        """Have the wanted interfaces forward."""
        for link in kernel.links():
            if link.get_attr("IFLA_IFNAME") in wanted and not kernel.forwards(link):
                kernel.set_forwarding(link["index"], True)
