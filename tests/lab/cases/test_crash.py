"""The helper is killed with SIGKILL at random moments, and connects and disconnects for long without growing.

A few of each here; `make soak` sets LAB_KILLS, of each line, and LAB_CYCLES to many. LAB_SEED repeats the moments of a
run, as far as the machine repeats itself.
"""

import itertools
import os
import random
import re
import select
import signal
import statistics
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import footprint
import lab
import lines
import pytest
from lines import Line

pytestmark = pytest.mark.whole  # test_drops.py kills the helper once by each protocol, in every run

KILLS = int(os.environ.get("LAB_KILLS", "5"))
CYCLES = int(os.environ.get("LAB_CYCLES", "10"))
SEED = int(os.environ.get("LAB_SEED", random.randrange(1_000_000)))
RIGHT_WITHIN = 30.0  # seconds from the kill to a right answer, on an emulated processor; the figures are printed
SETTLED_WITHIN = 30.0  # seconds from that answer until the link is up or down, as it is wanted
CLEAN_WITHIN = 5.0  # seconds from then until nothing is there that should not be
LOST_PINGS = 10  # of one every 0.1 s: a second of traffic
WARM_UP = 3  # cycles, at least, in which it loads what it needs and starts its threads
GROWTH = 2048  # KiB of memory of its own that the helper may grow by in a test

WISH = Path("/var/lib/cablecar/wishes", lab.LINK)
HOOKS = Path("/run/cablecar", f"{lab.LINK}.hooks")
OURS = ("/etc/cablecar", "/etc/ppp", "/run/cablecar", "/var/lib/cablecar")
CALL = ("busctl", "--timeout=60", "call", "org.cablecar1", lab.PATH, "org.cablecar1.Link")
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1")


@dataclass(frozen=True)
class Stage:
    """Where a kill belongs: what is asked of the link before it, and over how long after that it may fall."""

    name: str
    up_before: bool
    asked: str
    seconds: float


@dataclass(frozen=True)
class Death:
    """When the helper died, the last state that it told, and whether the link was wanted then."""

    time: float
    state: str
    wanted: bool


@dataclass(frozen=True)
class Residue:
    """What a link leaves on the machine while it is up, or down; the same whatever happened before."""

    routes: list[str]
    files: list[str]
    processes: int
    units: list[str]

    @classmethod
    def look(cls) -> "Residue":
        # The provider gives another address to each call.
        routes = [re.sub(r"\b192\.0\.2\.\d+", "ADDRESS", line) for line in lab.our_routes_and_rules()]
        files = sorted(str(path) for root in OURS for path in Path(root).rglob("*"))
        return cls(routes, files, len(lab.call_processes()), footprint.call_units())


class Watch:
    """What is heard on the bus: the helper's states, its comings and goings, and what it is asked."""

    def __init__(self, monitor: lab.Monitor) -> None:
        self._messages = monitor.messages
        self._state = ""

    def begin(self, state: str) -> None:
        """Forget what was heard until now; the state is this."""
        while not self._messages.empty():
            self._messages.get()
        self._state = state

    def wait_for(self, event: str) -> str:
        """Wait until the helper is "gone" from the bus, "there" on it, or asked for the method named; return the last
        state that was told before."""
        while self._hear(self._messages.get(timeout=SETTLED_WITHIN)) != event:
            pass
        return self._state

    def _hear(self, message: dict[str, Any]) -> str:
        body = message["payload"]["data"]
        if message["member"] == "PropertiesChanged":
            self._state = body[1].get("State", {"data": self._state})["data"]
        elif message["member"] == "NameOwnerChanged":
            return "there" if body[2] else "gone"
        return str(message["member"])


RULES = (
    "type='signal',sender='org.cablecar1',member='PropertiesChanged',arg0='org.cablecar1.Link'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.cablecar1'",
    "type='method_call',destination='org.cablecar1',interface='org.cablecar1.Link'",
)


@lines.every
def test_the_helper_is_killed_at_any_moment(configured: None, line: Line) -> None:
    print(f"{KILLS} kills, LAB_SEED={SEED}", flush=True)
    chance = random.Random(SEED)
    stages, normal = rehearse()
    seconds: dict[str, list[float]] = defaultdict(list)
    with lab.Monitor(*RULES, ping=SYSTEMD) as monitor:
        watch = Watch(monitor)
        for number in range(KILLS):
            stage = stages[number % len(stages)]
            name, right, settled = round_of(line, stage, chance.uniform(0, stage.seconds), watch, normal)
            seconds[name].append(right)
            print(f"{number + 1:3} {stage.name:8} killed while {name:8} right after {right:.2f} s, "
                  f"settled after {settled:.2f} s", flush=True)  # fmt: skip
    for name, values in sorted(seconds.items()):
        median = statistics.median(values)
        print(f"killed while {name:8} {len(values):3} times: right after {median:.2f} s, at most {max(values):.2f} s")
    assert max(max(values) for values in seconds.values()) <= RIGHT_WITHIN


def rehearse() -> tuple[list[Stage], dict[bool, Residue]]:
    """Return how long each stage takes here, and what is normal while down (False) and up (True)."""
    lab.link("Connect")
    lab.link("Disconnect")  # from now on there are the files that a first call makes
    normal = {False: Residue.look()}
    begin = time.monotonic()
    lab.link("Connect")
    connecting = time.monotonic() - begin
    lab.eventually(HOOKS.exists, SETTLED_WITHIN, "the record of ip-up, which nobody waits for")
    normal[True] = Residue.look()
    begin = time.monotonic()
    lab.link("Disconnect")
    stopping = time.monotonic() - begin
    stages = [
        Stage("idle", up_before=False, asked="", seconds=0.5),
        Stage("dialing", up_before=False, asked="Connect", seconds=connecting),
        Stage("up", up_before=True, asked="", seconds=0.5),
        Stage("stopping", up_before=True, asked="Disconnect", seconds=stopping),
        Stage("anew", up_before=True, asked="Reconnect", seconds=stopping + connecting),
    ]
    return stages, normal


