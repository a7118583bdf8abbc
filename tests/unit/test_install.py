"""An installation without Debian's packages: what it puts where, what it refuses, and that it leaves nothing behind."""

import fnmatch
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cablecar.helper import install, main, safefile
from cablecar.helper.errors import StorageFailed
from cablecar.helper.install import MANIFEST, NEEDED, Installation, InstallError, NotStarted, ProgramFailed

PYTHON = "/opt/cablecar/bin/python3"
PACKAGE = "/opt/cablecar/lib/python3.11/site-packages"
UNIT = "/usr/lib/systemd/system/cablecar-helper.service"
HOOK = "/usr/lib/cablecar/ip-up"
POLICY = "/usr/share/dbus-1/system.d/org.cablecar1.conf"
ENTRY = "/etc/xdg/autostart/org.cablecar1.applet.desktop"
RESTART = ["systemctl", "restart", "cablecar-helper.service"]


class Machine:
    """A root folder with an interpreter of Cablecar's, a wheel's files of the system, and programs that are noted."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.system = folder / "system"
        self.commands: list[list[str]] = []
        self.cannot: list[str] = []
        for path in NEEDED:
            self.write(path, "")
        self.write("/usr/bin/python3", "ELF")
        self.write(f"{PACKAGE}/cablecar/helper/probe.py", "")
        self.at(PYTHON).parent.mkdir(parents=True)
        self.at(PYTHON).symlink_to(os.path.relpath(self.at("/usr/bin/python3"), self.at(PYTHON).parent))
        self.at("/run/systemd/system").mkdir(parents=True)
        self.at("/proc/1").mkdir(parents=True)
        self.at("/proc/1/root").symlink_to("../..")
        self.carry("helper", UNIT, "ExecStart=/usr/bin/python3 -I -m cablecar.helper\n")
        self.carry("helper", HOOK, "#!/bin/sh\n/usr/bin/python3 -I -m cablecar.helper.hooks\n")
        self.carry("helper", POLICY, "<busconfig/>")
        self.carry("applet", ENTRY, "Exec=cablecar-applet\n")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text)

    def carry(self, part: str, path: str, text: str) -> None:
        file = self.system / part / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, *command: str, user: int | None = None) -> str:
        if {command[0], f"{user}", " ".join(command)} & {*self.cannot}:
            raise ProgramFailed("no such thing")
        if command[:3] == (PYTHON, "-I", "-c"):
            return json.dumps(
                [f"{PACKAGE}/cablecar/helper/probe.py", "/opt/cablecar", "/usr", ["/usr/lib/no", PACKAGE]]
            )
        self.commands.append(list(command))
        return ""

    def installation(self, python: str = PYTHON, dry: bool = False) -> Installation:
        return Installation(self.root, self.system, python, self.run, dry)

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Return mode and contents of everything below the root."""
        return {
            str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in self.root.rglob("*")
        }


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(install, "find_spec", lambda name: object())  # PyQt6 is there
    umask = os.umask(0o022)
    yield Machine(tmp_path)
    os.umask(umask)


def test_the_files_are_where_the_system_looks(machine: Machine) -> None:
    machine.installation().install()
    assert machine.at(UNIT).read_text() == f"ExecStart={PYTHON} -I -m cablecar.helper\n"
    assert machine.at(HOOK).read_text() == f"#!/bin/sh\n{PYTHON} -I -m cablecar.helper.hooks\n"
    assert machine.at(ENTRY).read_text() == "Exec=cablecar-applet\n"
    modes = {path: machine.at(path).stat().st_mode & 0o777 for path in (UNIT, HOOK, POLICY, "/etc/cablecar/links")}
    assert modes == {UNIT: 0o644, HOOK: 0o755, POLICY: 0o644, "/etc/cablecar/links": 0o700}
    for program in ("cablecar-helper", "cablecar-applet"):
        start = machine.at(f"/usr/bin/{program}")
        assert start.read_text().startswith(f"#!{PYTHON} -I\n")
        assert os.access(start, os.X_OK)


def test_the_helper_is_enabled_and_started_when_all_is_there(machine: Machine) -> None:
    machine.installation().install()
    words = [" ".join(command) for command in machine.commands]
    assert words[-1] == " ".join(RESTART)
    assert words.index("systemctl daemon-reload") < words.index(
        "systemctl --quiet enable cablecar-helper.service cablecar-strict.service"
    )


def test_nothing_is_left_of_it(machine: Machine) -> None:
    before = machine.tree()
    machine.installation().install()
    assert machine.tree() != before
    machine.commands.clear()
    machine.installation().uninstall()
    assert machine.tree() == before
    assert machine.commands[0][-1] == "RestoreNetwork"
    assert "--auto-start=no" in machine.commands[0]  # a helper that starts for it would dial first
    assert machine.commands[-1] == ["rm", "-rf", "/run/cablecar"]


