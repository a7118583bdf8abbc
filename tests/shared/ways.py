"""Run in a network of its own (`unshare --map-root-user --net`): how a server is pinned by default routes out of the common.

The real kernel makes the pins, or refuses them; printed as JSON are its words for each, and for what is left of them.
"""

import asyncio
import json
import subprocess
from ipaddress import IPv4Address
from typing import Any

from leaks import ROUTER, SERVER, run

from cablecar.helper.plan import Wanted
from cablecar.helper.routes import PROTOCOL, Routes

OTHER_ROUTER, DISTANT_ROUTER = "10.20.40.1", "172.16.0.1"
DEFAULTS = {
    "of two routers": f"nexthop via {ROUTER} dev eth0 nexthop via {OTHER_ROUTER} dev eth1",
    "of two routers, the first unplugged": f"nexthop via {OTHER_ROUTER} dev eth1 nexthop via {ROUTER} dev eth0",
    "outside the cable's network": f"via {DISTANT_ROUTER} dev eth0 onlink",
}


def ours() -> str:
    """Return the pin as `ip route` shows it."""
    show = ["ip", "route", "show", "table", "main", "proto", str(PROTOCOL)]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()


async def main() -> None:
    """Print the pin by each kind of default route."""
    for name, far, own in (("eth0", "far0", "10.20.30.145/24"), ("eth1", "far1", "10.20.40.145/24")):
        run(f"ip link add {name} type veth peer name {far}")
        run(f"ip address add {own} dev {name}")
        run(f"ip link set {name} up")
    run("ip link set far0 up")
    routes = Routes()
    await routes.begin()
    seen: dict[str, Any] = {}
    for kind, default in DEFAULTS.items():
        run(f"ip route replace default {default}")
        pinned = await routes.want("home", Wanted((IPv4Address(SERVER),)))
        seen[kind] = ours() if pinned else ""
    await routes.release("home")
    seen["left"] = ours()
    await routes.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
