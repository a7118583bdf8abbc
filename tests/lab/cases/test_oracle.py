"""The oracle can fail: for each invariant something that breaks it is planted, and found."""

import shutil
import socket
import subprocess
import syslog
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import lab
import oracle
import pytest
from lines import LINES

OPTIONS = Path("/etc/ppp/options")
LEFT = Path("/run/cablecar", f"{lab.LINK}.planted.json")
TOLD = Path("/tmp/planted")
RUN = Path("/run/pwned-0")
ORPHAN = Path("/tmp/pptpcm")  # by its name a process of a call
ROUTES = (f"{lab.HOST}/32 dev lo", f"{lab.SERVER}/32 dev lo")
FOUND = {
    "I1": f"{lab.HOST} dev lo",
    "I2": f"{lab.SERVER} dev lo",
    "I3": str(OPTIONS),
    "I4": f"it is in {TOLD}, it is in the journal, /cmdline: pptpcm, /environ: pptpcm",
    "I5": "processes of a call are left",
    "I6": str(LEFT),  # a route of ours the helper would take away at once
    "I7": "Main process exited, code=exited",
    "I8": str(RUN),
    "I10": "a traceback is in the journal",
    "I11": str(LEFT),
    "I12": "message 24",
}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each invariant is broken once, or in each of its ways."""
    with ExitStack() as undone:
        for text in ("Traceback", lab.PASSWORD, "cablecar-helper.service: Main process exited, code=exited, status=1"):
            syslog.syslog(text)
        mode = OPTIONS.stat().st_mode & 0o7777
        OPTIONS.chmod(mode ^ 0o010)
        undone.callback(OPTIONS.chmod, mode)
        for path, text in ((LEFT, "{"), (TOLD, lab.PASSWORD), (RUN, "")):
            path.write_text(text)
            path.chmod(0o644)
            undone.callback(path.unlink)
        shutil.copy("/bin/sleep", ORPHAN)
        undone.callback(ORPHAN.unlink)
        orphan = subprocess.Popen([lab.PASSWORD, "600"], executable=ORPHAN, env={"PASSWORD": lab.PASSWORD})
        undone.callback(orphan.wait)
        undone.callback(orphan.kill)
        lab.ip(*(f"route add {route}" for route in ROUTES))
        undone.callback(lab.ip, *(f"route del {route}" for route in ROUTES))
        ours = ("route add 192.0.2.253/32 dev lo proto 201", "route del 192.0.2.253/32 dev lo proto 201")
        monkeypatch.setattr(oracle, "_FOREIGN", ours)  # as if the helper had answered the change with one of its own
        yield


def test_what_breaks_an_invariant_is_found(request: pytest.FixtureRequest) -> None:
    before = oracle.foreign_files()
    assert oracle.judge(oracle.look(None, before)) == {}
    request.getfixturevalue("planted")
    assert lab.manager("AddLink", "sa{sv}", "../evil", "0", check=False).error  # a decent one
    found: dict[str, list[str]] = {}
    errors: list[tuple[str, str]] = []

    def is_found() -> bool:
        sight = oracle.look(None, before)
        errors.extend(sight.errors)
        for number, what in oracle.judge(sight).items():
            found.setdefault(number, []).extend(what)
        return found.keys() == FOUND.keys()

    lab.eventually(is_found, 10, "all are found")
    for number, words in FOUND.items():
        text = "\n".join(found[number])
        assert [word for word in words.split(", ") if word not in text] == [], text
    assert [name for name, _ in errors] == ["org.cablecar1.Error.InvalidName"]
    with pytest.raises(AssertionError, match="I8: /run/pwned-0"):
        oracle.check(None)


def test_what_breaks_an_invariant_of_a_call_is_found() -> None:
    """By what might be seen of one: nothing of it is done."""
    calm = oracle.look(None)
    good = replace(
        calm,
        line=LINES["pptp"],
        state="up",
        interfaces=["eth0", "lo", "ppp0"],
        ways=[f"{lab.HOST} dev ppp0 src 192.0.2.10 uid 0 ", f"{lab.SERVER} via 10.20.30.1 dev eth0 uid 0 "],
        calls=[1, 2, 3],
    )
    assert oracle.judge(good) == {}
    for number, sight in (
        ("I1", replace(good, ways=[good.ways[1].replace(lab.SERVER, lab.HOST), good.ways[1]])),
        ("I1", replace(good, interfaces=["eth0", "lo"])),
        ("I2", replace(good, ways=[good.ways[0], good.ways[0].replace(lab.HOST, lab.SERVER)])),
        ("I4", replace(good, errors=[("org.cablecar1.Error.Failed", lab.PASSWORD)])),
        ("I5", replace(good, calls=[1, 2])),
        ("I6", replace(good, failed=[f"cablecar-link@{lab.LINK}.service"])),
        ("I6", replace(calm, firewall='tcp dport 1723 accept comment "cablecar yosefcom"')),
        ("I6", replace(calm, routes=[f"{lab.SERVER} via 10.20.30.1 dev eth0 proto 201"])),
        ("I6", replace(calm, interfaces=["cablecar0.35", "eth0", "lo"])),
        ("I7", replace(good, helpers=[])),
        ("I7", replace(good, answered=3.0)),
        ("I10", replace(good, errors=[("com.dubstepdish.dbus.next.ServiceError", "sorry")])),
        ("I10", replace(good, errors=[("org.cablecar1.Error.Unheard", "sorry")])),
        ("I10", replace(good, errors=[("org.cablecar1.Error.Failed", 'File "/usr/lib/x.py", line 3, in f')])),
    ):
        assert oracle.judge(sight).keys() == {number}, sight


def test_what_leaves_by_the_cable_is_found() -> None:
    with oracle.outside("udp port 9") as seen, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as leak:
        leak.sendto(b"leak", (lab.HOST, 9))
    assert len(seen) == 1, seen
    assert lab.HOST in seen[0]
