"""What must hold after every test, whatever it did: the oracle of the lab.

By the numbers of the invariants that the lab keeps to:

    I1   one way to the Internet: the cable while down, the tunnel while up     check_down, check_up
    I2   the way to the server is never through the tunnel                      check_down, check_up
    I3   files of others: bytes, modes, owners, attributes                      check_down, check_up
    I4   the password is in no log, command line, environment, readable file    check_log, check_command_lines, check_files
    I5   no orphan, no zombie                                                   check_down, check_up, check_helper
    I6   nothing of ours is left while down, nor of a link that was removed     check_down, check_removed
    I7   the helper answers within a second, is small, and dies by no fault     check_helper, check_log
    I8   no hostile string has been run                                         check_files
    I9   outside, only what is allowed                                          test_strict.py: who captures packets there
    I10  an error is one of the named ones, and tells nothing of our inside     check_public, check_log
    I11  what is stored can be read                                             check_files
    I12  who makes all right twice changes nothing                              check_quiet
"""

import contextlib
import hashlib
import json
import os
import re
import socket
import struct
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import footprint
import lab
from lines import Line

Facts = dict[str, tuple[object, ...]]

_READ_UNTIL = "/run/lab-oracle.cursor"
_PEER_FILE = Path("/etc/ppp/peers", lab.LINK)
_FOLDERS = ("/etc/cablecar", "/run/cablecar", "/var/lib/cablecar")
_WATCHED = ("/etc/ppp", "/etc/network", "/etc/hosts", "/etc/resolv.conf")
_STORED = ("/etc/cablecar/links/*.toml", "/run/cablecar/*.json", "/var/lib/cablecar/history/*.json")
_READABLE = ("/etc/cablecar", "/etc/ppp", "/run", "/tmp", "/var/lib/cablecar", "/var/log", "/var/tmp")
_PROVIDERS = "/run/isp"  # where the password is known anyway
_MOST = 1 << 20  # bytes of a file that is searched
_ANSWERS_WITHIN = 2.0  # seconds on an emulated processor, for one on a real one
_MEMORY = 120 << 10  # KiB
_DESCRIPTORS = 64
# systemd says this of a helper that nobody stopped; tests kill it by SIGKILL.
_DIED = re.compile(r"cablecar-helper\.service: Main process exited, (?!code=killed, status=9/KILL).*")
_CHANGES = 1 | 0x10 | 0x40 | 0x80  # linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE
_HEADER = struct.Struct("=IHHII")
_ROUTES, _RULES = (24, 25), (32, 33)  # RTM_NEWROUTE, RTM_DELROUTE; RTM_NEWRULE, RTM_DELRULE
_PROTOCOL = _HEADER.size + 5  # of a struct rtmsg, rtm_protocol
_QUIET = 0.4  # seconds in which a repair would have come


def foreign_files() -> Facts:
    """Mode, owner, attributes and digest of every file that others own and we live beside."""
    found: Facts = {}
    for root in map(Path, _WATCHED):
        for path in sorted([root, *root.rglob("*")] if root.is_dir() else [root]):
            # pppd itself rewrites resolv.conf in /etc/ppp for `usepeerdns`, and the distribution's hook reads it.
            if path.is_file() and path not in (_PEER_FILE, Path("/etc/ppp/resolv.conf")):
                facts, digest = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_gid, *sorted(os.listxattr(path)), digest)
    return found


def check_down(before: Facts) -> None:
    """Nothing of a call is left: no process, interface, route, rule of routing or of the firewall, no failed unit."""
    assert lab.call_processes() == []
    assert list(Path("/sys/class/net").glob("cablecar*")) == []
    *routing, to_host, to_server = lab.routing(lab.HOST, lab.SERVER)
    assert [line for line in routing if "proto 201" in line] == []
    assert " dev eth0 " in to_host
    assert " dev eth0 " in to_server
    assert "cablecar" not in lab.run("nft", "list", "ruleset").output
    assert foreign_files() == before
    assert "cablecar" not in lab.run("systemctl", "--failed", "--no-legend", "--plain").output
    check_helper()


