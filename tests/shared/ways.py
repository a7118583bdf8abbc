"""Run in a network of its own (`unshare --net`): what is pinned out of the common, as JSON.

The real kernel makes the pins, or refuses them: by default routes of several routers or by a distant one, and to a
public address of a lease, which only DHCP and DNS may reach by the cable.
"""

import asyncio
import json
from ipaddress import IPv4Address
from typing import Any

from leaks import ROUTER, SERVER, run

from cablecar.helper.leases import Lease
from cablecar.helper.plan import ANYWHERE, Interface, Wanted
from cablecar.helper.routes import PROTOCOL, Routes

OTHER_ROUTER, DISTANT_ROUTER = "10.20.40.1", "172.16.0.1"
DEFAULTS = {
    "of two routers": f"nexthop via {ROUTER} dev eth0 nexthop via {OTHER_ROUTER} dev eth1",
    "of two routers, the first unplugged": f"nexthop via {OTHER_ROUTER} dev eth1 nexthop via {ROUTER} dev eth0",
    "outside the cable's network": f"via {DISTANT_ROUTER} dev eth0 onlink",
}


PUBLIC = "9.9.9.9"
LEASES: dict[str, Lease] = {}


async def lease_of(interface: Interface) -> Lease | None:
    """Play the program that holds the lease."""
    return LEASES.get(interface.name)


def ours() -> str:
    """Return the pin as `ip route` shows it."""
    return run(f"ip route show table main proto {PROTOCOL}").strip()


def device(service: str) -> str:
    """Return the interface that packets of a service take to the public address."""
    return run(f"ip route get {PUBLIC} {service}").partition(" dev ")[2].split()[0]


async def narrow(routes: Routes) -> dict[str, str]:
    """Have a lease name the public address, and a tunnel be up that takes everything."""
    LEASES["eth0"] = Lease("dhclient", IPv4Address("10.20.30.145"), (), IPv4Address(PUBLIC), (IPv4Address(PUBLIC),))
    run("ip link add ppp0 type veth peer name far2")
    run("ip link set far2 up")
    run("ip link set ppp0 up arp off")
    await routes.want("home", Wanted((IPv4Address(SERVER),), "", "ppp0", (ANYWHERE,)))
    services = "ipproto udp dport 67", "ipproto udp dport 53", "ipproto tcp dport 53", "ipproto tcp dport 443", ""
    found = {service: device(service) for service in services}
    assert not await routes.reconcile(), "what stands is what is wanted"
    return found


async def main() -> None:
    """Print the pin by each kind of default route, then the way of each service to the public address."""
    for name, far, own in (("eth0", "far0", "10.20.30.145/24"), ("eth1", "far1", "10.20.40.145/24")):
        run(f"ip link add {name} type veth peer name {far}")
        run(f"ip address add {own} dev {name}")
        run(f"ip link set {name} up")
    run("ip link set far0 up")
    routes = Routes(lease_of)
    await routes.begin()
    seen: dict[str, Any] = {}
    for kind, default in DEFAULTS.items():
        run(f"ip route replace default {default}")
        pinned = await routes.want("home", Wanted((IPv4Address(SERVER),)))
        seen[kind] = ours() if pinned else ""
    run(f"ip route replace default via {ROUTER} dev eth0")
    seen["public"] = await narrow(routes)
    await routes.release("home")
    seen["left"] = ours() + run(f"ip route show table all proto {PROTOCOL}") + run("ip rule show from all lookup 5198")
    await routes.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
