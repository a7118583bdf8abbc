"""Files: whole or not at all, and one broken file harms no other link."""

import logging
import os
from pathlib import Path

import pytest

from cablecar.helper import safefile
from cablecar.helper.errors import StorageFailed
from cablecar.helper.settings import parse
from cablecar.helper.store import Store

SETTINGS = parse({"server": "203.0.113.7", "user": 'שלום "#\\', "authentication": ["pap"], "mtu": 1400})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "etc", tmp_path / "var")
    store.configuration.mkdir()
    store.state.mkdir()
    return store


def test_a_link_goes_round(store: Store) -> None:
    store.save_link("yosefcom", SETTINGS)
    assert store.load_links() == {"yosefcom": SETTINGS}
    assert (store.configuration / "links/yosefcom.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", ["server = ", 'server = "x"\nuser = "u"\npty = "sh"\n', "\xff", 'server = "x"\n', "x" * 70000]
)
def test_a_broken_file_is_named_and_harms_no_other(
    store: Store, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_link("good", SETTINGS)
    (store.configuration / "links/bad.toml").write_text(content, "latin-1")
    with caplog.at_level(logging.ERROR):
        assert list(store.load_links()) == ["good"]
    assert "bad.toml" in caplog.text


def test_a_file_that_is_no_file_does_not_hold_us(store: Store) -> None:
    store.save_link("good", SETTINGS)
    os.mkfifo(store.configuration / "links/fifo.toml")
    (store.configuration / "links/away.toml").symlink_to("/etc/passwd")
    (store.configuration / "links/Up Per.toml").write_text('server = "x"\nuser = "u"\n')
    assert list(store.load_links()) == ["good"]


def test_passwords_and_wishes(store: Store) -> None:
    assert (store.password("a"), store.wish("a")) == (None, None)
    store.save_password("a", b"\xd7\xa9 x")
    store.save_wish("a", 1000)
    assert (store.password("a"), store.wish("a")) == (b"\xd7\xa9 x", 1000)
    assert (store.configuration / "secrets/a").stat().st_mode & 0o777 == 0o600
    (store.state / "wishes/a").write_text("garbage")
    assert store.wish("a") is None
    store.save_link("a", SETTINGS)
    store.forget("a")
    assert not [path for path in store.configuration.rglob("*") if path.is_file()]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    safefile.replace(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StorageFailed, match="No space left"):
        safefile.replace(path, b"new")
    monkeypatch.undo()
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a", b"old")]


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_bytes(b"root")
    (tmp_path / "a").symlink_to(tmp_path / "shadow")
    safefile.replace(tmp_path / "a", b"new")
    assert (tmp_path / "shadow").read_bytes() == b"root"
    with pytest.raises(FileNotFoundError):
        safefile.read(tmp_path / "none")
