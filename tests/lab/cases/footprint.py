"""What processes take of the machine: memory, descriptors, threads, wake-ups; read from /proc."""

import re
from pathlib import Path

import lab


def pss(pid: int) -> int:
    """Resident memory in KiB; what processes share counts in part for each."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def resident(pid: int) -> int:
    """Resident memory in KiB, with all that is shared."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def own(pid: int) -> int:
    """Memory in KiB that is the process's alone, on whatever terms others run the same program meanwhile."""
    found = re.search(r"^Private_Dirty: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def zombies(pid: int) -> list[int]:
    """The children of a process that have ended and that it has not asked how."""
    lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for children in lists for child in children if _has_ended(int(child))]


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


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
    root = Path("/sys/fs/cgroup/system.slice")  # units of a template have a slice of their own in it
    listed = [*root.glob(f"{unit}/cgroup.procs"), *root.glob(f"*/{unit}/cgroup.procs")]
    return [int(line) for path in listed for line in path.read_text().split()]


def call_units() -> list[str]:
    """The units of calls that systemd has in memory."""
    patterns = ("cablecar-link@*.service", "cablecar-l2tp@*.service")
    units = lab.run("systemctl", "list-units", "--all", "--plain", "--no-legend", *patterns).output
    return [line.split()[0] for line in units.splitlines()]
