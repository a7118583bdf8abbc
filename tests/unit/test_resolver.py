"""/etc/resolv.conf: whose it is, what it says while links are up, and that it is the same file afterwards."""

import errno
import os
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from cablecar.helper import dns
from cablecar.helper.resolver import BESIDE, Resolver, is_ours, resolv_conf

BEFORE = "# made by hand\nsearch home.example\nnameserver 10.20.30.1\noptions timeout:1\n"
PEERS = {
    "IFNAME": "ppp0",
    "IPLOCAL": "100.64.0.10",
    "DNS1": "198.51.100.53",
    "DNS2": "198.51.100.54",
    "USEPEERDNS": "1",
}


@dataclass
class Machine:
    """A file, links and interfaces in a folder."""

    folder: Path
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("run", "net", "etc"):
            (self.folder / name).mkdir()
        self.file.write_text(BEFORE)
        self.file.chmod(0o640)
        self.interface("ppp0")

    @property
    def file(self) -> Path:
        return self.folder / "etc/resolv.conf"

    @property
    def beside(self) -> list[str]:
        return sorted(path.name for path in self.file.parent.iterdir() if path != self.file)

    def interface(self, name: str) -> None:
        (self.folder / "net" / name).mkdir()

    def hangs_up(self, name: str) -> None:
        (self.folder / "net" / name).rmdir()

    def resolver(self) -> Resolver:
        state = self.folder / "run"
        return Resolver(self.told.append, self.file, state, self.folder / "net", self.folder / "resolvconf")

    def up(self, wish: str = "peer", link: str = "yosefcom", **more: str) -> dict[str, str]:
        (self.folder / f"run/{link}.dns").write_text(f"{wish}\n")
        return self.resolver().up(link, {**PEERS, **more})

    @property
    def servers(self) -> list[str]:
        lines = self.file.read_text().splitlines()
        return [line.removeprefix("nameserver ") for line in lines if line.startswith("nameserver ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("wish", "servers"),
    [
        ("peer", ["198.51.100.53", "198.51.100.54"]),
        ("192.0.2.53", ["192.0.2.53"]),
        ("none", ["10.20.30.1"]),
    ],
)
def test_the_file_names_the_links_servers_and_is_the_same_one_afterwards(
    machine: Machine, wish: str, servers: list[str]
) -> None:
    before = machine.file.stat()
    variables = machine.up(wish)
    assert machine.servers == servers
    assert "USEPEERDNS" not in variables, "the distribution's hook would write the file too"
    if wish != "none":
        assert [line for line in BEFORE.splitlines() if "nameserver" not in line] == [
            line for line in machine.file.read_text().splitlines()[1:] if "nameserver" not in line
        ]
        assert machine.file.stat().st_mode == before.st_mode
    machine.resolver().down("yosefcom")
    after = machine.file.stat()
    assert machine.file.read_text() == BEFORE
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert (machine.beside, machine.told) == ([], [])


def test_what_cannot_be_a_server_is_left_out(machine: Machine) -> None:
    variables = machine.up(DNS1="127.0.0.1", DNS2="100.64.0.10")
    assert machine.file.read_text() == BEFORE
    assert "DNS1" not in variables
    machine.up(DNS1="224.0.0.1", DNS2="198.51.100.53")
    assert machine.servers == ["198.51.100.53"]


def test_a_call_that_the_helper_did_not_prepare_is_the_distributions(machine: Machine) -> None:
    assert machine.resolver().up("yosefcom", PEERS) == PEERS
    (machine.folder / "run/yosefcom.dns").write_text("8.8.8.8; reboot\n")
    assert machine.resolver().up("yosefcom", PEERS) == PEERS
    assert machine.file.read_text() == BEFORE


def test_the_newest_link_comes_first_and_each_takes_its_own_away(machine: Machine) -> None:
    machine.up("192.0.2.1")
    machine.interface("ppp1")
    machine.up("192.0.2.2", "office", IFNAME="ppp1")
    assert machine.servers == ["192.0.2.2", "192.0.2.1"]
    machine.resolver().down("yosefcom")
    assert machine.servers == ["192.0.2.2"]
    machine.resolver().down("office")
    assert machine.file.read_text() == BEFORE


def test_what_somebody_writes_meanwhile_is_what_is_put_back(machine: Machine) -> None:
    machine.up("192.0.2.1")
    machine.file.unlink()
    machine.file.write_text("nameserver 10.20.30.2\n")
    machine.resolver().restore()
    assert machine.servers == ["192.0.2.1"]
    machine.resolver().down("yosefcom")
    assert machine.file.read_text() == "nameserver 10.20.30.2\n"
    assert machine.beside == []


@pytest.mark.parametrize("repaired", [True, False])
def test_a_file_that_others_make_out_of_ours_for_a_while_is_not_put_back(machine: Machine, repaired: bool) -> None:
    """What Debian's 0000usepeerdns and vpnc-script do: the latter writes a line of its own before the others."""
    machine.up("192.0.2.1")
    ours = machine.file.read_text()
    machine.file.unlink()
    machine.file.write_text(f"nameserver 10.99.0.1\n{ours.replace('nameserver 192.0.2.1', '')}")
    if repaired:
        machine.resolver().restore()
        assert machine.servers == ["192.0.2.1"]
        machine.file.write_text(ours)
    machine.resolver().down("yosefcom")
    assert (machine.file.read_text(), machine.beside) == (BEFORE, [])


def test_what_somebody_has_written_last_stays(machine: Machine) -> None:
    machine.up("192.0.2.1")
    machine.file.unlink()
    machine.file.write_text("nameserver 10.20.30.2\n")
    machine.resolver().down("yosefcom")
    assert (machine.file.read_text(), machine.beside) == ("nameserver 10.20.30.2\n", [])


@pytest.mark.parametrize("power_cut", [False, True])
def test_a_call_that_died_unseen_is_cleaned_up_after(machine: Machine, power_cut: bool) -> None:
    machine.up("192.0.2.1")
    machine.hangs_up("ppp0")
    if power_cut:
        (machine.folder / "run/servers/yosefcom").unlink()
    for _ in range(2):
        machine.resolver().restore()
        assert (machine.file.read_text(), machine.beside) == (BEFORE, [])


def test_a_kill_between_the_two_steps_of_writing_changes_nothing(machine: Machine) -> None:
    os.link(machine.file, machine.file.with_name(machine.file.name + BESIDE))
    machine.resolver().restore()
    assert (machine.file.read_text(), machine.beside) == (BEFORE, [])


def test_a_file_that_was_not_there_is_not_there_afterwards(machine: Machine) -> None:
    machine.file.unlink()
    machine.up("192.0.2.1")
    assert machine.servers == ["192.0.2.1"]
    machine.resolver().down("yosefcom")
    assert not machine.file.exists()


def test_a_symbolic_link_stays_one(machine: Machine) -> None:
    target = machine.folder / "elsewhere"
    target.mkdir()
    machine.file.rename(target / "resolv.conf")
    machine.file.symlink_to(target / "resolv.conf")
    machine.up("192.0.2.1")
    assert machine.servers == ["192.0.2.1"]
    assert machine.file.is_symlink()
    machine.resolver().down("yosefcom")
    assert machine.file.read_text() == BEFORE
    assert [path.name for path in target.iterdir()] == ["resolv.conf"]


def test_what_cannot_be_written_is_told_once_and_left(machine: Machine) -> None:
    machine.file.unlink()
    machine.file.symlink_to("/proc/nowhere/resolv.conf")
    machine.up("192.0.2.1")
    assert len(machine.told) == 1
    assert "stays as it is" in machine.told[0]
    machine.resolver().restore()
    assert len(machine.told) == 1


def test_a_full_disk_leaves_the_file_alone_or_puts_it_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for is_ours_already in (False, True):
        if is_ours_already:
            machine.up("192.0.2.1")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            machine.up("192.0.2.2", "office")
        assert "No space left" in machine.told.pop()
        assert (machine.file.read_text(), machine.beside) == (BEFORE, [])


def test_systemd_resolved_and_resolvconf_are_owners(machine: Machine) -> None:
    assert machine.resolver().owner == ""
    resolvconf = machine.folder / "resolvconf"
    resolvconf.symlink_to("/usr/bin/resolvectl")
    assert machine.resolver().owner == "", "a name of systemd-resolved's, which does not own the file"
    resolvconf.unlink()
    resolvconf.write_text("#!/bin/sh\n")
    resolvconf.chmod(0o755)
    assert machine.resolver().owner == "resolvconf"
    for line in ("nameserver\t127.0.0.53", "nameserver 127.0.0.53 ", "nameserver 127.0.0.54", "nameserver 127.0.0.53"):
        machine.file.write_text(f"{line}\noptions edns0\n")
        assert machine.resolver().owner == "systemd-resolved"
    machine.up("192.0.2.1")
    assert machine.file.read_text() == "nameserver 127.0.0.53\noptions edns0\n"
    machine.file.unlink()
    machine.file.symlink_to("/run/systemd/resolve/stub-resolv.conf")
    assert machine.resolver().owner == "systemd-resolved"


def test_strange_bytes_pass_through(machine: Machine) -> None:
    machine.file.write_bytes(b"# \xff\xfe\x0b\xe2\x80\xa8 x\nnameserver 10.20.30.1")
    machine.up("192.0.2.1")
    assert machine.file.read_bytes().endswith(b"nameserver 192.0.2.1\n# \xff\xfe\x0b\xe2\x80\xa8 x\n")


# The decision.

OWN = [IPv4Address("100.64.0.10")]


@pytest.mark.parametrize(
    ("choice", "inside", "line"),
    [
        ("peer", ["198.51.100.53"], "peer"),
        ("cable", [], "10.20.30.1"),
        ("none", [], "none"),
        (("192.0.2.1", "192.0.2.2"), ["192.0.2.1", "192.0.2.2"], "192.0.2.1 192.0.2.2"),
    ],
)
def test_each_choice_has_its_servers(choice: str | tuple[str, ...], inside: list[str], line: str) -> None:
    told = ["198.51.100.53", "127.0.0.1", "0.0.0.0", "224.0.0.1", "100.64.0.10", "169.254.0.1", "x"]
    assert [str(server) for server in dns.in_tunnel(choice, told, OWN)] == inside
    assert dns.wish(choice, [IPv4Address("10.20.30.1")]) == line


def test_a_cable_without_servers_changes_nothing() -> None:
    assert dns.wish("cable", []) == "none"


def test_what_is_written_is_known_again() -> None:
    assert is_ours(resolv_conf(BEFORE, ["192.0.2.1"], "/etc/resolv.conf.before-cablecar"))
    assert not is_ours(BEFORE)
