"""What runs when a link comes up and goes down, what does not, and the cage that it all runs outside of."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

PPP = Path("/etc/ppp")
SAID = Path("/root/hooks.said")  # ProtectHome= and ProtectSystem= would forbid it


def script(way: str, name: str, body: str = "", mode: int = 0o755, folder: str = lab.LINK) -> Path:
    """Make a script for one way of the link that says its name and arguments, and does `body`."""
    path = PPP / f"ip-{way}.d" / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho {way} {name} "$*" >>{SAID}\n{body}\n')
    path.chmod(mode)
    return path


def said() -> list[str]:
    """Return the scripts that have run, as `WAY NAME`."""
    return [" ".join(line.split()[:2]) for line in SAID.read_text().splitlines()] if SAID.exists() else []


def log() -> str:
    return lab.link("Log", "u", "500").output


def left_over() -> list[str]:
    return [path.name for path in Path("/run/cablecar").glob("*.hooks")]


def kill_pppd() -> None:
    os.kill(lab.pppd_pid(), signal.SIGKILL)


def runner() -> int:
    return int(lab.run("pgrep", "-f", "cablecar.helper.hooks", check=False).output.split()[0])


@pytest.fixture
def scripts(configured: None) -> Iterator[None]:
    """The link's two folders with a script in each, and none of it afterwards."""
    SAID.unlink(missing_ok=True)
    script("up", "50-plain")
    script("down", "50-plain")
    yield
    lab.link("Disconnect")
    for folder in PPP.glob("ip-*.d"):
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name.startswith("zz-"):
                entry.unlink()


@pytest.mark.usefixtures("scripts")
def test_scripts_run_in_order_with_the_variables_outside_of_the_cage() -> None:
    script("up", "60-look", "env | sort >/root/hooks.env; ls /home >/root/hooks.home; touch /usr/lib/hooks-were-here")
    script("up", "10-first")
    script("up", "zz-distribution", folder=".")
    script("down", "zz-distribution", folder=".")
    script("up", "10-other", folder="other_link")
    lab.link("Connect")
    lab.eventually(lambda: "60-look ran" in log(), 20, "the scripts have run")
    assert said() == ["up zz-distribution", "up 10-first", "up 50-plain", "up 60-look"]
    assert len({line.split(" ", 2)[2] for line in SAID.read_text().splitlines()}) == 1, "the same arguments for all"
    variables = dict(line.split("=", 1) for line in Path("/root/hooks.env").read_text().splitlines())
    assert (variables["LINKNAME"], variables["IFNAME"], variables["IPLOCAL"]) == (lab.LINK, "ppp0", lab.address())
    assert (variables["PPP_IFACE"], variables["PPP_IPPARAM"]) == ("ppp0", lab.LINK)
    assert (variables["IPREMOTE"], variables["DNS1"]) == (lab.PEER, "198.51.100.53")
    assert "alice" in Path("/root/hooks.home").read_text()
    Path("/usr/lib/hooks-were-here").unlink()
    SAID.unlink()
    lab.link("Disconnect")
    assert said() == ["down zz-distribution", "down 50-plain"], "Disconnect answers when they are through"
    assert left_over() == []
    assert f"hook: {PPP}/ip-down.d/{lab.LINK}/50-plain ran" in log()


@pytest.mark.usefixtures("scripts")
def test_the_peers_name_servers_are_there_before_the_script_and_gone_after_the_call() -> None:
    resolvconf, present = Path("/sbin/resolvconf"), Path("/etc/resolv.conf")
    target = os.readlink(present)
    lab.run("systemctl", "stop", "systemd-resolved.service")
    resolvconf.rename("/sbin/resolvconf.away")
    present.unlink()
    present.write_text("nameserver 10.20.30.1\n")
    try:
        script("up", "60-look", "cp /etc/resolv.conf /root/hooks.resolv")
        for end in (lambda: lab.link("Disconnect"), kill_pppd):
            SAID.unlink(missing_ok=True)
            lab.link("Connect")
            lab.eventually(lambda: "60-look ran" in log(), 20, "the scripts have run")
            assert "198.51.100.53" in Path("/root/hooks.resolv").read_text()
            end()
            lab.eventually(lambda: "down 50-plain" in said(), 20, "the scripts have run")
            lab.link("Disconnect")
            assert present.read_text() == "nameserver 10.20.30.1\n"
    finally:
        present.unlink()
        present.symlink_to(target)
        Path("/sbin/resolvconf.away").rename(resolvconf)
        lab.run("systemctl", "start", "systemd-resolved.service")


