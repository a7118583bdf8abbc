"""The scripts around a call: which run, in which order, how often; and what is said of those that do not."""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cablecar.helper import hooks, pppd, pppfiles, reasons, remains
from cablecar.helper.hooks import Hooks
from cablecar.helper.resolver import Resolver

ROOT = Path(__file__).parents[2]
HOOK = ROOT / "dbus" / "ip-hook"
LINK = "yosefcom"


class Stage:
    """A tree like /etc/ppp and /run/cablecar, and a call."""

    def __init__(self, folder: Path) -> None:
        self.ppp = folder / "ppp"
        self.state = folder / "run"
        self.said = folder / "said"
        self.record = self.state / f"{LINK}.hooks"
        self.log = self.state / f"{LINK}.log"
        self.state.mkdir()
        for way in ("up", "down"):
            (self.ppp / f"ip-{way}.d" / LINK).mkdir(parents=True)
        self.log.touch()
        self.calls: list[subprocess.Popen[bytes]] = []
        self._program = shutil.copy("/bin/sleep", folder / "pppd")
        self._folder = folder

    def script(self, way: str, name: str = "", body: str = "", mode: int = 0o755) -> Path:
        """Make a script, without a name the distribution's, that says `way name` and does `body`."""
        path = self.ppp / f"ip-{way}.d" / LINK / name if name else self.ppp / f"ip-{way}"
        path.write_text(f"#!/bin/sh\necho {way} {name} >>{self.said}\n{body}\n")
        path.chmod(mode)
        return path

    def hooks(self, limit: float = 20.0) -> Hooks:
        return Hooks(LINK, str(self.ppp), str(self.state), str(self._folder), limit)

    def call(self, **more: str) -> dict[str, str]:
        """Begin a call; return its pppd's variables."""
        self.calls.append(subprocess.Popen([self._program, "100"]))
        name = Path(f"/proc/{self.calls[-1].pid}/comm")
        while name.read_text() != "pppd\n":
            pass  # Popen returns a moment before the kernel gives it its new name
        return {"LINKNAME": LINK, "IFNAME": "ppp0", "PPPD_PID": str(self.calls[-1].pid), **more}

    def end_call(self) -> None:
        self.calls[-1].kill()
        self.calls[-1].wait()

    def run(self) -> list[str]:
        """Return which scripts have run."""
        return self.said.read_text().splitlines() if self.said.exists() else []

    def told(self) -> str:
        return self.log.read_text()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    os.umask(0o022)
    made = Stage(tmp_path)
    yield made
    for call in made.calls:
        call.kill()
        call.wait()


# What runs.


def test_the_distributions_script_runs_first_and_the_links_own_follow_in_order(stage: Stage) -> None:
    for way in ("up", "down"):
        for name in ("20-b", "", "10-a", "20-b.sh"):
            stage.script(way, name)
    (stage.ppp / "ip-up.d" / "other").mkdir()
    shutil.copy(stage.script("up", "10-a"), stage.ppp / "ip-up.d" / "other" / "10-other")
    variables = stage.call()
    stage.hooks().up(variables)
    assert stage.run() == ["up", "up 10-a", "up 20-b", "up 20-b.sh"]
    stage.hooks().down(variables)
    assert stage.run()[4:] == ["down", "down 10-a", "down 20-b", "down 20-b.sh"]
    assert not stage.record.exists()


