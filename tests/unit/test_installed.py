"""The installed pppd's version: read once, and again when another one is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cablecar.helper.installed import OLDEST, PPPD, Pppd


def install(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.rename(path)


def test_it_is_read_once_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    read_bytes = Path.read_bytes

    def counting(path: Path) -> bytes:
        reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    pppd = Pppd(tmp_path / "pppd")
    install(tmp_path / "pppd", b"\x7fELF\0/usr/lib/pppd/2.4.9\0more")
    assert [pppd.version() for _ in range(3)] == [(2, 4, 9)] * 3
    install(tmp_path / "pppd", b"\x7fELF\0/usr/lib/x86_64-linux-gnu/pppd/2.5.2\0")
    assert [pppd.version() for _ in range(3)] == [(2, 5, 2)] * 3
    assert len(reads) == 2


@pytest.mark.parametrize("content", [b"", b"\0/usr/lib/pppd/x.y.z\0", b"/run/pppd/2.5.2.pid\0"])
def test_one_that_does_not_tell_is_taken_for_the_oldest(tmp_path: Path, content: bytes) -> None:
    install(tmp_path / "pppd", content)
    assert Pppd(tmp_path / "pppd").version() == OLDEST


def test_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Pppd(tmp_path / "pppd").version()


def test_the_real_one_is_what_it_says_itself(tmp_path: Path) -> None:
    # The installed one is for root and the group dip only, but everybody may read it.
    copy = shutil.copyfile(PPPD, tmp_path / "pppd")
    copy.chmod(0o755)
    said = subprocess.run([copy, "--version"], check=False, capture_output=True, text=True)
    assert "pppd version {}.{}.{}".format(*Pppd().version()) in said.stdout + said.stderr
