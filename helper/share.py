"""Sharing a link with the machines of internal networks: what the firewall says of it, and who forwards. Pure.

Their packets leave with the link's address, and with a segment size that fits it. Of what comes by the link only
answers reach them. An interface that forwards because of us alone leads into its links' tunnels and nowhere else, and a
tunnel that does leads nowhere but for answers.
"""

from collections.abc import Collection, Iterator, Mapping

from cablecar.helper.nft import chain, quoted
from cablecar.helper.plan import Wanted

_HEADERS = 40  # bytes of IPv4 and TCP


def pairs(wanted: Mapping[str, Wanted]) -> list[tuple[str, str]]:
    """Return each internal interface with each tunnel that it shares now."""
    return sorted((inside, one.tunnel) for one in wanted.values() if one.tunnel for inside in one.share)


def chains(wanted: Mapping[str, Wanted], sizes: Mapping[str, int], switched: Collection[str]) -> str:
    """Return the chains of sharing, none when nothing is shared.

    Args:
        wanted: What each link needs.
        sizes: The MTU of each interface.
        switched: The interfaces, tunnels too, that forward because of us.
    """
    found = pairs(wanted)
    if not found:
        return ""
    masquerade = [f'iifname "{inside}" oifname "{tunnel}" masquerade' for inside, tunnel in found]
    return (
        chain("share_nat", "nat hook postrouting priority srcnat", masquerade)
        + chain("share_size", "filter hook forward priority mangle", _clamps(found, sizes))
        + chain("share_forward", "filter hook forward priority filter", _bars(found, switched))
    )


def _clamps(found: list[tuple[str, str]], sizes: Mapping[str, int]) -> Iterator[str]:
    for inside, tunnel in found:
        set_size = f"tcp flags syn / syn,rst tcp option maxseg size set {sizes.get(tunnel, 1400) - _HEADERS}"
        yield f'iifname "{inside}" oifname "{tunnel}" {set_size}'
        yield f'iifname "{tunnel}" oifname "{inside}" {set_size}'


def _bars(found: list[tuple[str, str]], switched: Collection[str]) -> Iterator[str]:
    for tunnel in sorted({tunnel for _, tunnel in found}):
        insides = quoted(sorted({one for one, by in found if by == tunnel}))
        # What forwards because of us is no way from the tunnel to the cable's network either.
        barred = f'iifname "{tunnel}"' if tunnel in switched else f'iifname "{tunnel}" oifname {{ {insides} }}'
        yield f"{barred} ct state established,related accept"
        yield f"{barred} drop"
    for inside in sorted({inside for inside, _ in found} & set(switched)):
        yield f'iifname "{inside}" oifname != {{ {quoted(by for one, by in found if one == inside)} }} drop'