def test_a_script_gets_pppds_variables_and_arguments_and_nothing_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    stage.script("up", "10-look", f'env >{stage.said}.env; printf "<%s>" "$@" >{stage.said}.arguments; umask; pwd')
    stage.hooks().up(stage.call(IPLOCAL="192.0.2.10", IPREMOTE="192.0.2.1", SPEED="38400", DNS1="198.51.100.53"))
    seen = dict(line.split("=", 1) for line in Path(f"{stage.said}.env").read_text().splitlines())
    assert {name: seen[name] for name in ("IFNAME", "IPLOCAL", "DNS1", "PPP_IFACE", "PPP_IPPARAM", "PATH")} == {
        "IFNAME": "ppp0", "IPLOCAL": "192.0.2.10", "DNS1": "198.51.100.53", "PPP_IFACE": "ppp0", "PPP_IPPARAM": LINK,
        "PATH": hooks.PATH,
    }  # fmt: skip
    assert "PYTHONPATH" not in seen
    assert Path(f"{stage.said}.arguments").read_text() == "<ppp0><><38400><192.0.2.10><192.0.2.1><yosefcom>"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IPLOCAL", "192.0.2.1; reboot"), ("IPLOCAL", "192.0.2.256"), ("DNS1", "192.0.2.1\n"), ("DNS1", ""),
        ("IFNAME", "../ppp0"), ("IFNAME", "-c"), ("PPPD_PID", "1/../2"), ("PPPD_PID", "-1"), ("SPEED", "9" * 21),
        ("LINKNAME", "../x"), ("LINKNAME", "x\n"), ("DEVICE", "/etc/passwd"), ("PPPLOGNAME", "-x"),
        ("PEERNAME", "anything"), ("PATH", "/tmp"), ("LD_PRELOAD", "/tmp/x.so"), ("BYTES_SENT", "\u0661"),
    ],
)  # fmt: skip
def test_a_value_outside_of_its_grammar_is_absent(name: str, value: str) -> None:
    assert hooks.accepted({name: value}) == {}


def test_a_value_within_its_grammar_is_handed_on() -> None:
    variables = {"IPLOCAL": "192.0.2.10", "DNS1": "255.255.255.255", "IFNAME": "ppp12", "PPPD_PID": "4711",
                 "LINKNAME": LINK, "DEVICE": "/dev/pts/3", "PPPLOGNAME": "root", "USEPEERDNS": "1"}  # fmt: skip
    assert hooks.accepted(variables) == variables


def test_the_scripts_get_the_links_servers_where_resolvconf_owns_the_file(stage: Stage) -> None:
    resolvconf = stage.script("up", "resolvconf")
    (stage.state / f"{LINK}.dns").write_text("192.0.2.53 192.0.2.54\n")
    (stage.state / "resolv.conf").write_text("nameserver 10.20.30.1\n")
    resolver = Resolver(print, stage.state / "resolv.conf", stage.state, stage.state, resolvconf)
    hooks = Hooks(LINK, str(stage.ppp), str(stage.state), str(stage.state.parent), 20.0, resolver)
    for way in ("up", "down"):
        stage.script(way, "", f'echo "$USEPEERDNS $DNS1 $DNS2" >>{stage.said}')
    variables = stage.call(DNS1="127.0.0.1", DNS2="198.51.100.53", USEPEERDNS="1")
    hooks.up(variables)
    hooks.down(variables)
    assert [line for line in stage.run() if " 192" in line] == ["1 192.0.2.53 192.0.2.54"] * 2
    assert (stage.state / "resolv.conf").read_text() == "nameserver 10.20.30.1\n"


# What does not run, and is named.


