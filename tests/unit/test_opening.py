"""Where a firewall has to be opened, with which rules, and that they go again; nft itself judges."""

import asyncio
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from namespaces import AS_ROOT, unshare

from cablecar.helper import firewall, opening
from cablecar.helper.errors import Failed
from cablecar.helper.l2tp import L2TP
from cablecar.helper.nft import Change
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


@pytest_asyncio.fixture
async def openings(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Openings]:
    monkeypatch.setattr(firewall, "NFT", str(program))
    openings = Openings(tmp_path / "openings", str(program))
    yield openings
    openings._ear.listen(wanted=False)


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
    assert opening.missing(rules, firewall.packets("eth0", str(SERVER), PPTP.passages)) == []
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


async def test_what_could_not_be_closed_is_closed_by_the_next(
    openings: Openings, program: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = build(program, WALL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    works = program.read_text()
    program.write_text(works.replace("exec", 'case "$*" in *-f*) exit 1;; esac; exec'))
    with pytest.raises(Failed):
        await openings.close("home")
    assert openings.names == {"home"}
    await openings.close_all()  # the log has it, and it is no way to end a sweep
    assert openings.names == {"home"} and "could not be closed" in caplog.text
    program.write_text(works)
    await openings.close("home")
    assert (told(program), openings.names) == (before, set())


STATEFUL = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop
    ct state established,related accept
    ct state invalid drop
  }
}
"""


async def test_conntrack_knows_no_answer_of_gre_so_that_is_let_in_and_nothing_else(
    openings: Openings, program: Path
) -> None:
    build(program, STATEFUL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    added = [line.strip() for line in told(program).splitlines() if "cablecar" in line]
    assert added == ['ip saddr 203.0.113.7 ip protocol gre accept comment "cablecar home"']


async def test_what_others_take_away_while_a_call_is_up_is_put_back_once(openings: Openings, program: Path) -> None:
    before = build(program, WALL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    opened = told(program)
    theirs, ours = (Change(False, False, True, sender) for sender in (1, openings._children[-1]))
    openings._heard([ours])
    assert not await openings.renew(), "our own doing"
    openings._heard([theirs, theirs])
    openings._heard([theirs])
    assert not await openings.renew(), "nothing is missing"
    assert told(program) == opened
    build(program, "flush ruleset")
    build(program, WALL)
    assert not await openings.renew(), "nobody has told yet"
    openings._heard([theirs])
    assert await openings.renew()
    assert told(program) == opened
    build(program, "insert rule inet filter input drop")
    openings._heard([theirs])
    assert await openings.renew(), "one that stands before ours is in the way"
    await openings.close("home")
    assert told(program) == before.replace("policy drop;\n", "policy drop;\n\t\tdrop\n", 1)
    openings._heard([theirs])
    assert not await openings.renew() and not openings._ear.hears


async def test_what_was_enough_for_two_calls_is_put_back_for_the_one_that_goes_on(
    openings: Openings, program: Path
) -> None:
    build(program, WALL)
    await openings.begin(lambda: None)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    await openings.open("office", "eth0", SERVER, PPTP.passages)
    await openings.close("home")
    assert await openings.renew()
    assert 'comment "cablecar office"' in told(program)


async def test_a_burst_of_changes_is_told_once(openings: Openings) -> None:
    told: list[bool] = []
    await openings.begin(lambda: told.append(True))
    for _ in range(100):
        openings._heard([Change(False, False, True, 1)])
    await asyncio.sleep(opening.PAUSE + 0.2)
    assert told == [True]


async def test_a_call_that_was_taken_over_is_seen_to_without_being_closed(
    openings: Openings, program: Path, tmp_path: Path
) -> None:
    build(program, WALL)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    opened = told(program)
    after = Openings(tmp_path / "openings", str(program))
    after.expect("home", "eth0", SERVER, PPTP.passages)
    assert not await after.renew()
    assert told(program) == opened
    build(program, "flush ruleset")
    build(program, WALL)
    after.expect("home", "eth0", SERVER, PPTP.passages)
    assert await after.renew()
    assert told(program) == opened
    await after.close("home")
    await openings.close("home")


async def test_a_firewall_that_cannot_be_read_stays(
    openings: Openings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unreadable() -> Any:
        return json.loads("[]")

    monkeypatch.setattr(firewall, "ruleset", unreadable)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    assert "could not be opened" in caplog.text and openings.names == set()


async def test_nobody_waits_for_a_look_at_thousands_of_rules(
    openings: Openings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(opening, "missing", lambda rules, wanted: [] if answered.wait(5) else pytest.fail("they wait"))
    asyncio.get_running_loop().call_later(0.1, answered.set)
    await openings.open("home", "eth0", SERVER, PPTP.passages)
    assert answered.is_set()


async def test_who_hangs_up_in_the_middle_of_an_opening_finds_it_and_takes_it_back(
    openings: Openings, program: Path, tmp_path: Path
) -> None:
    build(program, WALL)
    before, begun, ended = told(program), tmp_path / "begun", tmp_path / "ended"
    head, command = program.read_text().splitlines()
    slow = f'case "$*" in *-f*) touch {begun}; sleep 0.3; {command.removeprefix("exec")}; touch {ended}; exit;; esac'
    program.write_text(f"{head}\n{slow}\n{command}\n")
    dialing = asyncio.ensure_future(openings.open("home", "eth0", SERVER, PPTP.passages))
    while not begun.exists():
        await asyncio.sleep(0.001)
    dialing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialing
    await openings.close("home")
    while not ended.exists():
        await asyncio.sleep(0.001)
    assert (told(program), openings.names) == (before, set())
