"""One virtual machine: QEMU's command line and process, its channels, its monitor, freezing and thawing it."""

import json
import shlex
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.lab.host.job import REPOSITORY
from tests.lab.host.say import LabError
from tests.lab.host.tree import Tree

# What ends in standard output, what the agent says and is told, the shell's terminal, and QEMU's own monitor.
OUTPUT, CONTROL, SHELL, _MONITOR = "output", "control", "shell", "monitor"

_KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr net.ifnames=0 audit=0 "
    "systemd.unit=lab.target systemd.show_status=false systemd.log_target=kmsg"
)
_FREEZE_SECONDS = 120
_TAIL_LINES = 40


def fixed_options() -> list[str]:
    """Return the part of QEMU's command line that is the same for every run."""
    options = ["-nodefaults", "-no-user-config", "-no-reboot"]
    # Software emulation everywhere: that /dev/kvm exists does not mean that it works.
    options += ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2G"]
    # A graphics card that nobody looks at gives the guest its virtual terminals, and so seat0.
    options += ["-display", "none", "-vga", "std", "-nic", "none", "-append", _KERNEL_LINE]
    return options


def qemu_version() -> str:
    """Return what QEMU calls itself."""
    return subprocess.run(["qemu-system-x86_64", "--version"], check=True, capture_output=True, text=True).stdout


class Machine:
    """A running guest.

    Attributes:
        channels: our ends of what connects us with it.
        results: the folder of this machine that the guest sees as /mnt/results.
    """

    def __init__(self, tree: Tree, ramdisk: Path, results: Path, frozen: Path | None = None) -> None:
        """Start TREE with RAMDISK; with FROZEN it goes on from there when it is thawed."""
        self.results = results
        pairs = {name: socket.socketpair() for name in (OUTPUT, CONTROL, SHELL, _MONITOR)}
        command = ["qemu-system-x86_64", *fixed_options()]
        command += ["-kernel", str(tree.kernel), "-initrd", str(ramdisk)]
        command += _devices(tree, results, {name: pair[1].fileno() for name, pair in pairs.items()})
        if frozen is not None:
            command += ["-incoming", f"exec:cat {shlex.quote(str(frozen))}"]
        with (results / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[pair[1].fileno() for pair in pairs.values()],
                start_new_session=True,
            )
        for pair in pairs.values():
            pair[1].close()
        self._monitor = pairs.pop(_MONITOR)[0]
        self._monitor_input = self._monitor.makefile("rb")
        self.channels = {name: pair[0] for name, pair in pairs.items()}

    def tell(self, word: str) -> None:
        """Tell the guest's agent one line."""
        with suppress(BrokenPipeError):
            self.channels[CONTROL].sendall(word.encode() + b"\n")

    def freeze(self, state: Path) -> None:
        """Stop the guest and write all that it is to STATE."""
        self._monitor.settimeout(_FREEZE_SECONDS)
        self._open_monitor()
        self._ask("stop")
        self._ask("migrate-set-parameters", {"max-bandwidth": 1 << 40})
        self._ask("migrate", {"uri": f"exec:cat >{shlex.quote(str(state))}"})
        self._wait_for("query-migrate", {"completed"}, {"failed", "cancelled"})
        self._ask("quit")

    def thaw(self) -> None:
        """Let a guest that was started from a frozen one go on."""
        self._monitor.settimeout(_FREEZE_SECONDS)
        self._open_monitor()
        self._wait_for("query-status", {"paused", "running", "prelaunch"}, {"internal-error", "guest-panicked"})
        self._ask("cont")

    def exit_status(self) -> int:
        """Return QEMU's, which has ended or is just ending."""
        return self._process.wait(10)

    def end(self) -> None:
        """See that QEMU is gone."""
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        for channel in (self._monitor, *self.channels.values()):
            channel.close()

    def evidence(self) -> str:
        """Return the last that QEMU and the guest's console said."""
        text = ""
        for name in ("qemu.log", "console.log"):
            lines: list[str] = []
            with suppress(FileNotFoundError):
                lines = (self.results / name).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            if lines:
                text += f"--- the end of {self.results / name}:\n" + "\n".join(lines) + "\n"
        return text

    def _open_monitor(self) -> None:
        self._answer()
        self._ask("qmp_capabilities")

    def _ask(self, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        message = {"execute": command, "arguments": arguments or {}}
        try:
            self._monitor.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise LabError(f"QEMU's monitor: {error}") from error
        while True:
            answer = self._answer()
            if "error" in answer:
                raise LabError(f"QEMU's monitor: {command}: {answer['error'].get('desc')}")
            if "return" in answer:
                value = answer["return"]
                return value if isinstance(value, dict) else {}

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._monitor_input.readline()
        except OSError as error:
            raise LabError(f"QEMU's monitor: {error}") from error
        if not line:
            raise LabError("QEMU's monitor is closed")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _wait_for(self, query: str, good: set[str], bad: set[str]) -> None:
        end = time.monotonic() + _FREEZE_SECONDS
        while (status := str(self._ask(query).get("status"))) not in good:
            if status in bad or time.monotonic() > end:
                raise LabError(f"QEMU's monitor: {query}: {status}")
            time.sleep(0.05)


def _devices(tree: Tree, results: Path, descriptors: dict[str, int]) -> list[str]:
    share = "local,security_model=none,id={0},path={1}"
    options = ["-chardev", f"file,id=console,path={_escaped(results / 'console.log')}", "-serial", "chardev:console"]
    options += ["-drive", f"if=none,id=root,format=raw,readonly=on,file={_escaped(tree.image)}"]
    options += ["-device", "virtio-blk-pci,drive=root"]
    options += ["-fsdev", share.format("repo", _escaped(REPOSITORY)) + ",readonly=on"]
    options += ["-device", "virtio-9p-pci,fsdev=repo,mount_tag=repo"]
    options += ["-fsdev", share.format("results", _escaped(results))]
    options += ["-device", "virtio-9p-pci,fsdev=results,mount_tag=results"]
    options += ["-device", "virtio-serial-pci"]
    for name in (OUTPUT, CONTROL, SHELL):
        kind = "virtconsole" if name == SHELL else "virtserialport"
        options += ["-chardev", f"socket,id={name},fd={descriptors[name]}"]
        options += ["-device", f"{kind},chardev={name},name=lab.{name}"]
    options += ["-chardev", f"socket,id={_MONITOR},fd={descriptors[_MONITOR]}", "-mon", f"{_MONITOR},mode=control"]
    return options


def _escaped(path: Path) -> str:
    """Return PATH for a value in QEMU's options, where a comma ends it."""
    return str(path).replace(",", ",,")
