"""Openings in this machine's own firewall for a call: rules that let its packets through, towards its server alone.

Where `firewall.py` finds a chain of nftables (iptables-nft's and so ufw's are among them) that stops a packet of the
call, a rule is put before all others there; in its own table firewalld is asked instead (`firewalld.py`). The firewall
stays as it is otherwise, whoever made it. Each rule has the link's name in its comment, and is taken away by that: a
note of the links with openings outlives the helper. The rules are such as iptables understands, so that nobody's own
tools stumble over them. While there is a call, changes that others make are heard of, and what is missing is put back.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from cablecar.helper import firewall, nft, safefile
from cablecar.helper.bus import CallError
from cablecar.helper.carrier import Passage
from cablecar.helper.errors import CablecarError, Failed
from cablecar.helper.firewall import COMMENT, Key, Packet
from cablecar.helper.firewalld import ITS_TABLE, Firewalld

log = logging.getLogger(__name__)

NOTE: Final = Path("/run/cablecar/openings")
PAUSE: Final = 0.5  # seconds; a firewall's reload is hundreds of changes, and each look takes its time
_CHILDREN: Final = 32
# It cannot be read or changed, or says what nobody understands.
_REFUSALS: Final = (CablecarError, CallError, OSError, ValueError, LookupError, TypeError, AttributeError)
# An answer, and no connection from there; what conntrack says of it iptables could not show.
_NO_SYN: Final = {
    "match": {
        "op": "!=",
        "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]},
        "right": "syn",
    }
}


@dataclass(frozen=True, slots=True)
class _Call:
    cable: str
    server: IPv4Address
    passages: tuple[Passage, ...]


class Openings:
    """What is open.

    Args:
        note: The file with the names of the links that something is open for; there while there are any.
        program: `nft`.
        firewalld: firewalld, where there is a bus to find it on.
    """

    def __init__(self, note: Path = NOTE, program: str = nft.NFT, firewalld: Firewalld | None = None) -> None:
        self._note = note
        self._program = program
        self._firewalld = firewalld
        self._lock = asyncio.Lock()
        self._calls: dict[str, _Call] = {}
        self._tunnels: dict[str, str] = {}
        self._ear = nft.Ear(self._heard)
        self._children: deque[int] = deque(maxlen=_CHILDREN)  # the last nfts of ours: their messages' senders
        self._is_stale = False
        self._telling: asyncio.TimerHandle | None = None
        self._on_loss: Callable[[], None] = lambda: None

    async def begin(self, on_loss: Callable[[], None]) -> None:
        """Have `on_loss` called in the event loop when a `renew` may have something to do; call once."""
        self._on_loss = on_loss
        if self._firewalld is not None:
            await self._firewalld.begin(self._doubt)

    async def open(self, link: str, cable: str, server: IPv4Address, passages: Iterable[Passage]) -> None:
        """Let a call through, where anything is in its way; a firewall that cannot be read or changed stays."""
        async with self._lock:
            try:
                await self._close(link)
            except _REFUSALS as error:
                log.warning("link %s: what was opened for an earlier call stays: %s", link, error)
            self._calls[link] = _Call(cable, server, tuple(passages))
            self._ear.listen(wanted=True)  # before the look: what is changed after it is heard
            await self._open(link)

    def expect(self, link: str, cable: str, server: IPv4Address, passages: Iterable[Passage]) -> None:
        """Note what was opened for a call that runs already; the next `renew` sees to it."""
        self._calls[link] = _Call(cable, server, tuple(passages))
        self._ear.listen(wanted=True)
        self._doubt()

    async def join(self, link: str, tunnel: str) -> None:
        """Tell firewalld, where it runs, that a call's interface leads outside; until `close`."""
        self._tunnels[link] = tunnel
        async with self._lock:
            await self._join(link)

    async def renew(self) -> bool:
        """Put back what others have taken away of what is open; return whether anything was missing."""
        if not self._is_stale:
            return False
        async with self._lock:
            self._is_stale = False
            for link in [*self._tunnels]:
                await self._join(link)
            return any([await self._open(link) for link in [*self._calls]])

    async def close(self, link: str) -> None:
        """Take a link's openings away, if it has any.

        Raises:
            Failed, CallError, OSError, ValueError: The firewall could not be read or changed.
        """
        async with self._lock:
            await self._close(link)

    async def close_or_tell(self, link: str) -> None:
        """Close as `close` does; the log says why where that cannot be."""
        try:
            await self.close(link)
        except _REFUSALS as error:
            log.error("link %s: what was opened for it in the firewall could not be closed: %s", link, error)

    async def close_all(self, but_for: Collection[str] = ()) -> None:
        """Take the openings of all links away but for some; what cannot be closed keeps no other open."""
        for link in self.names - set(but_for):
            await self.close_or_tell(link)

    async def _join(self, link: str) -> None:
        if self._firewalld is not None and (tunnel := self._tunnels.get(link)) is not None:
            await self._firewalld.join(link, tunnel)

    async def _open(self, link: str) -> bool:
        call = self._calls[link]
        try:
            rules = await firewall.ruleset()
            wanted = firewall.packets(call.cable, str(call.server), call.passages)
            found = await asyncio.to_thread(missing, rules, wanted)  # a second for a firewall of thousands of rules
            if not found:
                return False
            asked = await self._askable(found)
            asked_anew = False
            if self._firewalld is not None and asked:
                packets = [packet for _, packet in asked]
                asked_anew = await self._firewalld.let(link, call.cable, call.server, packets)
            if written := [one for one in found if one not in asked]:
                safefile.write_names(self._note, self._noted | {link})
                await self._change({"insert": {"rule": _rule(key, packet, link)}} for key, packet in written)
        except _REFUSALS as error:
            log.warning("link %s: the firewall could not be opened: %s", link, error)
            return False
        for (family, table, chain), packet in written:
            log.info("link %s: %s may pass chain %s of table %s %s", link, packet.passage.what, chain, family, table)
        return asked_anew or bool(written)

    async def _askable(self, found: list[tuple[Key, Packet]]) -> list[tuple[Key, Packet]]:
        """Return those that stand in the table of a firewalld that runs."""
        of_firewalld = [one for one in found if one[0][1] == ITS_TABLE]
        runs = bool(of_firewalld) and self._firewalld is not None and await self._firewalld.runs()
        return of_firewalld if runs else []

    async def _close(self, link: str) -> None:
        self._calls.pop(link, None)
        self._tunnels.pop(link, None)
        self._ear.listen(wanted=bool(self._calls))
        if link in self._noted:
            for rule in _ours(await firewall.ruleset(), link):
                place = {key: rule[key] for key in ("family", "table", "chain", "handle")}
                try:
                    await self._change([{"delete": {"rule": place}}])
                except Failed:
                    if rule in _ours(await firewall.ruleset(), link):
                        raise  # it is noted still, and closed by the next who looks
                    log.warning("link %s: an opening has gone by itself", link)
            safefile.write_names(self._note, self._noted - {link})
            if self._calls:
                self._doubt()  # what was enough for another call as well is gone
        if self._firewalld is not None:
            await self._firewalld.leave(link)

    def _heard(self, changes: list[nft.Change]) -> None:
        if any(one.is_others and one.sender not in self._children for one in changes):
            self._doubt()

    def _doubt(self) -> None:
        """Somebody has changed something: tell when the burst is over, or has lasted for as long as we wait."""
        self._is_stale = True
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(PAUSE, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._on_loss()

    @property
    def names(self) -> set[str]:
        """The links that something is open for."""
        return self._noted | (self._firewalld.names if self._firewalld is not None else set())

    @property
    def _noted(self) -> set[str]:
        return safefile.read_names(self._note)

    async def _change(self, commands: Iterable[Mapping[str, Any]]) -> None:
        text = json.dumps({"nftables": list(commands)})
        work = asyncio.to_thread(nft.run, text, "-j", program=self._program, on_start=self._children.append)
        change = asyncio.ensure_future(work)
        try:
            await asyncio.shield(change)
        finally:
            # A cancel does not end nft: who closes next has to find what it has made.
            await asyncio.wait({change})


def missing(ruleset: Any, wanted: Iterable[Packet]) -> list[tuple[Key, Packet]]:
    """Return where a rule has to be put for each packet that does not pass for certain."""
    rules = {"nftables": list(ruleset["nftables"])}
    found = []
    for packet in wanted:
        (outcome,) = firewall.outcomes(rules, [packet])
        while outcome.verdict != firewall.PASSES and (outcome.chain, packet) not in found:
            found.append((outcome.chain, packet))
            rules["nftables"].insert(0, {"rule": _rule(outcome.chain, packet, "")})
            (outcome,) = firewall.outcomes(rules, [packet])
    return found


def _rule(key: Key, packet: Packet, link: str) -> dict[str, Any]:
    passage = packet.passage
    side, port = ("daddr", "dport") if packet.hook == "output" else ("saddr", "sport")
    expression = [_match("ip", side, packet.server)]
    if passage.port:
        expression.append(_match(passage.protocol, port, passage.port))
        if passage.protocol == "tcp" and packet.hook == "input":
            expression.append(_NO_SYN)
    else:
        expression.append(_match("ip", "protocol", passage.number))
    place = dict(zip(("family", "table", "chain"), key, strict=True))
    return {**place, "expr": [*expression, {"accept": None}], "comment": COMMENT + link}


def _match(protocol: str, field: str, value: object) -> dict[str, Any]:
    left = {"payload": {"protocol": protocol, "field": field}}
    return {"match": {"op": "==", "left": left, "right": value}}


def _ours(ruleset: Any, link: str) -> list[Mapping[str, Any]]:
    rules = [entry["rule"] for entry in ruleset["nftables"] if "rule" in entry]
    return [rule for rule in rules if rule.get("comment") == COMMENT + link]
