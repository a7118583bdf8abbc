"""Which DNS servers belong to a link. Pure: asks nobody, writes nothing.

    setting `dns`      systemd-resolved, for the ppp interface    resolvconf, or the plain file
    peer               the peer's, for every name                 the peer's
    cable              nothing: the cable has its own there       those of the cable's lease
    none               nothing                                    nothing
    a list             these, for every name                      these

Who owns /etc/resolv.conf is found out by `resolver.py`. What the peer says is a stranger's word: an address that no
server can have is left out.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from cablecar.helper.plan import doubt

MOST: Final = 3  # resolv.conf(5), MAXNS: further ones are ignored


def in_tunnel(choice: str | Sequence[str], told: Iterable[str], own: Iterable[IPv4Address]) -> list[IPv4Address]:
    """Return the servers that are asked through the link; `told` are the peer's, `own` this machine's addresses."""
    if isinstance(choice, str):
        return believable(told, own) if choice == "peer" else []
    return [IPv4Address(server) for server in choice]


def believable(told: Iterable[str], own: Iterable[IPv4Address]) -> list[IPv4Address]:
    """Return the addresses that another machine can have."""
    mine = frozenset(own)
    return [address for address in dict.fromkeys(_parsed(told)) if not doubt(address, mine)][:MOST]


def wish(choice: str | Sequence[str], of_cable: Iterable[IPv4Address]) -> str:
    """Return in one line what `resolver.py` is to do when the link comes up."""
    if choice == "cable":
        return " ".join(map(str, of_cable)) or "none"
    return choice if isinstance(choice, str) else " ".join(choice)


def _parsed(told: Iterable[str]) -> Iterator[IPv4Address]:
    for text in told:
        with contextlib.suppress(AddressValueError):
            yield IPv4Address(text)