@pytest.mark.usefixtures("scripts")
def test_what_cannot_or_must_not_run_is_named_and_hinders_nothing() -> None:
    folder = PPP / "ip-up.d" / lab.LINK
    users = Path("/home/alice/script")
    users.write_text(f"#!/bin/sh\necho up users >>{SAID}\n")
    users.chmod(0o755)
    script("up", "01-group", mode=0o775)
    (folder / "02-users").symlink_to(users)
    (folder / "03-dangling").symlink_to("/nowhere")
    script("up", "04-not-executable", mode=0o644)
    script("up", "05-dot.sh")
    script("up", "06-saved~")
    script("up", "07-too-long", "sleep 40 & sleep 300")
    script("up", "08-daemon", "setsid sleep 20 &")
    script("up", "09-stdin", "read answer; exit 7")
    script("up", "10-exit", "exit 255")
    (folder / "11-folder").mkdir()
    script("up", "12-nothing").write_text("echo no interpreter named\n")
    lab.link("Connect")
    lab.eventually(lambda: "up 50-plain" in said(), 90, "all have had their turn")
    lab.eventually(lambda: "50-plain ran" in log(), 10, "the last one is noted")
    assert said() == [f"up {name}" for name in
                      ("05-dot.sh", "07-too-long", "08-daemon", "09-stdin", "10-exit", "50-plain")]  # fmt: skip
    told = log()
    for name, words in {
        "01-group": "is not run: others than root may write",
        "02-users": "is not run: /home/alice does not belong to root",
        "03-dangling": "is not run: /nowhere: No such file or directory",
        "04-not-executable": r"is not run: it is not executable \(chmod \+x",
        "05-dot.sh": "ran",
        "06-saved~": "is not run: by its name",
        "07-too-long": "was killed: it took longer than 30 s",
        "08-daemon": "has ended and left running: [0-9]+",
        "09-stdin": "failed: exit status 7",
        "10-exit": "failed: exit status 255",
        "11-folder": "is not run: it is no file",
        "12-nothing": "cannot be run: Exec format error",
    }.items():
        assert re.search(rf"hook: {folder}/{re.escape(name)} {words}", told), (name, told)
        assert f"{folder}/{name}" in lab.journal("-t", "cablecar-hooks")
    assert lab.prop("State") == "up"
    assert lab.reaches()
    assert lab.run("pgrep", "-f", "sleep 300", check=False).output == ""
    lab.link("Disconnect")
    assert said()[-1] == "down 50-plain"
    assert left_over() == []
    users.unlink()


@pytest.mark.whole
@pytest.mark.usefixtures("scripts")
def test_a_loud_script_hinders_nothing() -> None:
    script("down", "10-loud", "head -c 20000000 /dev/zero | tr '\\0' x | fold -w 999")
    lab.link("Connect")
    lab.link("Disconnect")
    lab.eventually(lambda: "down 50-plain" in said() and not left_over(), 60, "all have had their turn")
    lab.link("Connect")
    assert lab.reaches()


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize("end", ["provider", "killed"])
def test_down_scripts_run_whoever_ends_the_call_and_before_the_next_one(end: str) -> None:
    lab.link("Connect")
    lab.eventually(lambda: said() == ["up 50-plain"], 20, "the first call's")
    first = lab.pppd_pid()
    if end == "provider":
        lab.isp("kill")
    else:
        kill_pppd()
    lab.eventually(lambda: lab.redialed(first), 20, "back by itself")
    lab.eventually(lambda: len(said()) == 3, 20, "the second call's")
    lab.link("Disconnect")
    assert said() == ["up 50-plain", "down 50-plain"] * 2
    assert left_over() == []


@pytest.mark.usefixtures("scripts")
def test_a_slow_script_and_what_follows_never_overlap() -> None:
    script("up", "60-slow", f"sleep 8; echo up slow-end >>{SAID}")
    lab.link("Connect")
    lab.eventually(lambda: "up 60-slow" in said(), 20, "it sleeps")
    lab.link("Disconnect")
    lab.eventually(lambda: "down 50-plain" in said(), 30, "down after up")
    assert said() == ["up 50-plain", "up 60-slow", "up slow-end", "down 50-plain"]
    lab.eventually(lambda: left_over() == [], 10, "nothing is left")


@pytest.mark.usefixtures("scripts")
def test_a_runner_that_is_killed_loses_nothing_and_repeats_nothing() -> None:
    script("down", "10-first")
    script("down", "20-holds", "[ -e /root/hooks.go ] || sleep 2")
    lab.link("Connect")
    lab.eventually(lambda: said() == ["up 50-plain"], 20, "up")
    lab.eventually(lambda: "50-plain ran" in log(), 10, "its runner has ended")
    lab.isp("kill")
    lab.eventually(lambda: "down 20-holds" in said(), 20, "going down", pause=0.01)
    os.kill(runner(), signal.SIGKILL)
    lab.eventually(lambda: len(said()) == 5, 30, "the rest goes down, and the next call is up")
    assert said() == ["up 50-plain", "down 10-first", "down 20-holds", "down 50-plain", "up 50-plain"]


@pytest.mark.usefixtures("scripts")
def test_they_run_for_pon_as_well() -> None:
    lab.link("Connect")
    lab.link("Disconnect")
    SAID.unlink(missing_ok=True)
    lab.run("pon", lab.LINK)
    lab.eventually(lambda: said() == ["up 50-plain"], 30, "up")
    lab.run("poff", lab.LINK)
    lab.eventually(lambda: said() == ["up 50-plain", "down 50-plain"], 30, "down")
    lab.eventually(lambda: not lab.call_processes() and not left_over(), 10, "over")


@pytest.mark.usefixtures("configured")
def test_a_first_call_loads_the_kernels_modules_from_inside_of_the_cage() -> None:
    # The provider's xl2tpd has had the L2TP module loaded, which needs ppp_generic.
    modules = "pppoe l2tp_ppp pppox ppp_async ppp_mppe ppp_deflate bsd_comp ppp_generic"
    lab.run("modprobe", "-r", *modules.split(), check=False)
    assert "ppp_generic" not in lab.run("lsmod").output
    lab.link("Connect")
    assert lab.reaches()
    for process in lab.call_processes():
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        # cap_net_admin and cap_net_raw
        assert (status["Seccomp"], status["NoNewPrivs"], status["CapBnd"]) == ("2", "1", "0000000000003000")
    lab.link("Disconnect")
    assert lab.prop("State") == "down"
