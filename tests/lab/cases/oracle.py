"""What must hold after every test, whatever it did: the oracle of the lab."""

import contextlib
import hashlib
import re
from pathlib import Path

import lab

_READ_UNTIL = "/run/lab-oracle.cursor"
_WATCHED = ("/etc/ppp", "/etc/network", "/etc/hosts", "/etc/resolv.conf")


def foreign_files() -> dict[str, tuple[int, str]]:
    """Mode and digest of every file that others own and we live beside."""
    found = {}
    for root in map(Path, _WATCHED):
        for path in sorted([root, *root.rglob("*")] if root.is_dir() else [root]):
            # pppd itself rewrites resolv.conf in /etc/ppp for `usepeerdns`, and the distribution's hook reads it.
            if path.is_file() and path != Path("/etc/ppp/resolv.conf"):
                found[str(path)] = (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def check_down(before: dict[str, tuple[int, str]]) -> None:
    """Nothing of ours is left: no process, no route, no rule of routing or of the firewall, no file, no failed unit."""
    assert lab.call_processes() == []
    *routing, to_host, to_server = lab.routing(lab.HOST, lab.SERVER)
    assert [line for line in routing if "proto 201" in line] == []
    assert " dev eth0 " in to_host
    assert " dev eth0 " in to_server
    assert "cablecar" not in lab.run("nft", "list", "ruleset").output
    assert foreign_files() == before
    assert "cablecar" not in lab.run("systemctl", "--failed", "--no-legend", "--plain").output
    assert list(Path("/tmp").glob("pwned*")) == []


def check_log(secret: str) -> None:
    """No traceback, of whatever program, and no secret in the journal since this was asked last."""
    said = lab.run("journalctl", "--output=cat", "--no-pager", f"--cursor-file={_READ_UNTIL}").output
    assert "Traceback" not in said
    assert secret not in said


def check_command_lines(secret: str, processes: int) -> None:
    """No secret is on a command line or in an environment, of a call's own above all: call it while the link is up."""
    assert len(lab.call_processes()) == processes
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                assert secret.encode() not in (process / name).read_bytes(), process


def check_public(answer: lab.Answer) -> None:
    """An error tells a sentence, and nothing of the program's inside."""
    assert not re.search(r"Traceback|File \"|line \d+|dbus_next|dubstepdish", answer.error), answer.error
