"""Run in a network of its own (`unshare --net`): where the pin of a link that names `eth0` leads, as JSON.

The real kernel renames that cable, and then has another one of the same hardware address, and another lease. When the
way is another than that of the stage before, a `!` stands behind.
"""

import asyncio
import json
from ipaddress import IPv4Address
from typing import Any

from leaks import ROUTER, SERVER, run

from cablecar.helper.plan import Footing, Wanted
from cablecar.helper.routes import Routes

OWN = "10.20.30.145/24"


def plug(name: str, options: str = "") -> None:
    """Have a cable of that name."""
    run(f"ip link add {name} {options} type veth peer name far")
    run(f"ip address add {OWN} dev {name}")
    run("ip link set far up")
    lead_out(name)


def lead_out(name: str) -> None:
    """Have the cable lead to the server."""
    run(f"ip link set {name} up")
    run(f"ip route add default via {ROUTER} dev {name}")


async def main() -> None:
    """Print by which interface the pin leads at each stage; nothing where there is none."""
    routes = Routes()
    await routes.begin()
    seen: dict[str, Any] = {}
    stood: list[Footing] = []

    async def look(stage: str) -> None:
        pinned = await routes.want("home", Wanted((IPv4Address(SERVER),), "eth0"))
        cable = await routes.cable("eth0")
        seen[stage] = cable.interface.name if cable is not None and pinned else ""
        if (footing := routes.footing("eth0", IPv4Address(SERVER))) is not None:
            seen[stage] += "!" if stood and stood[-1] != footing else ""
            stood.append(footing)

    plug("eth0")
    await look("as it was")
    run("ip link set eth0 down")
    run("ip link set eth0 name usb0")
    lead_out("usb0")
    await look("renamed")
    cable = await routes.cable("eth0")
    address = cable.interface.hardware.hex(":") if cable is not None else ""
    run("ip link del usb0")
    plug("usb1")
    await look("another one")
    run("ip link del usb1")
    plug("usb2", f"address {address}")
    await look("replugged")
    run("ip link set usb2 down")
    await look("without carrier")
    lead_out("usb2")
    await look("as before")
    run("ip address flush dev usb2")
    run("ip address add 10.20.30.146/24 dev usb2")
    lead_out("usb2")
    await look("another lease")
    await routes.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
