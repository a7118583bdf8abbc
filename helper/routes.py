"""Our routes and rules in the kernel, and nobody else's; with them what goes along: strict mode and sharing.

What every link needs is kept as a wish (`Wanted`); `reconcile` dumps what the kernel has under our protocol number,
adds what is missing and deletes what is too much (`plan.py` says which), and has our table of the firewall made
accordingly (`strict.py`, `share.py`, `nft.py`, `forwarding.py`). So adding, removing, repairing after others and
sweeping after a crash are one thing, and doing it twice changes nothing. Likewise a VLAN that was made for a call goes
when no call needs it. Each time the leases of the cables in use are read again, so that a renewal is followed. The
kernel is asked from one worker thread, because a socket blocks.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final, TypeVar

from cablecar.helper import plan, share, strict
from cablecar.helper.carrier import ETHERNET
from cablecar.helper.errors import Failed, StorageFailed
from cablecar.helper.forwarding import Forwarding
from cablecar.helper.leases import Lease
from cablecar.helper.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    Netlink,
    NetlinkError,
    fibmsg,
    rtmsg,
)
from cablecar.helper.nft import Nft
from cablecar.helper.plan import MAIN, Cable, Footing, Interface, Route, Rule, Service, Snapshot, Vlan, Wanted, Way

log = logging.getLogger(__name__)

T = TypeVar("T")

PROTOCOL: Final = 201  # in no list of rt_protos(5) that distributions ship
_UNICAST: Final = 1  # rtnetlink(7), RTN_UNICAST
_ONLINK: Final = 4  # linux/rtnetlink.h, RTNH_F_ONLINK
_SCOPE_LINK: Final = 253
_UP: Final = 1  # netdevice(7), IFF_UP
_ETHERNET: Final = 1  # ARPHRD_ETHER
_PPP: Final = 512  # ARPHRD_PPP
_SCOPE_UNIVERSE: Final = 0
_TO_TABLE: Final = 1  # FR_ACT_TO_TBL


async def no_lease(interface: Interface) -> Lease | None:
    """Know of none: enough for who pins nothing."""
    return None


class Routes:
    """The kernel's routing, as far as it is ours.

    Args:
        lease_of: Finds the lease of an interface, None when nobody is known to have one.
        nft: Our table of the firewall.
        forwarding: What forwards because of us.
    """

    def __init__(
        self,
        lease_of: Callable[[Interface], Awaitable[Lease | None]] = no_lease,
        nft: Nft | None = None,
        forwarding: Forwarding | None = None,
    ) -> None:
        self._lease_of = lease_of
        self._nft = nft or Nft()
        self._forwarding = forwarding or Forwarding()
        self._strict: dict[str, tuple[IPv4Network, ...]] = {}  # of each link in strict mode its local networks
        self._called: dict[str, Wanted] = {}  # likewise what its last call needed: a diagnosis tries the server
        self._refusal: Failed | None = None  # what the firewall said to the last change
        self._unkept: StorageFailed | None = None  # why the start of the machine will not find the table as it is
        self._wanted: dict[str, Wanted] = {}
        self._slots: dict[str, int] = {}  # which link has which table
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="routes")
        self._lock = asyncio.Lock()
        self._socket: Netlink | None = None
        self._standing: frozenset[Route | Rule] = frozenset()  # what we last made the kernel have
        self._reached: frozenset[IPv4Address] = frozenset()  # the servers that there was a way to then
        self._cables: frozenset[Interface] = frozenset()  # the interfaces that led to them
        self._leases: dict[str, Lease] = {}  # the last known ones of cables in use
        self._others: frozenset[Route | Interface] = frozenset()  # what there was then that is not ours
        self._seen = Snapshot({}, (), frozenset(), frozenset())  # all that there was
        self._named: set[str] = set()  # the cables that links have named
        self._former: dict[str, Interface] = {}  # what was last seen under these names
        self._doubts: frozenset[str] = frozenset()  # what the log has been told

    async def begin(self, on_loss: Callable[[], None] = lambda: None) -> None:
        """Open the socket; call once. `on_loss` is called when others have taken away rules of ours in the firewall."""
        self._nft.follow(on_loss)
        self._socket = await asyncio.get_running_loop().run_in_executor(self._thread, Netlink)

    async def close(self) -> None:
        """Close the socket; the kernel keeps what it has."""
        if self._socket is not None:
            await self._in_thread(self._socket.close)
        self._thread.shutdown()

    def expect(self, link: str, wanted: Wanted) -> None:
        """Note what a link needs whose call runs already; the next `reconcile` sees to it."""
        self._wanted[link] = wanted

    async def want(self, link: str, wanted: Wanted) -> list[IPv4Address]:
        """Make the network what the link needs from now on; return the pins that the cable has a way to."""
        self.expect(link, wanted)
        await self.reconcile()
        self._insist()
        return [address for address in wanted.pins if address in self._reached]

    async def vlan(self, link: str, wanted: Wanted, cable: Interface, number: int) -> Interface:
        """Return the VLAN of this number on a cable, made for the link's call unless there is one.

        Raises:
            Failed: The kernel refuses.
        """
        async with self._lock:
            found = await self._in_thread(lambda: self._vlan(Vlan(cable.index, number)))
            self._wanted[link] = wanted._replace(line=found.name)
            return found

    async def set_strict(self, link: str, local: tuple[IPv4Network, ...] | None) -> None:
        """Have strict mode hold for a link from now on, but for these networks; with None end it for that link.

        Raises:
            Failed: The firewall cannot be made so.
        """
        if self._strict.get(link) == local:
            return
        self.expect_strict(link, local)
        await self.reconcile()
        self._insist()

    def expect_strict(self, link: str, local: tuple[IPv4Network, ...] | None) -> None:
        """Note strict mode for a link; the next `reconcile` sees to it."""
        if local is None:
            self._strict.pop(link, None)
            self._called.pop(link, None)
        else:
            self._strict[link] = local

    async def clear(self, but: Collection[str] = ()) -> None:
        """End strict mode for every link but these, and take back all that no running call needs.

        Raises:
            Failed: The firewall refuses.
            StorageFailed: The next start of the machine begins with strict mode.
        """
        for link in {*self._strict, *self._called}.difference(but):
            self.expect_strict(link, None)
        await self.reconcile()
        if (error := self._refusal or self._unkept) is not None:
            raise error

    def _insist(self) -> None:
        # Without the table nothing may be dialed in strict mode; in any other a link is of use without it.
        if self._refusal is not None and self._strict:
            raise self._refusal

    async def release(self, link: str) -> None:
        """Take back everything that the link needed."""
        wanted = self._wanted.pop(link, None)
        if wanted is not None and link in self._strict:
            self._called[link] = Wanted(wanted.pins, passages=wanted.passages)
        self._slots.pop(link, None)
        await self.reconcile()

    async def reconcile(self) -> bool:
        """Make the kernel's state the wanted one; return whether something of it had been lost."""
        async with self._lock:
            # Copies: the worker thread must not see a change in the middle.
            wanted = dict(self._wanted)
            self._named.update(one.cable for one in wanted.values())
            if any(one.through and link not in self._slots for link, one in wanted.items()):
                self._slots = plan.slots(await self._in_thread(self._snapshot), wanted, self._slots)
            slots = dict(self._slots)
            local = {network for networks in self._strict.values() for network in networks} if self._strict else None
            # Before the table is made: what takes it away at once would not be heard.
            self._nft.listen(local is not None or any(one.share for one in wanted.values()))
            lost = await self._in_thread(lambda: self._reconcile(wanted, slots, local))
            # After the servers' pins: whoever holds a lease may take its time to tell.
            if await self._leases_changed():
                await self._in_thread(lambda: self._reconcile(wanted, slots, local))
            self._nft.listen()
            return lost

    async def _leases_changed(self) -> bool:
        """Read the leases of the cables in use; without a cable what was known still holds."""
        before = self._leases
        if not self._wanted:
            self._leases = {}
        elif self._cables:
            read = {cable.name: await self._lease_of(cable) for cable in self._cables}
            self._leases = {name: lease for name, lease in read.items() if lease is not None}
        return self._leases != before

    async def way(self, address: IPv4Address, cable: str) -> Way:
        """Return how packets to `address` go when no tunnel of ours exists, by `cable` if one is named."""
        return plan.way(await self._look(cable), address, cable, self._tunnels)

    async def cable(self, named: str, server: IPv4Address | None = None) -> Cable | None:
        """Return the interface that is named, else the one that leads to the server, or out while that is not known."""
        interface = plan.cable_of(await self._look(named), named, server, self._tunnels)
        return None if interface is None else Cable(interface, await self._lease_of(interface))

    async def ethernets(self) -> list[str]:
        """Return the Ethernet interfaces that have a carrier."""
        return plan.ethernets(await self._look())

    async def own_addresses(self) -> frozenset[IPv4Address]:
        """Return this machine's addresses."""
        return plan.own_addresses(await self._look())

    async def past_the_tunnels(self) -> list[IPv4Network]:
        """Return the large networks that somebody else's routes keep out of every tunnel: they are no defaults."""
        return plan.past_the_tunnels(await self._look(), self._tunnels)

    @property
    def _tunnels(self) -> list[str]:
        return [one.tunnel for one in self._wanted.values() if one.tunnel]

    async def _look(self, cable: str = "") -> Snapshot:
        async with self._lock:
            self._named.add(cable)
            return await self._in_thread(self._snapshot)

    @property
    def surroundings(self) -> tuple[frozenset[Route | Interface], dict[str, Lease]]:
        """What there was of cables at the last `reconcile`: comparable, and the same as long as nothing changes."""
        return self._others, self._leases

    def footing(self, named: str, server: IPv4Address | None) -> Footing | None:
        """Return what a call to the server, or on the cable itself, would have stood on at the last `reconcile`."""
        return plan.footing(self._seen, named, server, self._tunnels)

    async def endpoints(self, interface: str) -> tuple[IPv4Address, IPv4Address] | None:
        """Return the addresses of both ends of a ppp interface, None while it carries nothing, and for any other."""
        async with self._lock:
            return await self._in_thread(lambda: self._endpoints(interface))

    async def leads_into(self, interface: str, address: IPv4Address) -> bool:
        """Return whether packets to `address` leave by the interface, whoever has seen to it."""
        async with self._lock:
            return await self._in_thread(lambda: self._leads_into(interface, address))

    async def index(self, interface: str) -> int:
        """Return the index of an interface, which stays when it is renamed; 0 when there is none."""
        return await self._in_thread(lambda: self._index(interface))

    async def lacks_carrier(self, index: int) -> bool:
        """Return whether the interface of this index is there, but down or without a carrier."""
        return await self._in_thread(lambda: self._lacks_carrier(index))

    async def size(self, index: int) -> int:
        """Return how large the packets of the interface of this index may be; that of Ethernet when it is gone."""
        return await self._in_thread(lambda: self._size(index))

    async def counters(self, interface: str) -> tuple[int, int]:
        """Return the bytes that the interface has received and sent; zeros when it is gone."""
        async with self._lock:
            return await self._in_thread(lambda: self._counters(interface))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # From here on everything runs in the worker thread.

    @property
    def _netlink(self) -> Netlink:
        if self._socket is None:
            raise RuntimeError("begin() has not been called")
        return self._socket

    def _reconcile(
        self, wanted: Mapping[str, Wanted], slots: Mapping[str, int], local: Collection[IPv4Network] | None
    ) -> bool:
        # The firewall first: what a tunnel needs is let out before a route leads there.
        breached = self._make_firewall(wanted, local)
        snapshot = self._snapshot()
        wished = plan.goal(snapshot, wanted, slots, local)
        missing_routes, missing_rules = wished.routes - snapshot.ours, wished.rules - snapshot.our_rules
        lost = self._standing & (missing_routes | missing_rules)
        # First what leads somewhere, then the rules that send packets there; the other way round when removing.
        for route in missing_routes:
            self._add_route(route)
        # The rule for `main` comes first and goes last: without it the tunnel's own packets would go into the tunnel.
        for rule in sorted(missing_rules, key=_priority):
            self._add_rule(rule)
        for rule in sorted(snapshot.our_rules - wished.rules, key=_priority, reverse=True):
            self._delete_rule(rule)
        for route in snapshot.ours - wished.routes:
            self._delete_route(route)
        for vlan in plan.vlans_left(snapshot, wanted.values()):
            self._delete_vlan(vlan)
        self._standing = wished.routes | wished.rules
        self._reached, self._cables = wished.reached, wished.cables
        self._others = plan.others(snapshot, {one.tunnel for one in wanted.values()})
        self._seen = snapshot
        for sentence in sorted(wished.doubts - self._doubts):
            log.warning("%s", sentence)
        self._doubts = wished.doubts
        return bool(lost) or breached

    def _make_firewall(self, wanted: Mapping[str, Wanted], local: Collection[IPv4Network] | None) -> bool:
        """Make our table and the forwarding; return whether the table had been lost."""
        self._refusal = None
        called = dict(self._called)
        try:
            interfaces = {name for pair in share.pairs(wanted) for name in pair}
            if self._forwarding.is_ours:
                self._forwarding.put_back(self._netlink, interfaces)
            chains = strict.chains({**called, **wanted}, local) if local is not None else ""
            if interfaces:
                switched = self._forwarding.switchable(self._netlink, interfaces)
                chains += share.chains(wanted, self._sizes(), switched)
            lost = self._nft.make(chains)
            self._keep(local)
            if interfaces:
                self._forwarding.switch_on(self._netlink, interfaces)
        except (Failed, StorageFailed, NetlinkError) as error:
            log.error("%s", error)
            self._refusal = Failed(str(error))
            return False
        return lost

    def _keep(self, local: Collection[IPv4Network] | None) -> None:
        """Have strict mode hold from the start of the machine on too; where it cannot, it holds now all the same."""
        before, self._unkept = self._unkept, None
        try:
            # No call's way out is in these: by then its server may be another.
            self._nft.keep(strict.chains({}, local) if local is not None else "")
        except StorageFailed as error:
            self._unkept = error
            if str(error) != str(before):
                log.warning("what strict mode is at the next start of the machine could not be written down: %s", error)

    def _sizes(self) -> dict[str, int]:
        return {link.get_attr("IFLA_IFNAME"): link.get_attr("IFLA_MTU") for link in self._netlink.links()}

    def _snapshot(self) -> Snapshot:
        addresses: dict[int, list[IPv4Address]] = {}
        for message in self._netlink.addresses():
            if (local := message.get_attr("IFA_LOCAL")) is not None:
                addresses.setdefault(message["index"], []).append(IPv4Address(local))
        bare = [_interface(message, self._netlink) for message in self._netlink.links()]
        interfaces = [replace(one, addresses=tuple(addresses.get(one.index, ()))) for one in bare]
        self._former |= {one.name: one for one in interfaces if one.name in self._named}
        routes = [
            (message["proto"], route)
            for message in self._netlink.routes()
            if message["type"] == _UNICAST
            for route in _routes(message)
        ]
        rules = self._netlink.rules()
        return Snapshot(
            plan.by_name(interfaces, self._former),
            tuple(route for protocol, route in routes if protocol != PROTOCOL and route.table == MAIN),
            frozenset(route for protocol, route in routes if protocol == PROTOCOL),
            frozenset(_rule(rule) for rule in rules if rule.get_attr("FRA_PROTOCOL") == PROTOCOL),
            self._leases,
        )

    def _add_route(self, route: Route) -> None:
        # "Prepend": with NLM_F_EXCL it would fail beside the kernel's own route to a peer that is the server, with
        # NLM_F_REPLACE it would destroy that one, with NLM_F_APPEND it would lose against it.
        # ENETDOWN: the interface is on its way up or down, and tells us when it has arrived.
        harmless = (errno.EEXIST, errno.ENETDOWN)
        _attempt(lambda: self._netlink.change(_message(route), RTM_NEWROUTE, NLM_F_CREATE), *harmless)

    def _delete_route(self, route: Route) -> None:
        _attempt(lambda: self._netlink.change(_message(route), RTM_DELROUTE), errno.ESRCH, errno.ENODEV)

    def _add_rule(self, rule: Rule) -> None:
        flags = NLM_F_CREATE | NLM_F_EXCL
        _attempt(lambda: self._netlink.change(_rule_message(rule), RTM_NEWRULE, flags), errno.EEXIST)

    def _delete_rule(self, rule: Rule) -> None:
        _attempt(lambda: self._netlink.change(_rule_message(rule), RTM_DELRULE), errno.ENOENT)

    def _vlan(self, wanted: Vlan) -> Interface:
        if (found := plan.vlan_of(self._snapshot(), wanted)) is None:
            try:
                self._netlink.add_vlan(plan.VLAN_NAME.format(wanted.number), wanted.on, wanted.number)
            except NetlinkError as error:
                raise Failed(f"The VLAN {wanted.number} of the cable could not be made: {error}") from None
            found = plan.vlan_of(self._snapshot(), wanted)
        if found is None:
            raise Failed(f"The VLAN {wanted.number} of the cable is gone again.")
        return found

    def _delete_vlan(self, vlan: Interface) -> None:
        _attempt(lambda: self._netlink.delete_link(vlan.index), errno.ENODEV)

    def _endpoints(self, interface: str) -> tuple[IPv4Address, IPv4Address] | None:
        link = self._link(interface)
        # pppd gives it the addresses first, and until it is up no route can lead there.
        if link is None or link["ifi_type"] != _PPP or not link["flags"] & _UP:
            return None
        for message in self._netlink.addresses():
            if message["index"] == link["index"]:
                return IPv4Address(message.get_attr("IFA_LOCAL")), IPv4Address(message.get_attr("IFA_ADDRESS"))
        return None

    def _leads_into(self, interface: str, address: IPv4Address) -> bool:
        try:
            return self._netlink.output(str(address)) == self._index(interface) != 0
        except NetlinkError:
            return False  # they leave by none

    def _link(self, interface: str) -> Any:
        return next((one for one in self._netlink.links() if one.get_attr("IFLA_IFNAME") == interface), None)

    def _index(self, interface: str) -> int:
        link = self._link(interface)
        return 0 if link is None else int(link["index"])

    def _lacks_carrier(self, index: int) -> bool:
        return any(one["index"] == index and not _has_carrier(one) for one in self._netlink.links())

    def _size(self, index: int) -> int:
        return next((one.get_attr("IFLA_MTU") for one in self._netlink.links() if one["index"] == index), ETHERNET)

    def _counters(self, interface: str) -> tuple[int, int]:
        link = self._link(interface)
        stats = {} if link is None else link.get_attr("IFLA_STATS64") or {}
        return int(stats.get("rx_bytes", 0)), int(stats.get("tx_bytes", 0))