def bad(name: str) -> Callable[[Stage], None]:
    """Return what puts a script into the stage that must not run."""

    def make(stage: Stage) -> None:
        folder = stage.ppp / "ip-up.d" / LINK
        path = stage.script("up", "10-bad")
        match name:
            case "group-writable":
                path.chmod(0o775)
            case "world-writable":
                path.chmod(0o757)
            case "not executable":
                path.chmod(0o644)
            case "dangling":
                path.unlink()
                path.symlink_to(stage.ppp / "nowhere")
            case "loop":
                path.unlink()
                path.symlink_to(path)
            case "folder":
                path.unlink()
                path.mkdir()
            case "fifo":
                path.unlink()
                os.mkfifo(path, 0o755)
            case "writable target":
                path.rename(stage.ppp / "target")
                (stage.ppp / "target").chmod(0o777)
                path.symlink_to("../../target")
            case "target in a writable folder":
                (stage.ppp / "open").mkdir()
                (stage.ppp / "open").chmod(0o777)
                path.rename(stage.ppp / "open" / "target")
                path.symlink_to("../../open/target")
            case "way through a writable folder":
                path.rename(stage.ppp / "target")
                (stage.ppp / "open").mkdir()
                (stage.ppp / "open").chmod(0o777)
                (stage.ppp / "open" / "hop").symlink_to("../target")
                path.symlink_to("../../open/hop")
            case "writable folder":
                folder.chmod(0o775)
            case "writable folder above":
                stage.ppp.chmod(0o777)
            case "no interpreter":
                path.write_text("#!/no/such/program\n")
            case "no first line":
                path.write_text("echo hello\n")
            case _:
                path.rename(folder / name)

    return make


BAD = {
    "group-writable": "is not run: others than root may write to",
    "world-writable": "is not run: others than root may write to",
    "not executable": "is not run: it is not executable",
    "dangling": "is not run: .*nowhere: No such file",
    "loop": "is not run: .*too many symbolic links",
    "folder": "is not run: it is no file",
    "fifo": "is not run: it is no file",
    "writable target": "is not run: others than root may write to .*/target",
    "target in a writable folder": "is not run: others than root may write to .*/open ",
    "way through a writable folder": "is not run: others than root may write to .*/open ",
    "writable folder": f"nothing in .*/{LINK} is run: others than root may write to",
    "writable folder above": f"nothing in .*/{LINK} is run: others than root may write to .*/ppp ",
    "no interpreter": "cannot be run: No such file",
    "no first line": "cannot be run: Exec format error",
    "10-saved~": "is not run: by its name",
    ".10-hidden": "is not run: by its name",
    "10-old.dpkg-dist": "is not run: by its name",
    "#10-edited#": "is not run: by its name",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_must_not_run_does_not_and_is_named(stage: Stage, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    bad(kind)(stage)
    stage.script("up", "90-good")
    stage.hooks().up(stage.call())
    assert stage.run() == ([] if "nothing in" in BAD[kind] else ["up 90-good"])
    assert re.search(f"^hook: .*{BAD[kind]}", stage.told(), re.MULTILINE), stage.told()
    assert re.search(f"^<4>link {LINK}: .*{BAD[kind]}", capfd.readouterr().err, re.MULTILINE)


def test_another_users_file_is_not_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.script("up", "10-bad")
    lstat = os.lstat

    def somebody_elses(path: str) -> os.stat_result:
        facts = lstat(path)
        return os.stat_result([*facts[:4], os.geteuid() + 1, *facts[5:]]) if path.endswith("10-bad") else facts

    monkeypatch.setattr(os, "lstat", somebody_elses)
    stage.hooks().up(stage.call())
    assert stage.run() == []
    assert "10-bad does not belong to root" in stage.told()


def test_a_symbolic_link_to_a_safe_program_runs(stage: Stage) -> None:
    script = stage.script("up", "10-linked")
    script.rename(stage.ppp / "target")
    script.symlink_to("../.././target")
    stage.hooks().up(stage.call())
    assert stage.run() == ["up 10-linked"]


def test_the_distributions_script_is_looked_at_too(stage: Stage) -> None:
    stage.script("up").chmod(0o775)
    stage.script("up", "10-own")
    stage.hooks().up(stage.call())
    assert stage.run() == ["up 10-own"]
    assert "/ip-up is not run: others than root may write to" in stage.told()


def test_no_folder_and_no_script_is_nothing_to_tell(stage: Stage) -> None:
    shutil.rmtree(stage.ppp)
    variables = stage.call()
    stage.hooks().up(variables)
    stage.hooks().down(variables)
    assert stage.told() == ""


# How a script ends.


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("exit 255", "failed: exit status 255"),
        ("kill -9 $$", "failed: signal 9 ended it"),
        ("true", "ran"),
    ],
)
def test_how_a_script_ended_is_told(stage: Stage, body: str, told: str) -> None:
    stage.script("up", "10-ends", body)
    stage.script("up", "20-next")
    stage.hooks().up(stage.call())
    assert f"10-ends {told}" in stage.told()
    assert stage.run() == ["up 10-ends", "up 20-next"]


