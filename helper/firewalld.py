"""What firewalld is asked for a call: its packets let through towards the server, its interface in the zone `external`.

All of it is firewalld's runtime configuration, never the permanent one, so a reload or a restart of firewalld forgets
it and is followed. Only what was not there before is asked for, and what was is noted first: who comes after a crash
takes it back. On machines where firewalld does not run nothing happens here.
"""

import json
import logging
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any, Final

from cablecar.helper import safefile
from cablecar.helper.bus import Bus, CallError
from cablecar.helper.errors import StorageFailed
from cablecar.helper.firewall import Packet
from cablecar.helper.wire import plain, variants

log = logging.getLogger(__name__)

NAME: Final = "org.fedoraproject.FirewallD1"
PATH: Final = "/org/fedoraproject/FirewallD1"
NOTE: Final = Path("/run/cablecar/firewalld")
ITS_TABLE: Final = "firewalld"  # of nftables; its own, and where it says so nobody else may write there
EXTERNAL: Final = "external"
LIMIT: Final = 10.0  # seconds for an answer
START_LIMIT: Final = 90.0  # systemd's
_MAIN: Final = (NAME, PATH, NAME)
_ZONE: Final = (NAME, PATH, f"{NAME}.zone")
_POLICY: Final = (NAME, PATH, f"{NAME}.policy")
_HERE: Final = "HOST"  # the ingress zone of what this machine sends
_ANY: Final = "ANY"
_UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)

Item = tuple[str, str, str]  # kind, zone or policy, rule or interface
RULE, POLICY, INTERFACE = "rule", "policy", "interface"


