"""Run in a network of its own (`unshare --net`): what another machine reaches by a shared link, as JSON.

Routes, rules, firewall and forwarding are made by the real kernel. Three more networks are played: `home` behind eth1,
the cable's provider behind eth0, and the Internet behind ppp0, which is a veth pair's end here.
"""

import asyncio
import json
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

from leaks import HOST, ROUTER, SERVER, run

from cablecar.helper.forwarding import Forwarding
from cablecar.helper.nft import Nft
from cablecar.helper.plan import ANYWHERE, Wanted
from cablecar.helper.pptp import PPTP
from cablecar.helper.routes import Routes

OWN, INSIDE = "192.0.2.10", "192.168.77.2"
ANSWER = f"""
import socket
with socket.create_server(({HOST!r}, 80)) as server:
    print("listening", flush=True)
    while True:
        call, (address, _) = server.accept()
        call.sendall(f"{{address}} {{call.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)}}".encode())
        call.close()
"""
ASK = f"""
import socket
try:
    with socket.create_connection(({HOST!r}, 80), 2) as call:
        print(call.recv(99).decode())
except OSError:
    print("nothing")
"""
# A connection to a port where nobody listens: refused by who is reached.
TRY = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), 0.5)
except ConnectionRefusedError:
    print("reached")
except OSError:
    print("nothing")
"""


class Network:
    """Another machine's."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{self.process.pid}/ns/net").readlink() == own:
            pass  # it is about to have one

    def run(self, *command: str) -> str:
        there = ("nsenter", "--target", str(self.process.pid), "--net")
        return subprocess.run([*there, *command], check=True, capture_output=True, text=True).stdout.strip()

    def ip(self, *commands: str) -> None:
        for command in commands:
            self.run("ip", *command.split())

    def reaches(self, address: str) -> bool:
        return self.run(sys.executable, "-c", TRY, address) == "reached"


def join(name: str, other: Network, ours: str, theirs: str) -> None:
    run(f"ip link add {name} type veth peer name {name} netns {other.process.pid}")
    run(f"ip address add {ours} dev {name}")
    run(f"ip link set {name} up")
    other.ip(f"address add {theirs} dev {name}", f"link set {name} up", "link set lo up")


def forwards() -> list[str]:
    names = ("all", "eth0", "eth1", "ppp0")
    return [name for name in names if Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").read_text() == "1\n"]


async def stages(home: Network, provider: Network, internet: Network, folder: Path) -> dict[str, object]:
    def look() -> dict[str, object]:
        return {
            "forwards": forwards(),
            "from home": home.run(sys.executable, "-c", ASK),
            "past the tunnel": home.reaches(SERVER),
            "into home": [internet.reaches(INSIDE), provider.reaches(INSIDE)],
        }

    def make() -> Routes:
        return Routes(
            nft=Nft(folder / "table", at_boot=folder / "strict.nft"), forwarding=Forwarding(folder / "forwarding")
        )

    found = {"control": {"reached": [internet.reaches(OWN), home.reaches("192.168.77.1")]}, "before": look()}
    routes = make()
    await routes.begin()
    up = Wanted((IPv4Address(SERVER),), "", "ppp0", (ANYWHERE,), passages=PPTP.passages, share=("eth1",))
    await routes.want("home", up)
    found["up"] = look()
    await routes.set_strict("home", ())
    found["up, strict"] = look()
    after = make()  # a crash, and nobody wants the link any more
    await after.begin()
    await after.reconcile()
    found["after"] = look()
    await routes.close()
    await after.close()
    return {**found, "left": [run("nft list ruleset"), sorted(path.name for path in folder.iterdir())]}


def main() -> None:
    home, provider, internet = networks = Network(), Network(), Network()
    try:
        run("ip link set lo up")
        join("eth0", provider, "10.20.30.100/24", f"{ROUTER}/24")
        join("eth1", home, "192.168.77.1/24", f"{INSIDE}/24")
        join("ppp0", internet, f"{OWN}/24", "192.0.2.1/24")
        run("ip link set ppp0 mtu 1400")
        run(f"ip route add default via {ROUTER}")
        # The cable forwards anyway, so that nothing but the firewall keeps it out.
        Path("/proc/sys/net/ipv4/conf/eth0/forwarding").write_text("1")
        home.ip("route add default via 192.168.77.1")
        provider.ip(f"address add {SERVER}/32 dev lo", "route add 192.168.77.0/24 via 10.20.30.100")
        internet.ip(f"address add {HOST}/32 dev lo", f"route add 192.168.77.0/24 via {OWN}")
        # It is no point-to-point interface here: who has the address has to be said.
        there = json.loads(internet.run("ip", "-json", "link", "show", "ppp0"))[0]["address"]
        run(f"ip neighbour add {HOST} dev ppp0 lladdr {there}")
        command = ["nsenter", "--target", str(internet.process.pid), "--net", sys.executable, "-c", ANSWER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            server.stdout.readline()
            print(json.dumps(asyncio.run(stages(home, provider, internet, Path(sys.argv[1])))))
            server.kill()
    finally:
        for network in networks:
            network.process.kill()


if __name__ == "__main__":
    socket.setdefaulttimeout(5)
    main()