def _priority(rule: Rule) -> int:
    return rule.priority


def _attempt(change: Callable[[], object], *harmless: int) -> None:
    """Make a change; what is already so is no error, and another error must not stop the other changes."""
    try:
        change()
    except NetlinkError as error:
        if error.code not in harmless:
            log.warning("a route, rule or VLAN could not be changed: %s", error)


def _message(route: Route) -> Any:
    message = rtmsg()
    message["family"] = socket.AF_INET
    message["dst_len"] = route.destination.prefixlen
    message["table"] = route.table if route.table < 256 else 0  # then RTA_TABLE counts
    message["proto"] = PROTOCOL
    message["type"] = _UNICAST
    message["scope"] = _SCOPE_UNIVERSE if route.gateway else _SCOPE_LINK
    message["flags"] = _ONLINK if route.is_onlink else 0
    message["attrs"] = [("RTA_TABLE", route.table), ("RTA_OIF", route.output)]
    if route.destination.prefixlen:
        message["attrs"].append(("RTA_DST", str(route.destination.network_address)))
    if route.gateway:
        message["attrs"].append(("RTA_GATEWAY", str(route.gateway)))
    if route.source:
        message["attrs"].append(("RTA_PREFSRC", str(route.source)))
    return message


def _rule_message(rule: Rule) -> Any:
    message = fibmsg()
    message["family"] = socket.AF_INET
    message["table"] = rule.table if rule.table < 256 else 0  # then FRA_TABLE counts
    message["action"] = _TO_TABLE
    message["attrs"] = [("FRA_PRIORITY", rule.priority), ("FRA_TABLE", rule.table), ("FRA_PROTOCOL", PROTOCOL)]
    if rule.suppress_defaults:
        message["attrs"].append(("FRA_SUPPRESS_PREFIXLEN", 0))
    if rule.service is not None:
        ports = f"{rule.service.port}:{rule.service.port}"
        message["attrs"] += [("FRA_IP_PROTO", rule.service.protocol), ("FRA_DPORT_RANGE", ports)]
    return message


