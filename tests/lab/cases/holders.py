"""Who may hold the lease of `eth0`: dhclient, as the lab starts, and the managers that desktops and servers have."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lab
from kernel import Ear

DHCP_SERVER, DNS = "10.99.0.1", "10.99.0.53"  # after `isp relay`
LEASE_WITHIN = 40.0  # seconds


@dataclass(frozen=True)
class Holder:
    """A DHCP client.

    Attributes:
        name: As the helper calls it.
        unit: The service that it is.
        configure: Has it take `eth0` when it starts.
        again: A command by which a person has it set `eth0` up anew.
        taken: What it has to be told once it runs.
        follow: What a person does so that it takes the cable under the name that it has got, after the other one.
    """

    name: str
    unit: str
    configure: Callable[[], object]
    again: tuple[tuple[str, ...], ...]
    taken: Callable[[], object] = lambda: None
    follow: Callable[[str, str], object] = lambda old, new: None

    def take(self) -> None:
        """Have it hold the lease, and dhclient no longer; return when there is one."""
        if self.name != "dhclient":
            lab.run("systemctl", "stop", "cable-lease.service")
        self.configure()
        lab.run("systemctl", "unmask", self.unit)
        lab.run("systemctl", "start", self.unit)
        self.taken()
        self.wait()

    def wait(self, cable: str = "eth0") -> float:
        """Return when there is a lease, and after how many seconds."""
        route = ("ip", "-4", "route", "show", "default", "dev", cable)
        return lab.eventually(lambda: lab.run(*route).output, LEASE_WITHIN, f"{self.name} has a lease", pause=0.2)

    def restart(self) -> None:
        """Restart it; return when there is a lease."""
        lab.run("systemctl", "restart", self.unit)
        self.taken()
        self.wait()

    def set_up_anew(self) -> None:
        """Have it set `eth0` up anew; return when there is a lease, after the address was lost."""
        with Ear() as ear:
            for command in self.again:
                lab.run(*command)
            ear.wait_for_loss("eth0", LEASE_WITHIN)
        self.wait()

    def rename(self, old: str, new: str) -> None:
        """Give the cable another name, as if it were plugged in elsewhere; return when there is a lease."""
        for change in ((old, "down"), (old, "name", new), (new, "up")):
            lab.run("ip", "link", "set", *change)
        self.follow(old, new)
        self.wait(new)

    def leave(self) -> None:
        """Have dhclient hold the lease again."""
        if self.name != "dhclient":
            # systemd-networkd's sockets would start it again.
            lab.run("systemctl", "stop", self.unit, self.unit.replace(".service", "*.socket"))
            lab.run("systemctl", "mask", self.unit)
            lab.run("ip", "-4", "address", "flush", "dev", "eth0")
            # NetworkManager leaves a cable that it saw come without.
            lab.run("sysctl", "--quiet", "net.ipv6.conf.eth0.disable_ipv6=0")
            lab.run("systemctl", "start", "cable-lease.service")


def _ask_for_a_lease(old: str, new: str) -> None:
    for name, verb in ((old, "stop"), (new, "start")):
        pid, leases = f"/run/{name}.pid", f"/var/lib/dhcp/dhclient.{name}.leases"
        if name == "eth0":
            lab.run("systemctl", verb, "cable-lease.service")
        elif verb == "stop":
            lab.run("pkill", "--pidfile", pid)
        else:
            lab.run("dhclient", "-4", "-pf", pid, "-lf", leases, name)


def _configure_networkd() -> None:
    Path("/etc/systemd/network/10-cable.network").write_text("[Match]\nName=eth0 usb0\n[Network]\nDHCP=ipv4\n")


def _configure_network_manager() -> None:
    Path("/etc/NetworkManager/NetworkManager.conf").write_text("[main]\nplugins=keyfile\ndns=none\n")


def _give_to_network_manager(name: str = "eth0") -> None:
    lab.run("nmcli", "device", "set", name, "managed", "yes")  # else udev's rules keep it off veth pairs
    if "cable" not in lab.run("nmcli", "--get-values", "NAME", "connection", "show").output.split():
        profile = ("type", "ethernet", "ifname", "*", "con-name", "cable", "ipv6.method", "ignore")
        lab.run("nmcli", "connection", "add", *profile)
    lab.run("nmcli", "connection", "up", "cable", "ifname", name)


DHCLIENT = Holder(
    "dhclient",
    "cable-lease.service",
    lambda: None,
    (("systemctl", "restart", "cable-lease.service"),),
    follow=_ask_for_a_lease,
)
NETWORKD = Holder(
    "systemd-networkd",
    "systemd-networkd.service",
    _configure_networkd,
    (("networkctl", "reconfigure", "eth0"),),
)
MANAGER = Holder(
    "NetworkManager",
    "NetworkManager.service",
    _configure_network_manager,
    (("nmcli", "connection", "down", "cable"), ("nmcli", "connection", "up", "cable")),
    _give_to_network_manager,
    lambda old, new: _give_to_network_manager(new),
)
HOLDERS = {holder.name: holder for holder in (DHCLIENT, NETWORKD, MANAGER)}