def check_removed(before: Facts) -> None:
    """Nothing is left of the link, which was removed, but for the record of hooks that still run: they end it."""
    check_down(before)
    found = [path for folder in _FOLDERS for path in Path(folder).rglob(f"{lab.LINK}*") if path.suffix != ".hooks"]
    assert [path for path in (*found, _PEER_FILE) if path.exists()] == []


def check_up(line: Line, before: Facts, *servers: str) -> None:
    """One call is up and has what it needs."""
    assert len(lab.call_processes()) == line.processes
    tunnels = sorted(path.name for path in Path("/sys/class/net").glob("ppp*"))
    assert len(tunnels) == 1, tunnels
    *_, to_host = answers = lab.routing(*servers, lab.HOST)
    assert f" dev {tunnels[0]} " in to_host
    if line.pinned:
        for to_server in answers[-1 - len(servers) : -1]:
            assert " dev ppp" not in to_server
    assert foreign_files() == before
    check_helper()


def check_helper() -> None:
    """The helper is one process, without a child that nobody waits for; it answers, and is small."""
    (pid,) = footprint.processes("cablecar-helper.service")
    begin = time.monotonic()
    assert lab.version()
    assert time.monotonic() - begin < _ANSWERS_WITHIN
    assert footprint.descriptors(pid) < _DESCRIPTORS
    assert footprint.resident(pid) < _MEMORY
    assert footprint.zombies(pid) == []


def check_files(secret: str) -> None:
    """What is stored can be read by whoever comes next, and the secret by nobody else; no hostile string was run."""
    for pattern in _STORED:
        for path in Path("/").glob(pattern[1:]):
            (tomllib if path.suffix == ".toml" else json).loads(path.read_text())
    for root in _READABLE:
        for file in _readable(root):
            with contextlib.suppress(
                OSError
            ):  # a handle of the kernel's, such as /run/netns/isp: there is nothing in it
                assert secret.encode() not in file.read_bytes(), file
    assert list(Path("/tmp").glob("pwned*")) == []


def _readable(folder: str) -> Iterator[Path]:
    """Yield the files that everybody may read."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            facts = entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False) and facts.st_mode & 0o001 and entry.path != _PROVIDERS:
                yield from _readable(entry.path)
            elif entry.is_file(follow_symlinks=False) and facts.st_mode & 0o004 and facts.st_size < _MOST:
                yield Path(entry.path)


def check_log(secret: str) -> None:
    """No traceback, of whatever program, no secret and no death by a fault in the journal since this was asked last."""
    said = lab.run("journalctl", "--output=cat", "--no-pager", f"--cursor-file={_READ_UNTIL}").output
    assert "Traceback" not in said
    assert secret not in said
    assert _DIED.findall(said) == []


def check_command_lines(secret: str, processes: int) -> None:
    """No secret is on a command line or in an environment, of a call's own above all: call it while the link is up."""
    assert len(lab.call_processes()) == processes
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                assert secret.encode() not in (process / name).read_bytes(), process


def check_quiet() -> None:
    """Once all is right, a change that is none of ours makes the helper change nothing."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, _CHANGES))
        lab.run("sh", "-c", "ip address add 127.9.9.9/32 dev lo; ip address del 127.9.9.9/32 dev lo")
        end = time.monotonic() + _QUIET
        while (left := end - time.monotonic()) > 0:
            kernel.settimeout(left)
            with contextlib.suppress(TimeoutError):
                for kind, data in _messages(kernel.recv(65536)):
                    assert kind not in _RULES
                    assert kind not in _ROUTES or data[_PROTOCOL] != 201


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[:length]
        data = data[(length + 3) & ~3 :]


def check_public(answer: lab.Answer) -> None:
    """An error tells a sentence, and nothing of the program's inside."""
    assert not re.search(r"Traceback|File \"|line \d+|dbus_next|dubstepdish", answer.error), answer.error
