"""Files: whole or not at all, and one broken file harms no other link."""

import fcntl
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cablecar.helper import safefile
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.errors import StorageFailed
from cablecar.helper.settings import Preset, parse
from cablecar.helper.store import Dialed, Rest, Store

SETTINGS = parse({"server": "203.0.113.7", "user": 'שלום "#\\', "authentication": ["pap"], "mtu": 1400})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    before = os.umask(0o022)  # files that a group can write are refused
    store = Store(tmp_path / "etc", tmp_path / "var", tmp_path / "run")
    for folder in (store.configuration, store.state, store.run):
        folder.mkdir()
    yield store
    os.umask(before)


def no_presets() -> dict[str, Preset]:
    return {}


class Netvision:
    """A preset as `providers.py` makes them."""

    def defaults(self, protocol: str) -> dict[str, object]:
        return {"protocol": "pptp", "server": "cable.example.net", "mtu": 1460, "encryption": "required"}


def test_a_link_goes_round(store: Store) -> None:
    store.save_link("yosefcom", SETTINGS)
    assert store.load_links(no_presets).links == {"yosefcom": SETTINGS}
    assert (store.configuration / "links/yosefcom.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "server = ",
        "server = " + "[" * 30000,
        "mtu = " + "1" * 5000,
        'server = "x"\nuser = "u"\npty = "sh"\n',
        "\xff",
        'server = "x"\n',
        "x" * 70000,
    ],
)
def test_a_broken_file_is_named_and_harms_no_other(
    store: Store, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_link("good", SETTINGS)
    (store.configuration / "links/bad.toml").write_text(content, "latin-1")
    with caplog.at_level(logging.ERROR):
        loaded = store.load_links(no_presets)
    assert list(loaded.links) == ["good"]
    assert "bad.toml" in loaded.broken["bad"]
    assert "bad.toml" in caplog.text


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('# ours\nserver = "x.example"\nuser = "u"\n\nmtu = 5\n', "line 5"),
        ('server = "x.example"\n"route" = "some"\nuser = "u"', "line 2"),
        ('server = "x.example"\nuser = "u\n', "line 2"),
        ('server = "x.example"\n', "`user` is missing"),
        ('server = "x.example"\nuser = "u"\nmut = 1400\n', "line 3: There is no setting `mut`"),
        ('server = "x.example"\nuser = "u"\n[link]\nmtu = 1400\n', "line 3: There is no setting `link`"),
        ('server = "x.example"\nuser = "u"\ndns.first = "192.0.2.53"\n', "line 3: The setting `dns`"),
        ('server = "x.example"\nuser = "u"\n[[ "share" ]]\nname = "eth1"\n', "line 3: The setting `share`"),
    ],
)
def test_the_line_that_is_wrong_is_named(store: Store, content: str, where: str) -> None:
    store.save_link("good", SETTINGS)
    (store.configuration / "links/bad.toml").write_text(content)
    assert where in store.load_links(no_presets).broken["bad"]


def test_a_file_that_others_can_write_is_refused(store: Store) -> None:
    store.save_link("open", SETTINGS)
    (store.configuration / "links/open.toml").chmod(0o620)
    assert "chmod go-w" in store.load_links(no_presets).broken["open"]


def test_what_people_wrote_around_the_settings_stays(store: Store) -> None:
    path = store.configuration / "links/yosefcom.toml"
    path.parent.mkdir()
    text = '# my line\nserver = "a.example" # the old one\n\nuser = "u"\nmtu = 1400   # by trying\nreconnect = true\n'
    path.write_text(text)
    settings = store.load_link("yosefcom", no_presets)
    store.save_link("yosefcom", settings)
    assert path.read_text() == text
    store.save_link("yosefcom", replace(settings, server="b.example", mtu=0, debug=True))
    assert path.read_text() == text.replace("a.example", "b.example").replace("1400", "0") + "debug = true\n"
    assert store.load_link("yosefcom", no_presets) == replace(settings, server="b.example", mtu=0, debug=True)