def round_of(
    line: Line, stage: Stage, moment: float, watch: Watch, normal: dict[bool, Residue]
) -> tuple[str, float, float]:
    """Kill the helper once; return in which state, and the seconds until its answer was right and the link settled."""
    lab.link("Connect" if stage.up_before else "Disconnect")
    lab.run("systemctl", "reset-failed", "cablecar-helper.service")  # so that systemd does not count the kills
    watch.begin("up" if stage.up_before else "down")
    with Pings() as pings:
        death = kill(stage, moment, watch)
        # Nobody calls the helper until it is back: a call would start it sooner than systemd does by itself.
        watch.wait_for("there")
        lab.eventually(lambda: agrees(lab.prop("State"), death), SETTLED_WITHIN, f"right after {death}")
        right = time.monotonic() - death.time
        check_settled(line, death, normal)
        settled = time.monotonic() - death.time
    kept = stage.up_before and death.wanted and stage.asked != "Reconnect"
    assert not kept or pings.lost <= LOST_PINGS, f"{pings.lost} pings in a row were lost"
    return death.state, right, settled


def kill(stage: Stage, moment: float, watch: Watch) -> Death:
    """Ask what the stage asks, and kill the helper so many seconds later."""
    victim = os.pidfd_open(lab.helper_pid())
    client = subprocess.Popen([*CALL, stage.asked], stderr=subprocess.DEVNULL) if stage.asked else None
    if client is not None:
        watch.wait_for(stage.asked)  # sent after the kill, it would be a question to the next helper
    time.sleep(moment)
    begin = time.monotonic()
    signal.pidfd_send_signal(victim, signal.SIGKILL)
    select.select([victim], [], [])
    wanted = WISH.exists()
    os.close(victim)
    state = watch.wait_for("gone")
    if client is None:
        assert wanted == stage.up_before
    else:
        client.wait(timeout=5)  # it has its answer, or is told that there will be none
    if state in ("dialing", "stopping"):
        assert wanted == (state == "dialing" or stage.asked == "Reconnect"), (
            f"killed while {state}: the wish is to outlive the helper"
        )
    return Death(begin, state, wanted)


def check_settled(line: Line, death: Death, normal: dict[bool, Residue]) -> None:
    """The link comes up or goes down, as it is wanted, and nothing is left but what belongs to that."""
    state, *ways = ("up", "ppp0", line.way_to_server) if death.wanted else ("down", "eth0", "eth0")
    lab.eventually(lambda: lab.prop("State") == state, SETTLED_WITHIN, f"{state} after {death}")
    end = time.monotonic() + CLEAN_WITHIN
    while (residue := Residue.look()) != normal[death.wanted] and time.monotonic() < end:
        time.sleep(0.1)
    assert residue == normal[death.wanted]
    assert len(footprint.processes("cablecar-helper.service")) == 1
    assert [lab.device_to(lab.HOST), lab.device_to(lab.SERVER)] == ways


def agrees(answer: str, death: Death) -> bool:
    """Whether the state that the next helper answers is what it must be."""
    if not death.wanted:
        return answer in ("down", "stopping")
    return answer == "up" or (answer == "dialing" and death.state != "up")


class Pings:
    """A ping every tenth of a second through the tunnel, meanwhile.

    Attributes:
        lost: How many in a row were lost, at most; known afterwards.
    """

    lost: int

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["ping", "-n", "-i", "0.1", lab.HOST], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=10)
        answered = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", output)]
        sent = re.search(r"(\d+) packets transmitted", output)
        assert sent
        self.lost = max(later - earlier - 1 for earlier, later in itertools.pairwise([0, *answered, int(sent[1])]))


def test_many_calls_leave_the_helper_as_it_was(configured: None) -> None:
    helper = lab.helper_pid()
    for number in range(1, max(WARM_UP, CYCLES // 10) + 1):
        cycle()
        say(helper, -number)
    before, begin = footprint.own(helper), usage(helper)
    for number in range(1, CYCLES + 1):
        cycle()
        say(helper, number)
    after = footprint.own(helper)
    print(f"{CYCLES} cycles: memory from {before} to {after} KiB; {begin}")
    assert lab.helper_pid() == helper
    assert usage(helper) == begin
    assert after - before < GROWTH


def say(helper: int, number: int) -> None:
    """Tell now and then that we are alive; those before the count have negative numbers."""
    if number % 10 == 0:
        print(f"{number:4} cycles: {footprint.own(helper)} KiB", flush=True)


def cycle() -> None:
    lab.link("Connect")
    lab.link("Disconnect")


def usage(helper: int) -> dict[str, object]:
    """What a cycle must leave as it was."""
    return {
        "descriptors": footprint.descriptors(helper),
        "threads": footprint.threads(helper),
        "processes": len(footprint.processes("cablecar-helper.service")) + len(lab.call_processes()),
        "units": footprint.call_units(),
        "routes": len(lab.run("ip", "route", "show", "table", "all").output.splitlines()),
        "rules": len(lab.run("ip", "rule").output.splitlines()),
    }
