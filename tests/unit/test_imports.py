"""What was made by hand becomes a link's settings: the HOWTO's files as they stand, names, and files that mean harm."""

import logging
import os
from pathlib import Path

import pytest
from madebyhand import HOWTO_EXTENDER, HOWTO_INTERFACES, SERVER, Put, howto, mentions, peer, plain, profile

from cablecar.helper.errors import NoSuchPeer
from cablecar.helper.imports import Foreign, Imported
from cablecar.helper.settings import Settings, parse


def test_the_howtos_peer_becomes_a_link(foreign: Foreign, put: Put) -> None:
    howto(put)
    profile(put, "[connection]\nid=wired\ntype=ethernet\n", "wired")
    assert foreign.ids() == ["yosefcom"]
    assert foreign.read("yosefcom") == Imported(
        name="yosefcom_2",
        settings={
            "protocol": "pptp",
            "server": SERVER,
            "user": "yosef@C012",
            "authentication": ["pap"],
            "reconnect": True,
            "route": "all",
            "dns": "peer",
            "title": "yosefcom",
        },
        password="Pass word#1",
        left_out=(),
        dials_too=(),
    )


def test_what_the_howto_adds_is_found(foreign: Foreign, put: Put, tmp_path: Path) -> None:
    howto(put)
    put("etc/ppp/ip-up.d/05peer-specific", HOWTO_EXTENDER)
    put("etc/ppp/ip-up.d/0000usepeerdns", '#!/bin/sh\n[ "$USEPEERDNS" ] || exit 0\n')
    put("etc/ppp/ip-up.d/50log", "#!/bin/sh\nlogger $LINKNAME\n")
    put("etc/ppp/ip-up.d/yosefcom/50route", "#!/bin/sh\n")
    put("etc/network/interfaces", HOWTO_INTERFACES)
    put("etc/crontab", "SHELL=/bin/sh\n\n*/5 * * * * root /usr/local/bin/check-ppp-connection yosefcom\n")
    put("run/ppp-yosefcom.pid", "123\nppp0\n")
    found = foreign.read("yosefcom")
    assert found.settings["autoconnect"] is True
    assert mentions(found.left_out, "/etc/ppp/ip-up.d/05peer-specific", "twice")
    assert not mentions(found.left_out, "0000usepeerdns")
    assert mentions(found.left_out, "/etc/ppp/ip-up.d/yosefcom/", "/etc/ppp/ip-up.d/yosefcom_2/")
    assert mentions(found.left_out, "/etc/network/interfaces, line 3,", "route to the server")
    assert mentions(found.dials_too, "/etc/network/interfaces, line 6,", "`yosefcom` at boot")
    assert mentions(found.dials_too, "/etc/crontab, line 3,", "`yosefcom`")
    assert mentions(found.dials_too, "pppd seems to run", "`persist`")
    assert (len(found.left_out), len(found.dials_too)) == (3, 3)


def test_nothing_is_written(foreign: Foreign, put: Put, tmp_path: Path) -> None:
    howto(put)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in tmp_path.rglob("*")}
    foreign.read("yosefcom")
    foreign.dialers("yosefcom_2", Settings(SERVER, "u"))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in tmp_path.rglob("*")} == before


# Names and files


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("Yosefcom", "yosefcom"),
        ("my-isp.peer", "my_isp_peer"),
        ("012", "link_012"),
        ("--", "link"),
        ("ÖBB Wien", "obb_wien"),
        ("שלום", "link"),
        ("a" * 60, "a" * 31),
        ("$(touch x)", "touch_x"),
        ("9" * 60, "link_" + "9" * 26),
    ],
)
def test_a_name_is_suggested_that_a_link_can_have(foreign: Foreign, put: Put, name: str, suggested: str) -> None:
    peer(put, plain(), name)
    assert foreign.read(name).name == suggested
    put(f"etc/cablecar/links/{suggested}.toml", "")
    put(f"etc/ppp/peers/{suggested[:27]}_2", "")
    assert foreign.read(name).name == f"{suggested[:27]}_3"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../../../tmp/evil", "/etc/shadow", "peers/p", "p/", "p\n", "-v", " p", "p ", "P", "p\0", "all",
     "$(touch /tmp/pwned-1)", "`touch /tmp/pwned-2`", "%i%n%%", "ÿ", "\u202etxt", "a" * 70000, "nm:", "nm:../p", "nm:p",
     "../pap-secrets", "pap-secrets", "sub/p", "p~", ".p", "\udcff"],
)  # fmt: skip
def test_a_name_is_compared_and_never_followed(foreign: Foreign, put: Put, name: str) -> None:
    peer(put, plain())
    for path in ("etc/ppp/peers/p~", "etc/ppp/peers/.p", "etc/ppp/peers/sub/p", "etc/ppp/pap-secrets", "etc/shadow"):
        put(path, plain())
    assert foreign.ids() == ["p"]
    with pytest.raises(NoSuchPeer):
        foreign.read(name)


@pytest.mark.parametrize("name", ["$(touch x)", "a b", "-v", "`x`", "%n", "a" * 255, "nm"])
def test_a_strange_name_of_a_file_stays_a_name(foreign: Foreign, put: Put, name: str) -> None:
    peer(put, plain(), name)
    assert foreign.ids() == [name]
    assert parse(foreign.read(name).settings).server == SERVER


@pytest.mark.parametrize("name", [b"a\nb", b"a\x1b[2J", "\u202etxt".encode(), b"\xff"])
def test_a_name_that_cannot_be_shown_is_left_out(foreign: Foreign, tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / "etc/ppp/peers"
    folder.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(plain())
    assert foreign.ids() == []


def test_what_is_no_plain_file_does_not_hold_us(
    foreign: Foreign, put: Put, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = put("etc/shadow", plain())
    peer(put, plain(), "good")
    for folder, suffix in (("etc/ppp/peers", ""), ("etc/NetworkManager/system-connections", ".nmconnection")):
        (tmp_path / folder / "dir").mkdir(parents=True)
        os.mkfifo(tmp_path / folder / f"fifo{suffix}")
        (tmp_path / folder / f"away{suffix}").symlink_to(outside)
        (tmp_path / folder / f"dangling{suffix}").symlink_to("nowhere")
        put(f"{folder}/large{suffix}", plain() + "#" * 10_000_000)
    for path in ("etc/ppp/pap-secrets", "etc/crontab", "etc/network/interfaces", "var/spool/cron/crontabs/root"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / path)
    (tmp_path / "etc/ppp/ip-up.d").symlink_to("nowhere")
    (tmp_path / "etc/ppp/chap-secrets").symlink_to(put("etc/elsewhere", "u * one\n"))
    with caplog.at_level(logging.WARNING):
        assert foreign.ids() == ["good"]
        assert foreign.read("good").password is None
    assert "large" in caplog.text
    assert "pap-secrets" in caplog.text


def test_an_empty_machine_has_nothing(foreign: Foreign) -> None:
    assert foreign.ids() == []
    assert foreign.dialers("a", Settings(SERVER, "u")) == ()
