"""What this machine's own firewall does with the packets of a call, read from nftables' rules; nothing is changed.

    nft -j -s -t list ruleset       libnftables-json(5); without counters, and without what is in named sets

iptables' rules of today (iptables-nft) are among them, those of its old kernel part are not: of those it is only known
whether there are any (`legacy`). A rule may depend on what is not known here: then its match is neither true nor false
but open, and so may be the outcome.
"""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final, NamedTuple

from cablecar.helper.carrier import Passage
from cablecar.helper.nft import NFT, TABLE

LIMIT: Final = 5.0  # seconds
LEGACY: Final = Path("/proc/self/net/ip_tables_names")  # of the old kernel part; not there before it is used
_TRANSLATES: Final = "nat"  # the table, or the type of chain, that is not for stopping packets
MAX_RULES: Final = 1 << 22  # bytes
PASSES, STOPPED, OPEN = "passes", "stopped", "open"
COMMENT: Final = "cablecar "  # and a link's name: of a rule of ours in a chain of others
_ON, _RETURN = "on", "return"
_ANY: Final = (PASSES, STOPPED, _ON)
_VERDICTS: Final = {"accept": PASSES, "drop": STOPPED, "reject": STOPPED, "return": _RETURN}
_POLICIES: Final = {"accept": PASSES, "drop": STOPPED}
_HARMLESS: Final = ("counter", "log", "mangle", "notrack", "ct helper", "comment", "continue", "quota")
_DEPTH: Final = 16  # jumps, as the kernel has it
_NEW: Final[dict[str, object]] = {"state": "new", "status": "none"}  # of conntrack's
_OWN_PORTS: Final = range(1024, 1 << 16)  # one of these; no caller has a service's
_FAMILIES: Final = ("ip", "inet")
_SAME: Final = {"l4proto": "protocol", "iif": "iifname", "oif": "oifname"}  # nft shows an index by its name
_PROTOCOLS: Final = {"gre": 47, "tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58, "ip6": -1}

Rules = list[Mapping[str, Any]]
Key = tuple[str, str, str]  # family, table, chain
# What can become of a packet, and by which rule, or in which chain by its policy; nothing when nobody knows.
Ends = dict[str, str]


class Packet(NamedTuple):
    """One kind of packet of a call.

    Attributes:
        passage: What it is of.
        hook: `input` or `output`.
        server: Where it comes from, or goes to.
        values: What is known of it: of each `meta`, `ct` or payload key its value.
    """

    passage: Passage
    hook: str
    server: str
    values: Mapping[str, object]


class Outcome(NamedTuple):
    """What becomes of a packet, by which rule or policy, and in the base chain that led there."""

    verdict: str
    packet: Packet
    place: str = ""
    chain: Key = ("", "", "")


@dataclass(slots=True)
class _Chains:
    base: dict[Key, tuple[str, str, bool]] = field(default_factory=dict)  # hook, policy, whether addresses change there
    rules: dict[Key, Rules] = field(default_factory=dict)


def packets(cable: str, server: str, passages: Iterable[Passage]) -> tuple[Packet, ...]:
    """Return the packets, there and back, that a call needs to pass; a cable or server that is not known is empty."""
    return tuple(packet for passage in passages for packet in _both_ways(cable, server, passage))


def _both_ways(cable: str, server: str, passage: Passage) -> tuple[Packet, Packet]:
    both: dict[str, object] = {"nfproto": "ipv4", "protocol": passage.number}
    out = {**both, **_NEW, "oifname": cable, "daddr": server}
    # conntrack takes GRE there and back for two connections, unless its PPTP helper has been told of the call: the keys
    # in the packets differ, and only that helper knows them for a pair.
    back = {**both, "iifname": cable, "saddr": server}
    if passage.port:
        out |= {"dport": passage.port, "sport": _OWN_PORTS}
        back |= {"sport": passage.port, "dport": _OWN_PORTS, "state": "established"}
    else:
        back |= _NEW
    return Packet(passage, "output", server, _known(out)), Packet(passage, "input", server, _known(back))


def _known(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value != ""}


async def ruleset() -> Any:
    """Return all rules as nft lists them.

    Raises:
        FileNotFoundError: nft is not there.
        OSError: It fails, or does not answer in time.
        ValueError: What it says is too much, or not to be understood.
    """
    return json.loads(await asyncio.to_thread(_listed))


def _listed() -> bytes:
    command = [NFT, "-j", "-s", "-t", "list", "ruleset"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        text = process.stdout.read(MAX_RULES + 1)
        timer.cancel()
        if len(text) > MAX_RULES:
            process.kill()
            raise ValueError("there are too many rules")
    if process.returncode:
        raise OSError(f"nft ended with {process.returncode}")
    return text


def legacy(names: Path = LEGACY) -> list[str]:
    """Return the tables of iptables' old kernel part that may stop packets."""
    try:
        return sorted(set(names.read_text().split()) - {_TRANSLATES})
    except OSError:
        return []


def outcomes(ruleset: Any, wanted: Iterable[Packet]) -> list[Outcome]:
    """Return what becomes of each packet."""
    chains = _chains(ruleset)
    helped = any(entry.get("ct helper", {}).get("type") == "pptp" for entry in ruleset["nftables"])
    return [_outcome(chains, _doubtful(packet) if helped else packet) for packet in wanted]


def _doubtful(packet: Packet) -> Packet:
    """Return the packet without what conntrack's PPTP helper, which somebody uses, may make of it."""
    if packet.hook == "output" or packet.values["state"] != "new":
        return packet
    return packet._replace(values={key: value for key, value in packet.values.items() if key not in _NEW})


def _chains(ruleset: Any) -> _Chains:
    found = _Chains()
    for entry in ruleset["nftables"]:
        if any(entry.get(kind, {}).get("table") == TABLE for kind in ("chain", "rule")):
            continue  # ours: strict mode lets out what is called when it is called
        if (chain := entry.get("chain")) and chain["family"] in _FAMILIES:
            key = chain["family"], chain["table"], chain["name"]
            found.rules.setdefault(key, [])
            if "hook" in chain:
                found.base[key] = chain["hook"], chain.get("policy", "accept"), chain.get("type") == _TRANSLATES
        elif (rule := entry.get("rule")) and rule["family"] in _FAMILIES:
            found.rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(_readable(rule))
    return found


def _readable(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a rule of ours without its look at TCP's flags, by which it takes every answer."""
    if not str(rule.get("comment", "")).startswith(COMMENT):
        return rule
    expression = [one for one in rule["expr"] if not _is_masked(one)]
    return {**rule, "expr": expression}


def _is_masked(statement: Mapping[str, Any]) -> bool:
    left = statement.get("match", {}).get("left", {})
    return "&" in left or left == {"payload": {"protocol": "tcp", "field": "flags"}}


def _outcome(chains: _Chains, packet: Packet) -> Outcome:
    """Return what the chains of the packet's hook do in turn: one that drops it is enough."""
    worst = Outcome(PASSES, packet)
    for key, (hook, policy, translates) in chains.base.items():
        if hook != packet.hook:
            continue
        ends: Ends = {}
        for end, place in _ends(chains, key, packet, 0).items():
            _add(ends, _POLICIES[policy] if end == _ON else end, place)
        if translates and not ends.get(STOPPED):
            continue  # what cannot be read there is Docker's "is it for this machine", or where it goes to instead
        if STOPPED in ends and worst.verdict != STOPPED:
            worst = Outcome(STOPPED if len(ends) == 1 else OPEN, packet, ends[STOPPED] or _place(key), key)
    return worst


def _ends(chains: _Chains, key: Key, packet: Packet, depth: int) -> Ends:
    """Return how a packet can leave a chain: it passes, is stopped, or goes on behind the jump to the chain."""
    ends: Ends = {}
    for rule in chains.rules.get(key, []):
        matches, verdicts = _rule(chains, key, rule, packet, depth)
        if matches is False:
            continue
        for verdict, place in verdicts.items():
            if verdict != _ON:
                _add(ends, _ON if verdict == _RETURN else verdict, place)
        if matches and _ON not in verdicts:
            return ends
    _add(ends, _ON, _place(key))
    return ends


def _add(ends: Ends, end: str, place: str) -> None:
    """Note the first rule that is known to lead to an end, rather than one that cannot be read."""
    ends[end] = ends.get(end) or place


def _place(key: Key, rule: Mapping[str, Any] | None = None) -> str:
    family, table, chain = key
    handle = f"rule handle {rule['handle']} of " if rule is not None and "handle" in rule else ""
    return f"{handle}chain {chain} of table {family} {table}"


def _rule(chains: _Chains, key: Key, rule: Mapping[str, Any], packet: Packet, depth: int) -> tuple[bool | None, Ends]:
    """Return whether a rule is for the packet, and what it can do with it."""
    matches: bool | None = True
    here = _place(key, rule)
    for statement in rule.get("expr", []):
        (kind,) = statement
        if kind == "match":
            one = _match(statement["match"], packet)
            if one is False:
                return False, {}
            matches = matches if one else None
        elif kind in _VERDICTS:
            return matches, {_VERDICTS[kind]: here}
        elif kind in ("jump", "goto"):
            inner = (key[0], key[1], statement[kind]["target"])
            ends = _ends(chains, inner, packet, depth + 1) if depth < _DEPTH else dict.fromkeys(_ANY, "")
            return matches, {_RETURN if kind == "goto" and end == _ON else end: place for end, place in ends.items()}
        elif kind not in _HARMLESS:
            return None, dict.fromkeys(_ANY, "")  # a limit, a map, or something of iptables'
    return matches, {_ON: here}


def _match(match: Mapping[str, Any], packet: Packet) -> bool | None:
    """Return whether a packet matches; None when that is not known."""
    left, right, operator = match["left"], match["right"], match.get("op", "==")
    key, implied = _key(left)
    if implied is not None and packet.values.get("protocol") != implied:
        return False
    if key not in packet.values or operator not in ("==", "!=", "in"):
        return None
    found = [_is(one, packet.values[key]) for one in _choices(right)]
    if None in found and True not in found:
        return None
    return (True in found) is not bool(operator == "!=")


def _key(left: Any) -> tuple[str, int | None]:
    """Return the name of what is compared, and the protocol that it is a field of."""
    if not isinstance(left, dict):
        return "", None
    if "meta" in left:
        key = left["meta"].get("key", "")
        return _SAME.get(key, key), None
    if "ct" in left:
        return left["ct"].get("key", ""), None
    payload = left.get("payload", {})
    protocol, name = payload.get("protocol", ""), payload.get("field", "")
    if protocol in ("ip", "th"):
        return name, None
    return (name, _PROTOCOLS[protocol]) if protocol in _PROTOCOLS else ("", None)


def _choices(right: Any) -> list[Any]:
    if isinstance(right, dict) and "set" in right:
        right = right["set"]
    return right if isinstance(right, list) else [right]


def _is_within(prefix: Mapping[str, Any], address: object) -> bool | None:
    try:
        return IPv4Address(address) in IPv4Network((prefix["addr"], prefix["len"]), strict=False)
    except (LookupError, ValueError):
        return None  # a range of addresses, or a set


def _is_among(one: Any, ports: range) -> bool | None:
    low, high = one.get("range", (None, None)) if isinstance(one, dict) else (one, one)
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    if low <= ports[0] and ports[-1] <= high:
        return True
    return None if low <= ports[-1] and ports[0] <= high else False


def _is(one: Any, value: object) -> bool | None:
    if isinstance(value, range):
        return _is_among(one, value)
    if isinstance(one, dict):
        low, high = one.get("range", (None, None))
        if isinstance(low, int) and isinstance(high, int) and isinstance(value, int):
            return bool(low <= value <= high)
        return _is_within(one.get("prefix", {}), value)
    if isinstance(one, str) and one.startswith("@"):
        return None  # a named set
    if isinstance(one, str) and isinstance(value, str) and one.endswith("*") and not one.endswith("\\*"):
        return value.startswith(one[:-1])  # interfaces; a name with an asterisk of its own is written with a backslash
    return bool((_PROTOCOLS.get(one, one) if isinstance(one, str) else one) == value)