def test_a_script_has_nothing_to_read(stage: Stage) -> None:
    stage.script("up", "10-asks", "read answer || exit 3")
    ours, (answers, answering) = os.dup(0), os.pipe()
    os.write(answering, b"yes\n")
    os.dup2(answers, 0)
    try:
        stage.hooks().up(stage.call())
    finally:
        for descriptor in (answers, answering):
            os.close(descriptor)
        os.dup2(ours, 0)
        os.close(ours)
    assert "10-asks failed: exit status 3" in stage.told()


def test_a_script_that_takes_too_long_is_killed_with_its_children(stage: Stage) -> None:
    stage.script("up", "10-long", f"sleep 99 & echo $! >{stage.said}.child; wait")
    stage.script("up", "20-next")
    stage.hooks(limit=1.0).up(stage.call())
    assert "10-long was killed: it took longer than 1 s" in stage.told()
    assert stage.run() == ["up 10-long", "up 20-next"]
    with contextlib.suppress(ProcessLookupError):  # it is gone
        child = os.pidfd_open(int(Path(f"{stage.said}.child").read_text()))
        assert select.select([child], [], [], 10)[0], "the child goes on"
        os.close(child)


def test_a_name_with_control_characters_forges_no_line(stage: Stage) -> None:
    stage.script("up", "10-a\nhook: forged").chmod(0o644)
    stage.hooks().up(stage.call())
    assert len(stage.told().splitlines()) == 1


def test_a_log_that_is_no_plain_file_is_not_written_to(stage: Stage, tmp_path: Path) -> None:
    stage.script("up", "10-ends")
    stage.log.unlink()
    stage.log.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").touch()
    stage.hooks().up(stage.call())
    assert (tmp_path / "elsewhere").read_text() == ""
    stage.log.unlink()
    stage.hooks().up(stage.call())
    assert not stage.log.exists()


def test_what_is_told_never_passes_for_a_cause(stage: Stage) -> None:
    for name, body in (("10-fails", "exit 1"), ("20-dies", "kill $$"), ("30-ends", ""), ("40-long", "sleep 9")):
        stage.script("up", name, body)
    stage.script("up", "50-bad", mode=0o775)
    stage.script("up", "60-bad", mode=0o644)
    stage.script("up", "70-bad").write_text("#!/no/such/program\n")
    (stage.ppp / "ip-up.d" / LINK / "80-bad").symlink_to("nowhere")
    (stage.ppp / "ip-up.d" / LINK / "90-bad~").touch()
    stage.hooks(limit=1.0).up(stage.call())
    lines = stage.told().splitlines()
    assert len(lines) == 9
    assert pppd.classify(lines, None) is reasons.FAILED
    facts = pppd.Facts()
    for line in lines:
        facts.read(line)
    assert facts == pppd.Facts()


# Calls that end in other ways.


def test_a_call_that_is_over_already_is_not_taken_up(stage: Stage) -> None:
    stage.script("up", "10-a")
    variables = stage.call()
    stage.end_call()
    stage.hooks().up(variables)
    assert stage.run() == []
    assert not stage.record.exists()


