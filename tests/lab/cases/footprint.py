"""What processes take of the machine: memory, descriptors, threads, wake-ups; read from /proc."""

import re
from pathlib import Path

import lab


def pss(pid: int) -> int:
    """Resident memory in KiB; what processes share counts in part for each."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def wakeups(pid: int) -> int:
    """How often its threads have been put on a processor since they began: the sum of their context switches."""
    statuses = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(count) for text in statuses for count in re.findall(r"ctxt_switches:\s+(\d+)", text))


def processes(unit: str) -> list[int]:
    """The processes in the unit's cgroup; none when it does not run."""
    group = lab.run("systemctl", "show", "--value", "--property=ControlGroup", unit).output.strip()
    listed = Path(f"/sys/fs/cgroup{group}/cgroup.procs")
    return [int(line) for line in listed.read_text().split()] if group and listed.exists() else []


def call_units() -> list[str]:
    """The units of calls that systemd has in memory."""
    patterns = ("cablecar-link@*.service", "cablecar-l2tp@*.service")
    units = lab.run("systemctl", "list-units", "--all", "--plain", "--no-legend", *patterns).output
    return [line.split()[0] for line in units.splitlines()]
