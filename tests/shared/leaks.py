"""Run in a network of its own (`unshare --net`): what leaves it by a cable, stage by stage, as JSON.

The helper's own routes, rules and firewall are made by the real kernel; the call and the provider are played: `ppp0` is
a veth pair's end, the other end of the cable a second network in which every packet is heard.
"""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from cablecar.helper.forwarding import Forwarding
from cablecar.helper.nft import Nft
from cablecar.helper.plan import ANYWHERE, Wanted
from cablecar.helper.pptp import PPTP
from cablecar.helper.routes import Routes

SERVER, HOST, ROUTER, NEIGHBOUR = "203.0.113.7", "198.51.100.10", "10.20.30.1", "10.20.30.9"
MARK = 4711  # the port of the last packet of a stage

HEAR = """
import socket
cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
cable.bind(("cable", 0))
print("listening", flush=True)
while True:
    data, (_, kind, way, *_) = cable.recvfrom(2048)
    if way != 4 and kind == 0x0800:
        port = int.from_bytes(data[36:38], "big") if data[23] in (6, 17) else 0
        print(socket.inet_ntoa(data[30:34]), data[23], port, flush=True)
    elif way != 4 and kind == 0x86dd and data[20] == 17:
        print(socket.inet_ntop(socket.AF_INET6, data[38:54]), 17, int.from_bytes(data[56:58], "big"), flush=True)
"""


def run(command: str) -> str:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


class Provider:
    """The other end of the cable."""

    def __init__(self) -> None:
        self._network = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        there = f"nsenter --target {self._network.pid} --net"
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{self._network.pid}/ns/net").readlink() == own:
            pass  # it is about to have one
        run(f"ip link add eth0 type veth peer name cable netns {self._network.pid}")
        for command in (
            "ip link set cable up",
            f"ip address add {ROUTER}/24 dev cable",
            f"ip address add {NEIGHBOUR}/32 dev cable",
        ):
            run(f"{there} {command}")
        for command in (
            "ip link set lo up",
            "ip address add 10.20.30.100/24 dev eth0",
            "ip link set eth0 up",
            "ip address add fe80::9/64 dev eth0 nodad",
            f"ip route add default via {ROUTER}",
        ):
            run(command)
        self._ears = subprocess.Popen([*there.split(), sys.executable, "-c", HEAR], stdout=subprocess.PIPE, text=True)
        assert self._ears.stdout is not None
        self._ears.stdout.readline()
        self._heard: list[str] = []
        self._end = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._ears.stdout is not None
        for line in self._ears.stdout:
            if line.split()[2] == str(MARK):
                self._end.set()
            else:
                self._heard.append(line.strip())

    def hear(self) -> list[str]:
        """Send what any program may send; return what of it has come."""
        self._heard.clear()
        self._end.clear()
        index = socket.if_nametoindex("eth0")
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
        ):
            for address, port in ((HOST, 9), (SERVER, 9), (SERVER, 1701), (ROUTER, 53), (NEIGHBOUR, 9)):
                with contextlib.suppress(OSError):
                    four.sendto(b"leak", (address, port))
            with contextlib.suppress(OSError):
                six.sendto(b"leak", ("ff02::1", 9, 0, index))
        with socket.socket() as call, contextlib.suppress(OSError):
            call.settimeout(0.2)
            call.connect((SERVER, 1723))
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, 47) as gre, contextlib.suppress(OSError):
            gre.sendto(b"\0" * 8, (SERVER, 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dhcp:
            dhcp.bind(("0.0.0.0", 68))
            dhcp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            dhcp.sendto(b"renew", (ROUTER, 67))
        # What comes last has everything before it.
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as last:
            last.bind(("eth0", 0x0800))
            ethernet = b"\xff" * 6 + b"\2" * 6 + b"\x08\0"
            ip = b"\x45" + b"\0" * 8 + b"\x11" + b"\0" * 10
            last.send(ethernet + ip + b"\0\0" + MARK.to_bytes(2, "big") + b"\0" * 40)
        assert self._end.wait(20)
        return sorted(set(self._heard))

    def close(self) -> None:
        self._ears.kill()
        self._network.kill()


async def stages(provider: Provider, folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}

    async def look(stage: str) -> None:
        found[stage] = await asyncio.to_thread(provider.hear)

    lost = asyncio.Event()
    routes = Routes(
        nft=Nft(folder / "table", at_boot=folder / "strict.nft"), forwarding=Forwarding(folder / "forwarding")
    )
    await routes.begin(lost.set)
    call = Wanted((IPv4Address(SERVER),), "", "", (ANYWHERE,), passages=PPTP.passages)
    up = Wanted((IPv4Address(SERVER),), "", "ppp0", (ANYWHERE,), passages=PPTP.passages)
    await look("off")
    await routes.set_strict("home", ())
    await look("waiting")
    await routes.want("home", call)
    await look("dialing")
    for command in (
        "ip link add ppp0 type veth peer name far",
        "ip link set far up",
        "ip link set ppp0 up arp off",
        f"ip route add 0.0.0.0/1 via {ROUTER}",
        f"ip route add 128.0.0.0/1 via {ROUTER}",
    ):
        run(command)
    await routes.want("home", up)
    await look("up, with half routes")
    run("nft flush ruleset")
    await asyncio.wait_for(lost.wait(), 5)
    found["lost"] = [await routes.reconcile(), await routes.reconcile()]
    await look("flushed")
    await routes.set_strict("home", (IPv4Network("10.20.30.0/24"),))
    await look("with the local network")
    await routes.set_strict("home", ())
    run("ip link del ppp0")
    await look("dropped")
    await routes.release("home")
    await look("between calls")
    run("nft flush ruleset")
    run(f"nft -f {folder}/strict.nft")
    await look("from the machine's start on")
    await routes.clear()
    await look("ended")
    own = "201" in run("ip rule") + run("ip route show table all proto 201")
    found["left"] = [run("nft list ruleset"), own, sorted(path.name for path in folder.iterdir())]
    await routes.close()
    return found


if __name__ == "__main__":
    there = Provider()
    try:
        print(json.dumps(asyncio.run(stages(there, Path(sys.argv[1])))))
    finally:
        there.close()