def test_without_pppds_word_only_a_dead_call_is_taken_down(stage: Stage) -> None:
    stage.script("down", "10-a", f'echo "$IPLOCAL" >>{stage.said}')
    stage.hooks().up(stage.call(IPLOCAL="192.0.2.10"))
    stage.hooks().down({"LINKNAME": LINK})
    assert stage.run() == []
    stage.end_call()
    stage.hooks().down({"LINKNAME": LINK})
    assert stage.run() == ["down 10-a", "192.0.2.10"]
    stage.hooks().down({"LINKNAME": LINK})
    assert stage.run() == ["down 10-a", "192.0.2.10"]
    assert not stage.record.exists()


def test_the_next_call_takes_down_first_what_the_last_one_left(stage: Stage) -> None:
    stage.script("up", "10-a", f'echo "$IPLOCAL" >>{stage.said}')
    stage.script("down", "10-a", f'echo "$IPLOCAL" >>{stage.said}')
    stage.hooks().up(stage.call(IPLOCAL="192.0.2.10"))
    stage.end_call()
    stage.hooks().up(stage.call(IPLOCAL="192.0.2.11"))
    assert stage.run() == ["up 10-a", "192.0.2.10", "down 10-a", "192.0.2.10", "up 10-a", "192.0.2.11"]


def test_what_pppd_has_forgotten_at_the_end_is_as_it_was_at_the_beginning(stage: Stage) -> None:
    stage.script("down", "10-a", f'echo "$IFNAME $PPP_IFACE $1 $IPLOCAL $CONNECT_TIME" >>{stage.said}')
    variables = stage.call(IPLOCAL="192.0.2.10")
    stage.hooks().up(variables)
    stage.hooks().down({"LINKNAME": LINK, "PPPD_PID": variables["PPPD_PID"], "CONNECT_TIME": "7"})
    assert stage.run() == ["down 10-a", "ppp0 ppp0 ppp0 192.0.2.10 7"]


def test_the_late_end_of_a_call_does_not_touch_the_next_one(stage: Stage) -> None:
    for way in ("up", "down"):
        stage.script(way, "10-a", f'echo "$PPPD_PID" >>{stage.said}')
    first = stage.call()
    stage.hooks().up(first)
    stage.end_call()
    second = stage.call()
    stage.hooks().up(second)
    stage.hooks().down(first)
    pids = [line for line in stage.run() if line.isdigit()]
    assert pids == [first["PPPD_PID"], first["PPPD_PID"], second["PPPD_PID"]]
    assert stage.record.exists()


def test_down_goes_on_where_a_kill_stopped_it(stage: Stage) -> None:
    for name in ("", "10-a", "20-b"):
        stage.script("down", name)
    stage.hooks().up(stage.call())
    record = json.loads(stage.record.read_text())
    record[1] = [str(stage.ppp / "ip-down"), str(stage.ppp / "ip-down.d" / LINK / "10-a")]
    stage.record.write_text(json.dumps(record))
    stage.end_call()
    stage.hooks().down({"LINKNAME": LINK})
    assert stage.run() == ["down 20-b"]


def test_a_script_is_noted_before_it_goes_down(stage: Stage) -> None:
    stage.script("down", "10-a", f"cp {stage.record} {stage.said}.record")
    variables = stage.call()
    stage.hooks().up(variables)
    stage.hooks().down(variables)
    assert json.loads(Path(f"{stage.said}.record").read_text())[1] == [str(stage.ppp / "ip-down.d" / LINK / "10-a")]


@pytest.mark.parametrize("damage", ["[", "{}", "[1, 2]", '[{"PPPD_PID": 3}, null]', "null", '"x"', "\xff"])
def test_a_damaged_record_is_told_and_dropped(stage: Stage, damage: str) -> None:
    stage.script("down", "10-a")
    stage.record.write_text(damage, encoding="latin-1")
    stage.hooks().down({"LINKNAME": LINK})
    assert stage.run() == []
    assert "the record is damaged" in stage.told()
    assert not stage.record.exists()


