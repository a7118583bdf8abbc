"""The old file or the new one, whatever comes in between: a full disk, a kill at any point."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cablecar.helper import safefile
from cablecar.helper.errors import StorageFailed

OLD, NEW = b"a" * 20000, b"b" * 30000
WRITE_FOR_EVER = """
import sys
from pathlib import Path
from cablecar.helper.safefile import replace
path = Path(sys.argv[1])
print("begun", flush=True)
while True:
    replace(path, b"a" * 20000)
    replace(path, b"b" * 30000)
"""
WRITE_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from cablecar.helper.errors import StorageFailed
from cablecar.helper.safefile import replace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (25000, 25000))
try:
    replace(Path(sys.argv[1]), b"b" * 30000)
except StorageFailed as error:
    print(error)
"""


def test_a_kill_at_any_moment_leaves_one_of_the_two(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_bytes(OLD)
    chance = random.Random(7)
    found = set()
    for _ in range(25):
        with subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.01))  # the moment is the test's subject
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert content in (OLD, NEW)
        found.add(content)
        # What a kill leaves behind is one file of a known name, which the next write clears away.
        assert {entry.name for entry in tmp_path.iterdir()} <= {"settings", ".settings.cablecar-new"}
    assert found == {OLD, NEW}, "the kills came too late or too early to show anything"


def test_removing_takes_what_a_kill_left_behind(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / ".secret.cablecar-new").write_text("y")
    safefile.remove(tmp_path / "secret")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(StorageFailed):
            safefile.read(tmp_path / "folder")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_disk_without_room_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-c", WRITE_ON_A_FULL_DISK, path], capture_output=True, text=True, check=True
    )
    assert "Nothing was changed" in done.stdout
    assert path.read_bytes() == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings"]