LIST = """server = "x"
user = "u"
authentication = [
    "pap",  # as the bill says
    # what the neighbour has
    "mschapv2",  # seen
]
"""


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (("pap", "mschapv2"), LIST),
        (("mschapv2",), LIST.replace('    "pap",  # as the bill says\n', "")),
        (("pap", "chap", "mschapv2"), LIST.replace('    "msch', '    "chap",\n    "msch')),
        ((), "authentication = [\n    # what the neighbour has\n]"),
    ],
)
def test_what_people_wrote_inside_a_list_stays(store: Store, methods: tuple[str, ...], expected: str) -> None:
    path = store.configuration / "links/a.toml"
    path.parent.mkdir()
    path.write_text(LIST)
    store.save_link("a", replace(store.load_link("a", no_presets), authentication=methods))
    assert expected in path.read_text()
    assert store.load_link("a", no_presets).authentication == methods


def test_a_list_whose_order_says_something_gets_it(store: Store) -> None:
    store.save_link("a", replace(SETTINGS, route=("10.0.0.0/8", "192.0.2.0/24")))
    store.save_link("a", replace(SETTINGS, route=("192.0.2.0/24", "10.0.0.0/8")))
    assert store.load_link("a", no_presets).route == ("192.0.2.0/24", "10.0.0.0/8")
    store.save_link("a", SETTINGS)
    assert store.load_link("a", no_presets).route == "all"


ROUTE = """server = "x"
user = "u"
route = [
    "10.0.0.0/8",  # the office
    # what the neighbour has
    "192.0.2.0/24",  # seen
    "198.51.100.0/24",  # tried
]
"""


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (
            (1, 2, 0),
            ROUTE.replace('    "10.0.0.0/8",  # the office\n', "").replace("tried\n", 'tried\n    "10.0.0.0/8",\n'),
        ),
        (
            (2, 0, 1),
            ROUTE.replace('    "198.51.100.0/24",  # tried\n', "").replace(
                '    "10', '    "198.51.100.0/24",\n    "10'
            ),
        ),
    ],
)
def test_what_people_wrote_beside_entries_that_keep_their_order_stays(
    store: Store, order: tuple[int, ...], expected: str
) -> None:
    path = store.configuration / "links/a.toml"
    path.parent.mkdir()
    path.write_text(ROUTE)
    settings = store.load_link("a", no_presets)
    route = tuple(settings.route[place] for place in order)
    store.save_link("a", replace(settings, route=route))
    assert path.read_text() == expected
    assert store.load_link("a", no_presets).route == route


COMMAS_FIRST = """server = "x"
user = "u"
route = [
    "10.0.0.0/8" # the office
  , "192.0.2.0/24" # seen
  , "198.51.100.0/24"
] # mine
"""


@pytest.mark.parametrize("kept", [(0,), (2,), (0, 2), (2, 1), (1, 0, 2)])
def test_a_list_with_its_commas_first_stays_a_list(store: Store, kept: tuple[int, ...]) -> None:
    path = store.configuration / "links/a.toml"
    path.parent.mkdir()
    path.write_text(COMMAS_FIRST)
    settings = store.load_link("a", no_presets)
    changed = replace(settings, route=(*(settings.route[place] for place in kept), "203.0.113.0/24"))
    store.save_link("a", changed)
    assert store.load_link("a", no_presets) == changed
    assert path.read_text().endswith("] # mine\n")


def test_a_new_file_begins_with_the_remarks(store: Store) -> None:
    store.save_link("a", SETTINGS, ["`pty` was left out.", "Cron dials it too."])
    lines = (store.configuration / "links/a.toml").read_text().splitlines()
    assert lines[1:3] == ["# `pty` was left out.", "# Cron dials it too."]


def test_a_preset_fills_in_what_the_file_leaves_out(store: Store) -> None:
    path = store.configuration / "links/a.toml"
    path.parent.mkdir()
    path.write_text('provider = "netvision"\nuser = "u"\nmtu = 1400\n')
    settings = store.load_link("a", lambda: {"netvision": Netvision()})
    assert (settings.server, settings.mtu, settings.encryption) == ("cable.example.net", 1400, "required")
    # What a file says in full holds without the preset, and whatever the preset says later.
    store.save_link("a", replace(settings, encryption="no"))
    assert store.load_link("a", no_presets).encryption == "no"
    assert store.load_link("a", lambda: {"netvision": Netvision()}).encryption == "no"