def test_scripts_of_one_link_never_overlap(stage: Stage) -> None:
    stage.script("up", "10-slow", f"sleep 1; echo end >>{stage.said}")
    stage.script("down", "10-a")
    variables = stage.call()
    up = threading.Thread(target=stage.hooks().up, args=(variables,))
    up.start()
    while not stage.run():
        pass
    downs = [threading.Thread(target=stage.hooks().down, args=(variables,)) for _ in range(5)]
    for down in downs:
        down.start()
    for thread in (up, *downs):
        thread.join()
    assert stage.run() == ["up 10-slow", "end", "down 10-a"]
    assert list(stage.state.iterdir()) == [stage.log]


# The script that pppd runs.


def test_the_script_hands_on_exactly_the_variables_that_the_runner_takes() -> None:
    assert sorted(re.findall(r"-E (\w+)", HOOK.read_text())) == sorted(hooks.VARIABLES)


@pytest.mark.parametrize(
    ("way", "from_pppd", "log", "asked"),
    [
        ("up", True, "Modem hangup", "waits"),
        ("down", True, "Terminating on signal 15\nModem hangup", "waits"),
        ("down", True, "Modem hangup", "goes on"),
        ("down", True, "LCP terminated by peer", "goes on"),
        ("down", True, "Serial link appears to be disconnected.", "goes on"),
        ("down", True, "xl2tpd[7]: control_finish: Connection closed to x\nTerminating on signal 15", "goes on"),
        ("down", True, "xl2tpd[7]: Maximum retries exceeded for tunnel 1.\nTerminating on signal 15", "goes on"),
        ("down", True, "xl2tpd[7]: Connecting to host x\nTerminating on signal 15", "waits"),
        ("down", True, "Remote message: x Modem hangup", "waits"),
        ("down", True, "", "waits"),
        ("down", False, "", "goes on"),
        ("down", False, "Modem hangup", "goes on"),
        ("down", False, "Terminating on signal 15", "waits"),
    ],
)
def test_only_the_next_try_does_not_wait_for_the_scripts(
    stage: Stage, way: str, from_pppd: bool, log: str, asked: str
) -> None:
    stage.log.write_text(log + "\n")
    stage.record.write_text("x")
    assert ask(stage, way, from_pppd) == [asked]
    # By this the helper knows that nobody has to see to them.
    assert remains.found(LINK, stage.state, stage.log.read_text().splitlines()) == (asked == "waits" or not from_pppd)
    stage.record.unlink()
    assert ask(stage, "down", from_pppd) == [], "nothing is up"


def ask(stage: Stage, way: str, from_pppd: bool) -> list[str]:
    """Run the script as pppd or the unit does; return whether systemd was asked, and whether the script waits."""
    systemd, asked, script = (stage.state.parent / name for name in ("systemd-run", "asked", f"ip-{way}"))
    systemd.write_text(f'#!/bin/sh\necho "$*" >>{asked}\n')
    systemd.chmod(0o755)
    asked.write_text("")
    text = HOOK.read_text().replace("/run/cablecar", str(stage.state)).replace("/usr/bin/systemd-run", str(systemd))
    script.write_text(text)
    arguments = ["ppp0", "", "38400", "192.0.2.10", "192.0.2.1", LINK] if from_pppd else []
    subprocess.run(["/bin/sh", str(script), *arguments], env={"LINKNAME": LINK}, check=True)
    return ["goes on" if "--no-block" in line else "waits" for line in asked.read_text().splitlines()]


def test_the_peer_file_names_the_scripts_that_are_installed() -> None:
    placed = (ROOT / "debian" / "place-files").read_text()
    for way in ("up", "down"):
        assert f'dbus/ip-hook "$helper{pppfiles.HOOKS}/ip-{way}"\n' in placed


@given(st.dictionaries(st.sampled_from(sorted(hooks.VARIABLES)), st.text(max_size=30)))
def test_no_value_that_is_handed_on_holds_more_than_a_word(variables: dict[str, str]) -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9_./-]+", value) for value in hooks.accepted(variables).values())
