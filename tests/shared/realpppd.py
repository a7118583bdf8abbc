"""What the real pppd understands of an option file: the judge of our quoting.

pppd runs in a mount namespace of its own, as root of a user namespace when the tests are not root's. There /dev/ppp is
the null device, and /etc/ppp, /run and root's home are empty: nothing of the host's is read, and nothing can be dialed.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from namespaces import unshare

PPPD = Path("/usr/sbin/pppd")
PATIENCE = 10.0

# In a user namespace no device can be made, but the null device can be mounted once more.
_STAGE = """
set -eu
mount -t tmpfs none /mnt
mkdir -p /mnt/dev /mnt/ppp /mnt/run/cablecar
touch /mnt/dev/null /mnt/dev/ppp /mnt/ppp/options
mount --bind /dev/null /mnt/dev/null
mount --bind /dev/null /mnt/dev/ppp
mount --rbind /mnt/dev /dev
mount --bind /mnt/ppp /etc/ppp
mount --bind /mnt/ppp ~root
mount --bind /mnt/run /run
"""
# With a `logfile` of ours in the file, the dump goes there.
_DUMP_EACH = """
for file in "$@"; do
    ./pppd file "./$file" dump dryrun nodetach >"$file.dump" </dev/null 2>&1 || echo "status $?" >>"$file.dump"
    for log in /run/cablecar/*.log; do
        [ ! -e "$log" ] || { cat "$log" >>"$file.dump" && rm "$log"; }
    done
done
"""
_OPTION = re.compile(rb"(?P<name>\S*)(?: (?P<value>.*?))?(?P<cut>\n?)\t\t# \(from (?P<source>.*?)\)\n", re.DOTALL)


@dataclass(frozen=True)
class Option:
    """An option in pppd's dump: its name and its value as printed, which is cut where it is long."""

    name: bytes
    printed: bytes
    cut: bool

    def is_of(self, value: bytes) -> bool:
        """Whether this is how pppd prints `value`."""
        expected = printed(value)
        return len(self.printed) > 200 and expected.startswith(self.printed) if self.cut else expected == self.printed


def printed(value: bytes) -> bytes:
    """How pppd prints a string (`%q` of vslprintf in utils.c)."""
    out = b""
    for byte in value:
        if byte in b'"\\':
            out += b"\\" + bytes([byte])
        elif 0x20 <= byte < 0x7F or byte >= 0xA0:
            out += bytes([byte])
        else:
            out += {9: b"\\t", 10: b"\\n", 8: b"\\b", 12: b"\\f"}.get(byte, b"\\x%02x" % byte)
    return out


def dumps(files: Sequence[bytes], folder: Path) -> list[list[Option]]:
    """Return what pppd says is in effect with each of these option files; `folder` is for them to lie in."""
    _copy_pppd(folder)
    names = [f"{number:05}.peer" for number in range(len(files))]
    for name, content in zip(names, files, strict=True):
        (folder / name).write_bytes(content)
    subprocess.run(_in_namespaces(_DUMP_EACH, *names), cwd=folder, check=True, timeout=120)
    return [_options((folder / f"{name}.dump").read_bytes()) for name in names]


@contextmanager
def memory(file: bytes, folder: Path) -> Iterator[bytes]:
    """Give the static data of a pppd that has read this option file and waits for another one."""
    _copy_pppd(folder)
    (folder / "read.peer").write_bytes(file + b"file ./fifo\n")
    fifo = folder / "fifo"
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    command = _in_namespaces("exec ./pppd file ./read.peer dryrun nodetach")
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as pppd:
        try:
            held = _open_when_read(fifo)
            yield _static_data(pppd.pid)
            os.close(held)
        finally:
            pppd.kill()


def _copy_pppd(folder: Path) -> None:
    # The installed one is for root and the group dip only, but everybody may read it.
    if not (folder / "pppd").exists():
        shutil.copyfile(PPPD, folder / "pppd")
        (folder / "pppd").chmod(0o755)


def _in_namespaces(script: str, *arguments: str) -> list[str]:
    return [*unshare("--mount"), "sh", "-c", _STAGE + script, "sh", *arguments]


def _options(dump: bytes) -> list[Option]:
    heading, found, listed = dump.partition(b"pppd options in effect:\n")
    assert found, dump
    assert not heading, dump
    position, options = 0, []
    while position < len(listed):
        match = _OPTION.match(listed, position)
        assert match is not None, dump
        position = match.end()
        if match["source"] != b"command line":  # pppd 2.5 has forgotten the file's name by then
            options.append(Option(match["name"], match["value"] or b"", bool(match["cut"])))
    return options


def _open_when_read(fifo: Path) -> int:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            if time.monotonic() > end:
                raise
            time.sleep(0.001)


def _static_data(pid: int) -> bytes:
    """Return what is writable of the program and its libraries, without heap and stack: words pass through those."""
    data = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, _, _, _, *name = line.split()
            if rights.startswith("rw") and not (name and name[0].startswith("[")):
                begin, end = (int(part, 16) for part in span.split("-"))
                file.seek(begin)
                data += file.read(end - begin)
    return data
