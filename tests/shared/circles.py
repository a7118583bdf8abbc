"""Run in a network of its own (`unshare --net`): whether a call's packets are led into its tunnel, as JSON.

The real kernel decides, by routes and rules of ours and of somebody else's.
"""

import asyncio
import json
from ipaddress import IPv4Address

from leaks import ROUTER, SERVER, run

from cablecar.helper.plan import ANYWHERE, Wanted
from cablecar.helper.routes import Routes


async def main() -> None:
    """Print whether they are, at each stage."""
    run("ip link add eth0 type veth peer name far")
    run("ip address add 10.20.30.145/24 dev eth0")
    run("ip link set eth0 up")
    run("ip link set far up")
    run(f"ip route add default via {ROUTER} dev eth0")
    run("ip link add ppp0 type veth peer name far_end")
    run("ip link set far_end up")
    run("ip link set ppp0 up")
    routes = Routes()
    await routes.begin()
    seen: dict[str, bool] = {}

    async def look(stage: str) -> None:
        seen[stage] = await routes.leads_into("ppp0", IPv4Address(SERVER))

    await routes.want("home", Wanted((IPv4Address(SERVER),), "", "ppp0", (ANYWHERE,)))
    await look("up")
    run("ip route add default dev ppp0 table 77")
    run("ip rule add pref 100 lookup 77")
    await look("with a rule of somebody's")
    run("ip rule del pref 100")
    await look("without it")
    run("ip rule add pref 100 unreachable")
    await look("without a way")
    run("ip rule del pref 100")
    run("ip rule add pref 100 lookup 77")
    run("ip link del ppp0")
    await look("without a tunnel")
    await routes.release("home")
    await routes.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