def _has_carrier(message: Any) -> bool:
    # A VLAN that is down has one all the same.
    return message.get_attr("IFLA_CARRIER") != 0 and bool(message["flags"] & _UP)


def _interface(message: Any, kernel: Netlink) -> Interface:
    vlan = kernel.vlan(message)
    return Interface(
        message["index"],
        message.get_attr("IFLA_IFNAME"),
        _has_carrier(message),
        is_ethernet=message["ifi_type"] == _ETHERNET,
        hardware=bytes(message.get_attr("IFLA_PERM_ADDRESS") or message.get_attr("IFLA_ADDRESS") or b""),
        vlan=Vlan(*vlan) if vlan is not None else None,
        kind=kernel.kind(message),
        bundle=kernel.bundle(message),
    )


def _routes(message: Any) -> Iterator[Route]:
    destination = IPv4Network((message.get_attr("RTA_DST") or "0.0.0.0", message["dst_len"]))
    table = message.get_attr("RTA_TABLE") or message["table"]
    metric, source = message.get_attr("RTA_PRIORITY") or 0, message.get_attr("RTA_PREFSRC")
    ways = [(way["oif"], way) for way in message.get_attr("RTA_MULTIPATH") or ()]
    for output, way in ways or [(message.get_attr("RTA_OIF"), message)]:
        gateway = way.get_attr("RTA_GATEWAY")
        if output is not None:
            yield Route(
                destination,
                table,
                output,
                IPv4Address(gateway) if gateway else None,
                metric,
                IPv4Address(source) if source else None,
                bool(way["flags"] & _ONLINK),
            )


def _rule(message: Any) -> Rule:
    return Rule(
        message.get_attr("FRA_PRIORITY") or 0,
        message.get_attr("FRA_TABLE") or message["table"],
        message.get_attr("FRA_SUPPRESS_PREFIXLEN") == 0,
        _service(message),
    )


def _service(message: Any) -> Service | None:
    ports = message.get_attr("FRA_DPORT_RANGE")
    return None if ports is None else Service(message.get_attr("FRA_IP_PROTO"), int(ports.partition(":")[0]))
