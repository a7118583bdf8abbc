"""The systemd units: systemd understands them, and their sandbox gets no worse."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELPER = ROOT / "dbus" / "cablecar-helper.service"
LINK = ROOT / "dbus" / "cablecar-link@.service"
L2TP = ROOT / "dbus" / "cablecar-l2tp@.service"
CALLS = ROOT / "dbus" / "cablecar-calls.target"
DISCOVER = ROOT / "dbus" / "cablecar-discover.service"
KILLED = ROOT / "dbus" / "cablecar-killed@.service"
LOOKUP = ROOT / "dbus" / "cablecar-lookup@.service"
PROBE = ROOT / "dbus" / "cablecar-probe@.service"
RESOLVER = ROOT / "dbus" / "cablecar-resolver.service"
STRICT = ROOT / "dbus" / "cablecar-strict.service"

# `systemd-analyze security`, in tenths. A ratchet: down only (promised: helper 16, link 30).
EXPOSURE = {HELPER: 14, LINK: 26, L2TP: 23, DISCOVER: 15, KILLED: 18, LOOKUP: 15, PROBE: 14, RESOLVER: 14, STRICT: 14}
# Programs that the packages depend on and that need not be on this host.
ELSEWHERE = ("/usr/sbin/pppd", "/usr/sbin/xl2tpd")


def complaints(folder: Path, *units: Path) -> list[str]:
    """Return what `systemd-analyze verify` says of units that lie together in `folder`."""
    for unit in units:
        shutil.copy(unit, folder)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(folder / unit.name) for unit in units)],
        check=False,
        capture_output=True,
        text=True,
    )
    return [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if "cablecar" in line and not any(f"Command {program} is not executable" in line for program in ELSEWHERE)
    ]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    assert not complaints(tmp_path, HELPER, LINK, L2TP, CALLS, DISCOVER, KILLED, LOOKUP, PROBE, RESOLVER, STRICT)


@pytest.mark.parametrize(
    ("section", "line"),
    [("Unit", "Wants=no-suffix"), ("Service", "ProtectSystm=strict"), ("Service", "ExecStartPre=/usr/bin/no-such")],
)
def test_a_mistake_in_a_unit_is_seen(tmp_path: Path, section: str, line: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    broken = source / LINK.name
    broken.write_text(LINK.read_text().replace(f"[{section}]\n", f"[{section}]\n{line}\n", 1))
    assert complaints(tmp_path, broken)


@pytest.mark.parametrize("unit", EXPOSURE, ids=lambda unit: unit.stem)
def test_the_sandbox_gets_no_worse(unit: Path) -> None:
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            f"--threshold={EXPOSURE[unit]}",
            str(unit),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1:] + done.stderr.splitlines()