def test_every_unit_of_ours_is_stopped(machine: Machine) -> None:
    machine.installation().install()
    machine.installation().uninstall()
    (stop,) = (command for command in machine.commands if command[:2] == ["systemctl", "stop"])
    units = [path.name.replace("@.", "@home.") for path in (Path(__file__).parents[2] / "dbus").glob("cablecar-*.*")]
    assert len(units) > 2
    assert not [unit for unit in units if not any(fnmatch.fnmatch(unit, pattern) for pattern in stop)]


def test_settings_and_what_others_put_beside_ours_stay(machine: Machine) -> None:
    machine.installation().install()
    kept = ("/etc/cablecar/links/home.toml", "/usr/lib/cablecar/theirs", "/etc/xdg/autostart/theirs.desktop")
    for path in kept:
        machine.write(path, "theirs")
    machine.installation().uninstall()
    assert all(machine.at(path).read_text() == "theirs" for path in kept)
    assert not machine.at(MANIFEST).exists()


def test_a_dry_run_says_the_same_and_does_nothing(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    before = machine.tree()
    machine.installation(dry=True).install()
    assert machine.tree() == before
    assert not machine.commands
    said = caplog.messages.copy()
    caplog.clear()
    machine.installation().install()
    assert caplog.messages == said
    machine.write("/usr/share/dbus-1/system.d/theirs.conf", "theirs")  # that folder stays
    machine.at(ENTRY).write_text("changed")
    after = machine.tree()
    machine.commands.clear()
    caplog.clear()
    machine.installation(dry=True).uninstall()
    assert machine.tree() == after
    assert not machine.commands
    said = caplog.messages.copy()
    assert {f"remove {MANIFEST}", "remove /etc/cablecar/links", f"remove {Path(MANIFEST).parent}"} <= {*said}
    assert "remove /usr/share/dbus-1/system.d" not in said
    caplog.clear()
    machine.installation().uninstall()
    assert caplog.messages == said


def test_without_pyqt_there_is_no_applet(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find_spec", lambda name: None)
    machine.installation().install()
    assert machine.at(UNIT).exists()
    assert not machine.at(ENTRY).exists()
    assert not machine.at("/usr/bin/cablecar-applet").exists()


def test_a_newer_version_takes_the_older_ones_place(machine: Machine) -> None:
    before = machine.tree()
    machine.installation().install()
    machine.carry("helper", UNIT, "new\n")
    machine.carry("helper", "/usr/share/doc/new/page", "new\n")
    (machine.system / "helper" / POLICY.lstrip("/")).unlink()
    machine.installation().install()
    assert machine.at(UNIT).read_text() == "new\n"
    assert not machine.at(POLICY).exists()
    machine.installation().uninstall()
    assert machine.tree() == before


def test_a_newer_version_leaves_a_changed_file_that_it_does_not_have(machine: Machine) -> None:
    machine.installation().install()
    machine.at(POLICY).write_text("changed")
    (machine.system / "helper" / POLICY.lstrip("/")).unlink()
    machine.installation().install()
    assert machine.at(POLICY).read_text() == "changed"


@pytest.mark.parametrize("writes", range(1, 8))
@pytest.mark.parametrize("upgrade", [False, True])
def test_one_that_was_stopped_half_way_can_be_repeated_and_undone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, writes: int, upgrade: bool
) -> None:
    before = machine.tree()
    if upgrade:
        machine.installation().install()
        machine.carry("helper", UNIT, "new\n")
    left = writes

    def replace(path: Path, data: bytes, mode: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise StorageFailed("the disk is full")
        whole(path, data, mode)

    whole = safefile.replace
    monkeypatch.setattr(safefile, "replace", replace)
    with pytest.raises(StorageFailed):
        machine.installation().install()
    monkeypatch.undo()
    monkeypatch.setattr(install, "find_spec", lambda name: object())
    half = shutil.copytree(machine.root, machine.root.with_name("half"), symlinks=True)
    machine.installation().install()
    assert machine.commands[-1] == RESTART
    shutil.rmtree(machine.root)
    half.rename(machine.root)
    machine.installation().uninstall()
    assert machine.tree() == before


@pytest.mark.parametrize("make", [lambda path: path.write_text("theirs"), lambda path: path.symlink_to("/etc/passwd")])
def test_a_file_of_somebody_elses_is_not_touched(machine: Machine, make: Callable[[Path], object]) -> None:
    machine.at(POLICY).parent.mkdir(parents=True)
    make(machine.at(POLICY))
    before = machine.tree()
    with pytest.raises(InstallError, match="apt remove cablecar cablecar-helper"):
        machine.installation().install()
    assert machine.tree() == before
    assert not machine.commands


def test_a_file_that_somebody_has_changed_is_not_touched(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.installation().install()
    machine.at(UNIT).write_text("changed")
    with pytest.raises(InstallError, match="has changed"):
        machine.installation().install()
    machine.installation().uninstall()
    assert machine.at(UNIT).read_text() == "changed"
    assert f"{UNIT} stays: it is not what was installed" in caplog.text
    assert not machine.at(POLICY).exists()


def test_a_file_that_is_as_it_would_be_written_becomes_ours(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.write(ENTRY, "Exec=cablecar-applet\n")  # `apt remove cablecar` leaves it
    machine.installation().install()
    assert "stays" not in caplog.text
    machine.installation().uninstall()
    assert not machine.at(ENTRY).exists()


def test_an_old_file_below_etc_stays_and_what_helps_costs_no_settings(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.write(ENTRY, "Exec=older\n")
    machine.installation().install()
    assert machine.at(ENTRY).read_text() == "Exec=older\n"
    assert f"{ENTRY} stays as it is" in caplog.text
    assert "`apt purge cablecar`" in caplog.text
    assert machine.commands[-1] == RESTART


@pytest.mark.parametrize("change", [lambda path: path.write_text("Hidden=true\n"), lambda path: None])
def test_what_an_administrator_has_made_of_a_file_below_etc_outlives_all(
    machine: Machine, caplog: pytest.LogCaptureFixture, change: Callable[[Path], object]
) -> None:
    machine.installation().install()
    if change(machine.at(ENTRY)) is None:
        machine.at(ENTRY).unlink()
        machine.at(ENTRY).symlink_to("/dev/null")
    theirs = os.readlink(machine.at(ENTRY)) if machine.at(ENTRY).is_symlink() else machine.at(ENTRY).read_text()
    for _ in range(2):
        machine.carry("applet", ENTRY, "Exec=new\n")
        machine.carry("helper", UNIT, "new\n")
        machine.installation().install()
        assert machine.at(UNIT).read_text() == "new\n"
        assert caplog.messages == [f"{ENTRY} stays as it is: somebody has changed it since it was installed"]
        caplog.clear()
    machine.installation().uninstall()
    assert caplog.messages == [f"{ENTRY} stays: it is not what was installed"]
    machine.installation().install()
    machine.installation().uninstall()
    link = machine.at(ENTRY).is_symlink()
    assert theirs == (os.readlink(machine.at(ENTRY)) if link else machine.at(ENTRY).read_text())


@pytest.mark.parametrize(
    "path",
    ["/opt", "/opt/cablecar", f"{PACKAGE}/cablecar/helper/probe.py", "/usr/bin/python3", "/usr/bin", "/usr/share"],
)
@pytest.mark.parametrize("rights", [0o020, 0o002])
def test_a_place_that_others_can_write_to_is_refused(machine: Machine, path: str, rights: int) -> None:
    machine.at(path).chmod(machine.at(path).stat().st_mode | rights)
    before = machine.tree()
    with pytest.raises(InstallError, match=f"others than root may write to .*{path}"):
        machine.installation().install()
    assert machine.tree() == before


def test_a_link_out_of_the_tree_is_followed(machine: Machine) -> None:
    machine.write("/srv/theirs/module.py", "")
    machine.at("/srv/theirs/module.py").chmod(0o666)
    machine.at(f"{PACKAGE}/theirs").symlink_to("../../../../../srv/theirs")
    with pytest.raises(InstallError, match=r"others than root may write to .*module\.py"):
        machine.installation().install()


@pytest.mark.parametrize("python", ["/opt/ca blecar/python3", "/opt/%h/python3", "/opt/a\nb", "python3", "/o" * 80])
def test_an_interpreter_that_is_no_plain_path_is_refused(machine: Machine, python: str) -> None:
    with pytest.raises(InstallError, match="is no plain path"):
        machine.installation(python).install()


def test_an_interpreter_that_the_unit_does_not_see_is_refused(machine: Machine) -> None:
    machine.write("/home/alice/python3", "ELF")
    machine.at(PYTHON).unlink()
    machine.at(PYTHON).symlink_to("../../../home/alice/python3")
    with pytest.raises(InstallError, match="does not see /home"):
        machine.installation().install()


def test_an_interpreter_without_the_helper_is_refused(machine: Machine) -> None:
    machine.cannot.append(PYTHON)
    with pytest.raises(InstallError, match="cannot import the helper"):
        machine.installation().install()


def test_a_tree_that_only_root_can_read_is_refused(machine: Machine) -> None:
    machine.cannot.append("65534")
    with pytest.raises(InstallError, match=r"chmod -R go\+rX /opt/cablecar"):
        machine.installation().install()


@pytest.mark.parametrize(("path", "package"), NEEDED.items())
def test_what_is_missing_is_named_with_its_package(machine: Machine, path: str, package: str) -> None:
    machine.at(path).unlink()
    with pytest.raises(InstallError, match=f"{path} is missing.*apt install {package}"):
        machine.installation().install()


def test_a_checkout_or_debians_package_has_nothing_to_install(machine: Machine) -> None:
    shutil.rmtree(machine.system)
    with pytest.raises(InstallError, match="There is nothing to install"):
        machine.installation().install()
    with pytest.raises(InstallError, match="has installed nothing"):
        machine.installation().uninstall()


@pytest.mark.parametrize("line", ["nonsense", f"{'0' * 64}  /usr/../etc/passwd", f"{'0' * 64}  passwd", "# made: etc"])
def test_a_damaged_manifest_is_not_followed(machine: Machine, line: str) -> None:
    machine.installation().install()
    machine.at(MANIFEST).write_text(f"{line}\n")
    with pytest.raises(InstallError, match="is damaged"):
        machine.installation()


def test_a_program_that_fails_is_told_and_hinders_nothing(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.cannot.append("busctl")
    machine.installation().install()
    assert "that failed: no such thing" in caplog.text
    assert machine.commands[-1] == RESTART


@pytest.mark.parametrize("command", [["systemctl", "--quiet", "enable", *install._AT_BOOT], RESTART], ids=" ".join)
def test_a_helper_that_does_not_start_is_an_error_when_all_is_done(machine: Machine, command: list[str]) -> None:
    machine.write("/usr/share/icons/hicolor/icon-theme.cache", "")
    machine.cannot.append(" ".join(command))
    with pytest.raises(NotStarted, match="systemctl status"):
        machine.installation().install()
    assert machine.at(UNIT).exists()
    assert machine.commands[-1][0] == "gtk-update-icon-cache"
    machine.cannot.clear()
    machine.installation().install()


@pytest.mark.parametrize("around", ["nothing", "a booted system"])
def test_in_a_chroot_the_helper_is_enabled_and_nothing_is_asked(
    machine: Machine, around: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    if around == "nothing":
        machine.at("/run/systemd/system").rmdir()
    else:  # with its /proc and /run
        machine.at("/proc/1/root").unlink()
        machine.at("/proc/1/root").symlink_to("/")
    before = machine.tree()
    machine.installation().install()
    assert [command[:3] for command in machine.commands[1:]] == [["systemctl", "--quiet", "enable"]]
    assert "only enabled" in caplog.text
    machine.commands.clear()
    machine.installation().uninstall()
    assert machine.commands[0][:3] == ["systemctl", "--quiet", "disable"]
    assert machine.commands[1:] == ([["rm", "-rf", "/run/cablecar"]] if around == "nothing" else [])
    assert machine.tree() == before


def test_the_cache_of_icons_is_renewed_where_there_is_one(machine: Machine) -> None:
    machine.write("/usr/share/icons/hicolor/icon-theme.cache", "")
    machine.installation().install()
    assert machine.commands[-1][0] == "gtk-update-icon-cache"


def test_sha256sum_reads_the_manifest(machine: Machine) -> None:
    machine.installation().install()
    lines = [line.replace("  /", "  ", 1) for line in machine.at(MANIFEST).read_text().splitlines(keepends=True)]
    check = ["sha256sum", "--check", "--strict", "--quiet"]
    assert not subprocess.run(
        check, input="".join(lines), text=True, cwd=machine.root, check=True, capture_output=True
    ).stdout
    machine.at(HOOK).write_text("changed")
    done = subprocess.run(check, input="".join(lines), text=True, cwd=machine.root, check=False, capture_output=True)
    assert done.stdout.startswith(HOOK.lstrip("/"))


def test_a_program_is_run_and_its_last_words_are_told() -> None:
    assert install.run("echo", "said") == "said\n"
    with pytest.raises(ProgramFailed, match=r"^last$"):
        install.run("sh", "-c", "echo first >&2; echo last >&2; exit 3")
    with pytest.raises(ProgramFailed, match="exit status 3"):
        install.run("sh", "-c", "exit 3")
    with pytest.raises(ProgramFailed, match="no-such-program"):
        install.run("no-such-program")


def test_only_root_installs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main.main(["install"]) == 1
    assert "run it as root" in caplog.text


def test_a_refusal_is_said_and_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main.main(["install", "--dry-run"]) == 1
    assert "There is nothing to install" in caplog.text


def test_a_helper_that_was_not_started_counts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(installation: Installation) -> None:
        raise NotStarted("it does not run")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Installation, "install", fail)
    assert main.main(["install"]) == 1
    assert "it does not run" in caplog.text
