"""One virtual machine: QEMU's command line and process, and the channels to it."""

import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.lab.host.job import REPOSITORY
from tests.lab.host.tree import Tree

# What ends in standard output, what the agent says and is told, and the shell's terminal.
OUTPUT, CONTROL, SHELL = "output", "control", "shell"

# The processor's own clock is the host's, the same on both processors; the kernel would take a timer chip instead, and
# each look at that stops the emulation. Nor shall it test whether that chip interrupts in time: on a loaded machine it
# does not, and the boot ends there.
_KERNEL_LINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr net.ifnames=0 audit=0 tsc=reliable no_timer_check "
    "systemd.unit=lab.target systemd.show_status=false systemd.log_target=kmsg"
)
_TAIL_LINES = 40


def _fixed_options() -> list[str]:
    options = ["-nodefaults", "-no-user-config", "-no-reboot"]
    # Software emulation everywhere: that /dev/kvm exists does not mean that it works.
    options += ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2G"]
    # A graphics card that nobody looks at gives the guest its virtual terminals, and so seat0.
    options += ["-display", "none", "-vga", "std", "-nic", "none", "-append", _KERNEL_LINE]
    return options


class Machine:
    """A running guest.

    Attributes:
        channels: our ends of what connects us with it.
        results: the folder of this machine that the guest sees as /mnt/results.
    """

    def __init__(self, tree: Tree, ramdisk: Path, results: Path) -> None:
        """Start TREE with RAMDISK."""
        self.results = results
        pairs = {name: socket.socketpair() for name in (OUTPUT, CONTROL, SHELL)}
        command = ["qemu-system-x86_64", *_fixed_options()]
        command += ["-kernel", str(tree.kernel), "-initrd", str(ramdisk)]
        command += _devices(tree, results, {name: pair[1].fileno() for name, pair in pairs.items()})
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
        self.channels = {name: pair[0] for name, pair in pairs.items()}

    def tell(self, word: str) -> None:
        """Tell the guest's agent one line."""
        with suppress(BrokenPipeError):
            self.channels[CONTROL].sendall(word.encode() + b"\n")

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
        for channel in self.channels.values():
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
    return options


def _escaped(path: Path) -> str:
    """Return PATH for a value in QEMU's options, where a comma ends it."""
    return str(path).replace(",", ",,")
