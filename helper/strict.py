"""Strict mode: what may leave this machine while a link is wanted. Pure: the rules' text for `nft.py`.

Nothing but
    what goes into a tunnel of ours, to an internal interface that shares it, or nowhere (`lo`);
    the packets that carry a tunnel, to the servers that are called now;
    DHCP, and the questions of `lookup.py` for a server's name: its unit has one of systemd's dynamic users, and who
    else has one is a service of this machine's that asks the cable's DNS by itself;
    the local networks that were chosen.
The rest is refused, so that programs hear of it at once: IPv6 too, and what other machines send through this one. The
rules name no cable: one that comes under another name, or beside the first, leaks nothing either.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, collapse_addresses
from typing import Final

from cablecar.helper.nft import chain, quoted
from cablecar.helper.plan import Wanted

# The kernel's last word: nobody sends a packet another way after these (nft(8), "priority").
_PRIORITY: Final = 1000
_DYNAMIC: Final = "61184-65519"  # systemd.exec(5), DynamicUser=


def chains(wanted: Mapping[str, Wanted], local: Collection[IPv4Network]) -> str:
    """Return the chains of strict mode; `local` are the networks that stay reachable."""
    through = quoted(["lo", *sorted({name for one in wanted.values() for name in (one.tunnel, *one.share) if name})])
    # Rules refuse a set with networks that overlap.
    networks = [f"ip daddr {{ {', '.join(map(str, collapse_addresses(local)))} }} accept"] if local else []
    common = [f"oifname {{ {through} }} accept", *networks]
    own = [
        *_carriers(wanted.values()),
        "meta nfproto ipv4 udp sport 68 udp dport 67 accept",
        f"meta nfproto ipv4 meta skuid {_DYNAMIC} meta l4proto {{ tcp, udp }} th dport 53 accept",
    ]
    return _chain("output", [*common, *own]) + _chain("forward", common)


def _carriers(wanted: Iterable[Wanted]) -> Iterator[str]:
    for one in wanted:
        for passage in one.passages:
            packets = f"{passage.protocol} dport {passage.port}" if passage.port else f"meta l4proto {passage.number}"
            for server in one.pins:
                yield f"ip daddr {server} {packets} accept"


def _chain(hook: str, rules: Iterable[str]) -> str:
    end = "reject with icmpx type admin-prohibited"
    return chain(f"strict_{hook}", f"filter hook {hook} priority {_PRIORITY}", [*rules, end])