def test_a_preset_that_is_not_there_is_named(store: Store) -> None:
    path = store.configuration / "links/a.toml"
    path.parent.mkdir()
    path.write_text('provider = "netvision"\nuser = "u"\n')
    assert "line 1" in store.load_links(no_presets).broken["a"]


def test_what_a_call_was_dialed_with_goes_round(store: Store) -> None:
    assert store.dialed("a") is None
    call = Dialed(SETTINGS, 1.0, 2.0, 3.0)
    store.leave("a", call)
    assert (store.dialed("a"), store.rest("a")) == (call, None)
    rest = Rest("waiting", "no-cable", 4.0, 5, 6.0)
    store.leave("a", rest)
    assert (store.dialed("a"), store.rest("a")) == (None, rest)
    for damaged in ("[]", "{", '{"dialed": {}}', '{"rest": {"odd": 1}}', '{"dialed": {"settings": {"user": "u"}}}'):
        (store.run / "a.json").write_text(damaged)
        assert (store.dialed("a"), store.rest("a")) == (None, None)


def test_a_file_that_is_no_file_does_not_hold_us(store: Store) -> None:
    store.save_link("good", SETTINGS)
    os.mkfifo(store.configuration / "links/fifo.toml")
    (store.configuration / "links/away.toml").symlink_to("/etc/passwd")
    (store.configuration / "links/folder.toml").mkdir()
    (store.configuration / "links/Up Per.toml").write_text('server = "x"\nuser = "u"\n')
    loaded = store.load_links(no_presets)
    assert list(loaded.links) == ["good"]
    assert all("not a plain file" in loaded.broken[name] for name in ("fifo", "away", "folder"))


def test_what_an_editor_keeps_beside_a_file_is_no_settings_file(store: Store) -> None:
    store.save_link("good", SETTINGS)
    (store.configuration / "links/.#good.toml").symlink_to("root@host.1234")
    assert not store.load_links(no_presets).broken


def test_a_file_may_begin_with_the_mark_of_some_editors(store: Store) -> None:
    path = store.configuration / "links/a.toml"
    store.save_link("a", SETTINGS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert store.load_link("a", no_presets) == SETTINGS
    store.save_link("a", replace(SETTINGS, mtu=1300))
    assert store.load_link("a", no_presets).mtu == 1300


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


@pytest.mark.parametrize(
    ("content", "password"), [(b"secret\n", b"secret"), (b" x \n", b" x "), (b"\n", None), (b"", None)]
)
def test_who_writes_a_password_file_may_end_its_line(store: Store, content: bytes, password: bytes | None) -> None:
    store.save_password("a", content)
    assert store.password("a") == password


@pytest.mark.parametrize("content", [b"se\0cret", b"secret" * 43, b"secret\r\n", b"secret\n\n", b"secret\xff"])
def test_a_password_file_that_holds_none_is_named_and_not_shown(store: Store, content: bytes) -> None:
    store.save_password("a", content)
    with pytest.raises(StorageFailed) as refusal:
        store.password("a")
    said = str(refusal.value).removeprefix(f"{store.configuration}/secrets/a: The password ")
    assert said != str(refusal.value)
    assert "cret" not in said


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


ERRANDS = ("lookup", "resolv", "addresses", "probe", "probed")


def test_a_start_removes_the_questions_of_a_killed_helper_and_nothing_else(store: Store) -> None:
    for kind in (*ERRANDS, "log", "byhand.log", "json", "hooks"):
        (store.run / f"a.{kind}").write_text("x")
    store.sweep()
    assert {path.name for path in store.run.iterdir()} == {"a.log", "a.byhand.log", "a.json", "a.hooks"}


def test_nothing_of_a_forgotten_link_stays_in_run(store: Store) -> None:
    written = [ending for carrier in BY_PROTOCOL.values() for ending in carrier.endings]
    for kind in (*ERRANDS, "log", "byhand.log", "json", "hooks", *written):
        (store.run / f"a.{kind}").write_text("x")
        (store.run / f"ab.{kind}").write_text("x")
    store.forget("a")
    assert {path.name.partition(".")[0] for path in store.run.iterdir()} == {"ab"}


def test_the_record_of_scripts_that_run_is_left_to_them(store: Store) -> None:
    with (store.run / "a.hooks").open("w") as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        store.forget("a")
        assert (store.run / "a.hooks").exists()
