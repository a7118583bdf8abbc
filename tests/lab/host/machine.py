"""One virtual machine: QEMU's command line, its channels, and what comes through them.

Three serial channels leave the guest: the kernel's console into a file, the script's output (or the shell's terminal)
to our standard output, and the agent's events, one per line: "say TEXT", "script", "failed TEXT", "exit STATUS".
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.host.initrd import REPOSITORY, Job, initrd
from tests.lab.host.say import TIMED_OUT, LabError, say
from tests.lab.host.tree import Tree

_KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr net.ifnames=0 audit=0 "
    "systemd.unit=lab.target systemd.show_status=false systemd.log_target=kmsg rd.systemd.show_status=false"
)
_TAIL_LINES = 40


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds; 0 is "as long as it likes"."""

    boot: float
    script: float


def run(tree: Tree, job: Job, results: Path, limits: Limits) -> int:
    """Boot TREE, do JOB, and return its exit status."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "initrd").write_bytes(initrd(tree, job))
    channels = {name: socket.socketpair() for name in ("control", "output", "shell")}
    guest_ends = [pair[1] for pair in channels.values()]
    command = _command(tree, results, {name: pair[1].fileno() for name, pair in channels.items()})
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=(results / "qemu.log").open("wb"),
        stderr=subprocess.STDOUT,
        pass_fds=[end.fileno() for end in guest_ends],
        start_new_session=True,
    )
    for end in guest_ends:
        end.close()
    try:
        conversation = _Conversation(process, {name: pair[0] for name, pair in channels.items()}, job, limits)
        with _raw_terminal(job.script is None):
            status = conversation.listen()
    except LabError as error:
        raise LabError(f"{error}\n{_evidence(results)}") from error
    finally:
        _end(process)
        (results / "initrd").unlink(missing_ok=True)
    return status


def _command(tree: Tree, results: Path, channels: dict[str, int]) -> list[str]:
    share = "local,security_model=none,id={0},path={1}"
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"]
    # Software emulation everywhere: that /dev/kvm exists does not mean that it works.
    command += ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2G"]
    # A graphics card that nobody looks at gives the guest its virtual terminals, and so seat0.
    command += ["-display", "none", "-vga", "std", "-nic", "none"]
    command += ["-kernel", str(tree.kernel), "-initrd", str(results / "initrd"), "-append", _KERNEL_LINE]
    command += ["-chardev", f"file,id=console,path={_escaped(results / 'console.log')}", "-serial", "chardev:console"]
    command += ["-drive", f"if=none,id=root,format=raw,readonly=on,file={_escaped(tree.image)}"]
    command += ["-device", "virtio-blk-pci,drive=root"]
    command += ["-fsdev", share.format("repo", _escaped(REPOSITORY)) + ",readonly=on"]
    command += ["-device", "virtio-9p-pci,fsdev=repo,mount_tag=repo"]
    command += ["-fsdev", share.format("results", _escaped(results))]
    command += ["-device", "virtio-9p-pci,fsdev=results,mount_tag=results"]
    command += ["-device", "virtio-serial-pci"]
    for name, descriptor in channels.items():
        command += ["-chardev", f"socket,id={name},fd={descriptor}"]
        kind = "virtconsole" if name == "shell" else "virtserialport"
        command += ["-device", f"{kind},chardev={name},name=lab.{name}"]
    return command


def _escaped(path: Path) -> str:
    """Return PATH for a value in QEMU's options, where a comma ends it."""
    return str(path).replace(",", ",,")


class _Conversation:
    """What is heard from a running guest, until it has ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], channels: dict[str, socket.socket], job: Job, limits: Limits
    ) -> None:
        self._process = process
        self._channels = channels
        self._limits = limits
        self._shell = job.script is None
        self._deadline = time.monotonic() + limits.boot
        self._running_script = False
        self._status: int | None = None
        self._failure = ""
        self._events = b""

    def listen(self) -> int:
        """Pass everything on until the guest is off; return the script's exit status."""
        with selectors.DefaultSelector() as selector:
            for name, channel in self._channels.items():
                selector.register(channel, selectors.EVENT_READ, name)
            if self._shell:
                selector.register(sys.stdin, selectors.EVENT_READ, "keyboard")
            while len(selector.get_map()) > self._shell:
                for key, _ in selector.select(0.5):
                    if not self._take(key.data):
                        selector.unregister(key.fileobj)
                if self._deadline and time.monotonic() > self._deadline:
                    return self._late()
        return self._verdict()

    def _take(self, name: str) -> bool:
        """Take what a channel has; return whether more may come."""
        if name == "keyboard":
            typed = os.read(sys.stdin.fileno(), 4096)
            if typed:
                self._channels["shell"].sendall(typed)
            return bool(typed)
        try:
            data = self._channels[name].recv(65536)
        except ConnectionResetError:
            data = b""
        if name == "control":
            self._events += data
            while b"\n" in self._events:
                line, _, self._events = self._events.partition(b"\n")
                self._event(line.decode(errors="replace"))
        elif name == "output" or self._shell:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return bool(data)

    def _event(self, line: str) -> None:
        kind, _, text = line.partition(" ")
        if kind == "say":
            say(text)
        elif kind == "failed":
            self._failure = text
        elif kind == "script":
            say("the script starts")
            self._running_script = True
            self._deadline = time.monotonic() + self._limits.script if self._limits.script else 0.0
        elif kind == "exit":
            self._status = int(text)
            self._deadline = time.monotonic() + 30
            say(f"the script ended with status {text}" if self._running_script else "the guest gave up")

    def _late(self) -> int:
        if self._status is not None:
            say("the guest did not turn itself off; it is ended")
            return self._verdict()
        if self._running_script:
            say(f"the script did not end in {self._limits.script:.0f} s: the guest is ended")
            return TIMED_OUT
        raise LabError(f"the guest was not ready in {self._limits.boot:.0f} s")

    def _verdict(self) -> int:
        if self._failure:
            raise LabError(self._failure)
        if self._status is None:
            raise LabError(f"the guest ended by itself (QEMU's exit status {self._process.wait(10)})")
        return self._status


@contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:
    """Hand every key to the guest, the ones for signals too."""
    if not (wanted and sys.stdin.isatty()):
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    # What we print ourselves still needs its carriage returns.
    now = termios.tcgetattr(sys.stdin)
    now[1] = before[1]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _evidence(results: Path) -> str:
    """Return the last that QEMU and the console said."""
    text = ""
    for name in ("qemu.log", "console.log"):
        lines: list[str] = []
        with suppress(FileNotFoundError):
            lines = (results / name).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        if lines:
            text += f"--- the end of {results / name}:\n" + "\n".join(lines) + "\n"
    return text


def _end(process: subprocess.Popen[bytes]) -> None:
    """See that QEMU is gone."""
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
