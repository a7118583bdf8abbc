"""Where a firewall has to be opened, with which rules, and that they go again; nft itself judges."""

import json
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from namespaces import AS_ROOT, unshare

from cablecar.helper import firewall, opening
from cablecar.helper.l2tp import L2TP
from cablecar.helper.opening import Openings
from cablecar.helper.pptp import PPTP

SERVER = IPv4Address("203.0.113.7")
WALL = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop
    iifname lo accept
  }
  chain output {
    type filter hook output priority 0; policy drop
    oifname lo accept
  }
}
table ip other {
  chain out {
    type filter hook output priority 10; policy accept
    ip protocol gre drop
  }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Path]:
    """A nft in a network of its own."""
    command = [*unshare("--net"), "sh", "-c", "echo $$; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as network:
        assert network.stdout is not None
        pid = network.stdout.readline().strip()
        enter = ["--user", "--preserve-credentials"] if AS_ROOT else []
        path = tmp_path / "nft"
        path.write_text(f'#!/bin/sh\nexec nsenter --target {pid} {" ".join(enter)} --net /usr/sbin/nft "$@"\n')
        path.chmod(0o755)
        yield path
        network.kill()


@pytest.fixture
def openings(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> Openings:
    monkeypatch.setattr(firewall, "NFT", str(program))
    return Openings(tmp_path / "openings", str(program))


def told(program: Path) -> str:
    return subprocess.run([program, "list", "ruleset"], check=True, capture_output=True, text=True).stdout


def build(program: Path, rules: str) -> str:
    subprocess.run([program, "-f", "-"], input=rules, check=True, text=True)
    return told(program)


async def test_each_chain_in_the_way_is_opened_and_left_as_it_was(openings: Openings, program: Path) -> None:
    before = build(program, WALL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    added = [line.strip() for line in told(program).splitlines() if 'comment "cablecar home"' in line]
    # As nft prints it since 1.1.
    added = [line.replace("& (fin | syn | rst | ack) != syn", "!= syn / fin,syn,rst,ack") for line in added]
    assert sorted(line.removesuffix(' accept comment "cablecar home"') for line in added) == [
        "ip daddr 203.0.113.7 ip protocol gre",
        "ip daddr 203.0.113.7 ip protocol gre",
        "ip daddr 203.0.113.7 tcp dport 1723",
        "ip saddr 203.0.113.7 ip protocol gre",
        "ip saddr 203.0.113.7 tcp sport 1723 tcp flags != syn / fin,syn,rst,ack",
    ]
    rules = await firewall.ruleset()
    assert opening.missing(rules, firewall.packets("eth0", str(SERVER), PPTP.passages[1:])) == []
    await openings.open("office", "eth0", IPv4Address("203.0.113.8"), L2TP.passages)
    assert openings.names == {"home", "office"}
    await openings.close("home")
    assert "203.0.113.7" not in told(program) and "udp sport 1701" in told(program)
    await openings.close("office")
    assert (told(program), openings.names) == (before, set())


async def test_who_comes_after_a_crash_closes(openings: Openings, program: Path, tmp_path: Path) -> None:
    before = build(program, WALL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    after = Openings(tmp_path / "openings", str(program))
    await after.open("home", "eth0", IPv4Address("203.0.113.8"), PPTP.passages)
    assert "203.0.113.7" not in told(program), "an earlier call's"
    for link in after.names:
        await after.close(link)
    assert told(program) == before


async def test_where_nothing_is_in_the_way_nothing_is_written(openings: Openings, program: Path) -> None:
    before = build(program, WALL.replace("drop", "accept"))
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    assert (told(program), openings.names) == (before, set())


async def test_a_firewall_that_was_emptied_meanwhile_needs_no_closing(openings: Openings, program: Path) -> None:
    build(program, WALL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    build(program, "flush ruleset")
    await openings.close("home")
    assert openings.names == set()


async def test_a_firewall_that_cannot_be_read_stays(
    openings: Openings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unreadable() -> Any:
        return json.loads("[]")

    monkeypatch.setattr(firewall, "ruleset", unreadable)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    assert "could not be opened" in caplog.text and openings.names == set()