class Firewalld:
    """What firewalld has been asked for.

    Args:
        bus: Where it is.
        note: The file with what each link has; there while there is any.
    """

    def __init__(self, bus: Bus, note: Path = NOTE) -> None:
        self._bus = bus
        self._note = note

    async def begin(self, on_loss: Callable[[], None]) -> None:
        """Call `on_loss` each time that it may have forgotten what it was asked for; call once."""

        def on_start() -> None:
            self._bus.spawn(self._tell_when_started(on_loss))

        await self._bus.follow_owner(NAME, on_start)
        if await self.runs():
            on_start()  # at boot it may be on its way yet
        await self._bus.follow(NAME, PATH, NAME, "Reloaded", lambda _: on_loss())

    async def _tell_when_started(self, on_loss: Callable[[], None]) -> None:
        # It has its name before its rules, and answers when it has both.
        try:
            await self._bus.ask(_MAIN, "getDefaultZone", timeout=START_LIMIT)
        except CallError as error:
            log.warning("firewalld has started, and does not answer: %s", error)
        on_loss()

    async def runs(self) -> bool:
        """Return whether there is one."""
        return await self._bus.has_owner(NAME)

    async def let(self, link: str, cable: str, server: IPv4Address, packets: Iterable[Packet]) -> bool:
        """Let these packets through between the cable and the server; return whether it did not do so already.

        Raises:
            CallError, StorageFailed: It does not.
        """
        zone = await self._zone(cable, server)
        items: list[Item] = []
        for packet in packets:
            rule = rich_rule(packet)
            if packet.hook == "input":
                items.append((RULE, zone, rule))
            else:
                items += [(POLICY, policy, rule) for policy in await self._policies(zone)]
        return any([await self._have(link, item) for item in items])

    async def join(self, link: str, interface: str) -> None:
        """Put a call's interface into the zone `external`, unless somebody has chosen one for it.

        For the zone's masquerade firewalld switches `net.ipv4.ip_forward` on, for good; that is left to it.
        """
        try:
            if await self.runs() and _zone_of_interface(await self._active_zones(), interface) is None:
                await self._have(link, (INTERFACE, EXTERNAL, interface))
        except (CallError, StorageFailed, *_UNREADABLE) as error:
            log.warning("link %s: firewalld does not take %s into its zone %s: %s", link, interface, EXTERNAL, error)

    async def leave(self, link: str) -> None:
        """Take back everything that the link has.

        Raises:
            CallError, StorageFailed: It could not be; another `leave` tries it again.
        """
        if link not in self.names:
            return
        if await self.runs():
            for item in self._items(link):
                if await self._knows(item) and await self._has(item):
                    await self._take(item)
        self._write({**self._read(), link: []})

    @property
    def names(self) -> set[str]:
        """The links that have something."""
        return set(self._read())

    async def _zone(self, cable: str, server: IPv4Address) -> str:
        """Return the zone that the server's packets are judged by: its own, the cable's, or the default one."""
        zones = await self._active_zones()
        for zone, members in zones.items():
            if any(_contains(source, server) for source in members.get("sources", [])):
                return zone
        (default,) = await self._bus.ask(_MAIN, "getDefaultZone", timeout=LIMIT)
        return _zone_of_interface(zones, cable) or str(default)

    async def _active_zones(self) -> dict[str, dict[str, list[str]]]:
        (zones,) = await self._bus.ask(_ZONE, "getActiveZones", timeout=LIMIT)
        return dict(zones)

    async def _policies(self, zone: str) -> list[str]:
        """Return the policies that judge what this machine sends to the zone."""
        (policies,) = await self._bus.ask(_POLICY, "getActivePolicies", timeout=LIMIT)
        return [
            name
            for name, zones in policies.items()
            if _HERE in zones.get("ingress_zones", []) and {zone, _ANY} & set(zones.get("egress_zones", []))
        ]

    async def _have(self, link: str, item: Item) -> bool:
        if await self._has(item):
            return False
        items = self._items(link)
        if item not in items:
            self._write({**self._read(), link: [*items, item]})
        kind, place, what = item
        if kind == POLICY:
            await self._set_rules(place, [*await self._rules(place), what])
        elif kind == RULE:
            await self._bus.ask(_ZONE, "addRichRule", "ssi", [place, what, 0], LIMIT)
        else:
            await self._bus.ask(_ZONE, "addInterface", "ss", [place, what], LIMIT)
        log.info("link %s: firewalld has for its %s %s: %s", link, "policy" if kind == POLICY else "zone", place, what)
        return True

    async def _has(self, item: Item) -> bool:
        kind, place, what = item
        if kind == POLICY:
            return what in await self._rules(place)
        member = "queryRichRule" if kind == RULE else "queryInterface"
        return bool((await self._bus.ask(_ZONE, member, "ss", [place, what], LIMIT))[0])

    async def _knows(self, item: Item) -> bool:
        """Return whether the item's policy or zone is still there."""
        policies = item[0] == POLICY
        target, member = (_POLICY, "getPolicies") if policies else (_ZONE, "getZones")
        return item[1] in (await self._bus.ask(target, member, timeout=LIMIT))[0]

    async def _take(self, item: Item) -> None:
        kind, place, what = item
        if kind == POLICY:
            await self._set_rules(place, [rule for rule in await self._rules(place) if rule != what])
        else:
            member = "removeRichRule" if kind == RULE else "removeInterface"
            await self._bus.ask(_ZONE, member, "ss", [place, what], LIMIT)

    async def _rules(self, policy: str) -> list[str]:
        (settings,) = await self._bus.ask(_POLICY, "getPolicySettings", "s", [policy], LIMIT)
        return [str(rule) for rule in plain(settings).get("rich_rules", [])]

    async def _set_rules(self, policy: str, rules: list[str]) -> None:
        # What is left out of the settings stays as it is.
        await self._bus.ask(_POLICY, "setPolicySettings", "sa{sv}", [policy, variants({"rich_rules": rules})], LIMIT)

    def _items(self, link: str) -> list[Item]:
        return self._read().get(link, [])

    def _read(self) -> dict[str, list[Item]]:
        try:
            kept = json.loads(safefile.read(self._note))
            return {link: [(kind, place, what) for kind, place, what in items] for link, items in kept.items()}
        except FileNotFoundError:
            return {}

    def _write(self, items: dict[str, list[Item]]) -> None:
        if kept := {link: of_link for link, of_link in items.items() if of_link}:
            safefile.replace(self._note, json.dumps(kept).encode())
        else:
            safefile.remove(self._note)


def rich_rule(packet: Packet) -> str:
    """Return the rule for a packet in firewalld's own spelling; it goes before all that anybody has by hand."""
    passage = packet.passage
    side, port = ("destination", "port") if packet.hook == "output" else ("source", "source-port")
    if passage.port:
        what = f'{port} port="{passage.port}" protocol="{passage.protocol}"'
    else:
        what = f'protocol value="{passage.protocol}"'
    return f'rule priority="-32768" family="ipv4" {side} address="{packet.server}" {what} accept'


def _zone_of_interface(zones: dict[str, dict[str, list[str]]], name: str) -> str | None:
    for zone, members in zones.items():
        for one in members.get("interfaces", []):
            if one == name or (one.endswith("+") and name.startswith(one[:-1])):
                return zone
    return None


def _contains(source: Any, server: IPv4Address) -> bool:
    try:
        return server in ip_network(source, strict=False)
    except ValueError:
        return False  # a set's name, or a card's number
