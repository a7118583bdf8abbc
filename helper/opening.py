"""Openings in this machine's own firewall for a call: rules that let its packets through, towards its server alone.

Where `firewall.py` finds a chain of nftables (iptables-nft's are among them) that stops a packet of the call, a rule is
put before all others there. The firewall stays as it is otherwise, whoever made it. Each rule has the link's name in its
comment, and is taken away by that: a note of the links with openings outlives the helper. The rules are such as
iptables understands, so that nobody's own tools stumble over them.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from cablecar.helper import firewall, nft, safefile
from cablecar.helper.carrier import Passage
from cablecar.helper.errors import Failed
from cablecar.helper.firewall import Key, Packet

log = logging.getLogger(__name__)

NOTE: Final = Path("/run/cablecar/openings")
_PORTS: Final = {6: "tcp", 17: "udp"}
# An answer, and no connection from there; what conntrack says of it iptables could not show.
_NO_SYN: Final = {
    "match": {
        "op": "!=",
        "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]},
        "right": "syn",
    }
}


class Openings:
    """What is open.

    Args:
        note: The file with the names of the links that something is open for; there while there are any.
        program: `nft`.
    """

    def __init__(self, note: Path = NOTE, program: str = nft.NFT) -> None:
        self._note = note
        self._program = program
        self._lock = asyncio.Lock()

    async def open(self, link: str, cable: str, server: IPv4Address, passages: Iterable[Passage]) -> None:
        """Let a call through, where anything is in its way; a firewall that cannot be read or changed stays."""
        async with self._lock:
            await self._close(link)
            try:
                rules = await firewall.ruleset()
                found = missing(rules, firewall.packets(cable, str(server), passages))
                if not found:
                    return
                self._write(self.names | {link})
                await self._change({"insert": {"rule": _rule(key, packet, link)}} for key, packet in found)
            except (Failed, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                log.warning("link %s: the firewall could not be opened: %s", link, error)
                return
        for (family, table, chain), packet in found:
            log.info("link %s: %s may pass chain %s of table %s %s", link, packet.what, chain, family, table)

    async def close(self, link: str) -> None:
        """Take a link's openings away, if it has any.

        Raises:
            Failed, OSError, ValueError: The firewall could not be read or changed.
        """
        async with self._lock:
            await self._close(link)

    async def _close(self, link: str) -> None:
        if link not in self.names:
            return
        for rule in _ours(await firewall.ruleset(), link):
            place = {key: rule[key] for key in ("family", "table", "chain", "handle")}
            try:
                await self._change([{"delete": {"rule": place}}])
            except Failed:
                log.warning("link %s: an opening has gone by itself", link)
        self._write(self.names - {link})

    @property
    def names(self) -> set[str]:
        """The links that something is open for."""
        try:
            return set(safefile.read(self._note).decode().split())
        except FileNotFoundError:
            return set()

    def _write(self, names: Iterable[str]) -> None:
        if text := "\n".join(sorted(names)):
            safefile.replace(self._note, text.encode())
        else:
            safefile.remove(self._note)

    async def _change(self, commands: Iterable[Mapping[str, Any]]) -> None:
        text = json.dumps({"nftables": list(commands)})
        await asyncio.to_thread(nft.run, text, "-j", program=self._program)


def missing(ruleset: Any, wanted: Iterable[Packet]) -> list[tuple[Key, Packet]]:
    """Return where a rule has to be put for each packet that does not pass for certain."""
    rules = {"nftables": list(ruleset["nftables"])}
    found = []
    for packet in wanted:
        (outcome,) = firewall.outcomes(rules, [packet])
        while outcome.verdict != firewall.PASSES and (outcome.chain, packet) not in found:
            found.append((outcome.chain, packet))
            rules["nftables"].insert(0, {"rule": _rule(outcome.chain, packet, "", is_played=True)})
            (outcome,) = firewall.outcomes(rules, [packet])
    return found


def _rule(key: Key, packet: Packet, link: str, is_played: bool = False) -> dict[str, Any]:
    values = packet.values
    side, port = ("daddr", "dport") if packet.hook == "output" else ("saddr", "sport")
    expression = [_match("ip", side, values[side])]
    if protocol := _PORTS.get(values["protocol"] if isinstance(values["protocol"], int) else 0):
        expression.append(_match(protocol, port, values[port]))
        if protocol == "tcp" and packet.hook == "input" and not is_played:
            expression.append(_NO_SYN)
    else:
        expression.append(_match("ip", "protocol", values["protocol"]))
    place = dict(zip(("family", "table", "chain"), key, strict=True))
    return {**place, "expr": [*expression, {"accept": None}], "comment": f"cablecar {link}"}


def _match(protocol: str, field: str, value: object) -> dict[str, Any]:
    left = {"payload": {"protocol": protocol, "field": field}}
    return {"match": {"op": "==", "left": left, "right": value}}


def _ours(ruleset: Any, link: str) -> list[Mapping[str, Any]]:
    rules = [entry["rule"] for entry in ruleset["nftables"] if "rule" in entry]
    return [rule for rule in rules if rule.get("comment") == f"cablecar {link}"]
