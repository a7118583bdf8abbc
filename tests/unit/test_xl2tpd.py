"""The LACs of xl2tpd become a link's settings, with the options and the secret that they name; no more is read."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from madebyhand import ALLOWED, SERVER, Put, mentions

from cablecar.helper.errors import PeerNotUsable
from cablecar.helper.imports import Foreign, Imported
from cablecar.helper.settings import check, parse

XL2TPD = """[global]
port = 1701
[lac default]
lns = nobody.example
[lac isp] ; the line at home
lns = lns.isp.example
name = other
pppoptfile = /etc/ppp/options.l2tp
redial = yes
[lac elsewhere]
lns = lns.isp.example:1702
name = u
challenge = yes
pppoptfile = /etc/passwd
[lac half]
name = u
[lns default]
lns = x
"""


def test_the_lacs_of_xl2tpd_become_links(foreign: Foreign, put: Put) -> None:
    put("etc/xl2tpd/xl2tpd.conf", XL2TPD)
    put("etc/passwd", "user evil\n")
    put("etc/ppp/options.l2tp", "user u@isp\ndefaultroute\nusepeerdns\nrefuse-chap\nmtu 1410\n")
    put("etc/ppp/pap-secrets", '"u@isp" * "geheim"\n')
    assert foreign.ids() == ["l2tp:isp", "l2tp:elsewhere"]
    found = foreign.read("l2tp:isp")
    assert found.settings == {
        "protocol": "l2tp", "server": "lns.isp.example", "user": "u@isp", "route": "all", "dns": "peer", "mtu": 1410,
        "authentication": ["pap"], "reconnect": True,
    }  # fmt: skip
    assert (found.name, found.password, found.left_out) == ("isp", "geheim", ())
    assert mentions(found.dials_too, "xl2tpd has the LAC `elsewhere`")
    found = foreign.read("l2tp:elsewhere")
    assert (found.settings["user"], found.password) == ("u", None)
    assert mentions(found.left_out, "a port of the server")
    assert mentions(found.left_out, "`/etc/passwd`", "no plain file below /etc/ppp")
    assert mentions(found.left_out, "/etc/xl2tpd/l2tp-secrets has no secret", "`tunnel_secret`")


def lac(put: Put, lines: str = "", secrets: str | bytes | None = None) -> None:
    put("etc/xl2tpd/xl2tpd.conf", f"[lac isp]\nlns = {SERVER}\nname = u\n{lines}\n")
    if secrets is not None:
        put("etc/xl2tpd/l2tp-secrets", secrets)


def of_tunnel(found: Imported) -> tuple[object, list[str]]:
    """The secret of the tunnel, and what is said of it."""
    said = [sentence for sentence in found.left_out if "`tunnel_secret`" in sentence]
    return found.settings.get("tunnel_secret"), said


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("autodial = yes", {"autoconnect": True}),
        ("AutoDial=True ; at boot", {"autoconnect": True}),
        ("autodial = no", {"autoconnect": False}),
        ("redial = no\nredial timeout = 15", {"reconnect": False}),
        ("defaultroute = Y", {"route": "all"}),
        ("refuse chap = yes\nrefuse pap = no", {"authentication": ["pap", "mschapv2"]}),
        ("ppp debug = yes", {"debug": True}),
        ("length bit = yes\nbps = 100000\n[lac other]\nautodial = yes", {}),
        ("lns = elsewhere.example", {}),
    ],
)
def test_what_a_lac_says_itself_becomes_settings(
    foreign: Foreign, put: Put, lines: str, expected: dict[str, object]
) -> None:
    lac(put, lines)
    base = {"protocol": "l2tp", "server": SERVER, "user": "u", "route": "none", "dns": "none"}
    assert foreign.read("l2tp:isp").settings == {**base, **expected}


def test_a_lac_that_is_dialed_unasked_is_told(foreign: Foreign, put: Put) -> None:
    link = parse({"protocol": "l2tp", "server": SERVER, "user": "u"})
    lac(put)
    assert not mentions(foreign.dialers("mine", link), "unasked")
    lac(put, "autodial = yes")
    (sentence,) = foreign.dialers("mine", link)
    assert mentions((sentence,), "LAC `isp`", "and dials it unasked", "`autodial`")


def test_what_has_no_setting_is_named(foreign: Foreign, put: Put) -> None:
    lac(put, "local ip = 192.0.2.1\nHostname = me\nrequire authentication = no\nlns = second.example")
    left_out = foreign.read("l2tp:isp").left_out
    assert mentions(left_out, "`hostname`, `local ip`.")
    assert mentions(left_out, "after the first")


# As guides to a VPN by L2TP and IPsec have it.
IPSEC = """config setup
conn %default
  keyexchange=ikev1
conn vpn
  type=transport
  left=%defaultroute
  leftprotoport=17/1701
  rightprotoport=17/1701
  right=203.0.113.7 # at work
"""
SWANCTL = (
    "connections {\n vpn {\n  remote_addrs = %any, 203.0.113.7\n  children { l2tp { local_ts = dynamic[udp/l2tp] } }\n"
)


@pytest.mark.parametrize(
    ("path", "text", "protected"),
    [
        ("etc/ipsec.conf", IPSEC, True),
        ("etc/ipsec.d/vpn.conf", IPSEC, True),
        ("etc/swanctl/conf.d/vpn.conf", SWANCTL, True),
        ("etc/ipsec.d/vpn.conf.old", IPSEC, False),
        ("etc/ipsec.conf", IPSEC.replace("203.0.113.7", "203.0.113.77"), False),
        ("etc/ipsec.conf", IPSEC.replace("17/1701", "47"), False),
        ("etc/ipsec.conf", IPSEC.replace("\n", "\n#"), False),
    ],
)
def test_a_lac_that_ipsec_protects_is_refused(
    foreign: Foreign, put: Put, path: str, text: str, protected: bool
) -> None:
    lac(put)
    put(path, text)
    assert foreign.ids() == ([] if protected else ["l2tp:isp"])
    if protected:
        with pytest.raises(PeerNotUsable, match="IPsec"):
            foreign.read("l2tp:isp")


# The options of pppd that a LAC names


@pytest.mark.parametrize("path", ["options.l2tp", "peers/isp", "l2tp/deep/isp-1"])
def test_options_below_pppds_folder_are_read(foreign: Foreign, put: Put, path: str) -> None:
    put(f"etc/ppp/{path}", "user u@isp\npassword geheim\nrefuse-pap\nmtu 1410\n")
    lac(put, f"pppoptfile = /etc/ppp/{path}")
    found = foreign.read("l2tp:isp")
    assert (found.settings["user"], found.password, found.settings["mtu"]) == ("u@isp", "geheim", 1410)
    assert found.settings["authentication"] == ["chap", "mschapv2"]
    assert [sentence for sentence in found.left_out if "plain file" in sentence] == []
    assert mentions(found.left_out, "no `defaultroute`")


def test_the_options_of_the_file_are_the_last_word(foreign: Foreign, put: Put) -> None:
    put("etc/ppp/o", "name v\nnodefaultroute\n")
    lac(put, "defaultroute = yes\nrefuse pap = yes\npppoptfile = /etc/ppp/o")
    found = foreign.read("l2tp:isp").settings
    assert [found[key] for key in ("user", "route", "authentication")] == ["v", "none", ["chap", "mschapv2"]]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow", "/etc/ppp/peers/../../shadow", "/etc/ppp/../shadow", "/etc/ppp//isp", "/etc/ppp/./isp",
        "/etc/ppp/", "/etc/ppp/peers", "/etc/ppp/away/shadow", "/etc/ppp/link", "/etc/ppp/fifo", "/etc/ppp/large",
        "/etc/ppp/.hidden", "/etc/ppp/nowhere", "/etc/ppp/no/where", "isp", "etc/ppp/isp", "/etc/pppisp",
        "/etc/ppp/is\x1b[2Jp", "/etc/ppp/\u2028isp", "/etc/ppp/is\udcffp", "/etc/ppp/" + "x" * 5000,
        "/etc/ppp/" + "isp/" * 900,
    ],
)  # fmt: skip
def test_options_that_are_not_read_are_named_in_one_line(foreign: Foreign, put: Put, tmp_path: Path, path: str) -> None:
    outside = put("etc/shadow", "user root\npassword hunter2\n")
    for name in ("isp", ".hidden", "peers/isp"):
        put(f"etc/ppp/{name}", "user evil\npassword hunter2\n")
    put("etc/ppp/large", "user evil\n" + "#" * 70000)
    os.mkfifo(tmp_path / "etc/ppp/fifo")
    (tmp_path / "etc/ppp/link").symlink_to(outside)
    (tmp_path / "etc/ppp/away").symlink_to(outside.parent)
    conf = f"[lac isp]\nlns = {SERVER}\nname = u\npppoptfile = {path}\n"
    put("etc/xl2tpd/xl2tpd.conf", conf.encode("utf-8", "surrogateescape"))
    found = foreign.read("l2tp:isp")
    assert (found.settings["user"], found.password) == ("u", None)
    (said,) = (sentence for sentence in found.left_out if "no plain file below /etc/ppp" in sentence)
    assert said.isprintable() and len(said) < 500
    assert not mentions(found.left_out, "no `defaultroute`"), "which nobody knows"
    put("etc/xl2tpd/xl2tpd.conf", conf.replace("name = u\n", "").encode("utf-8", "surrogateescape"))
    assert foreign.ids() == []
    with pytest.raises(PeerNotUsable, match="pppoptfile"):
        foreign.read("l2tp:isp")


# The secret of the tunnel


@pytest.mark.parametrize(
    ("secrets", "taken"),
    [
        ("* * s3cret!\n", "s3cret!"),
        ("# us them secret\n;* * no\n\n  *\t*   s3cret # the line at home", "s3cret"),
        ("* lns.isp.example s3cret\n", "s3cret"),
        ("MyHost * s3cret\n", "s3cret"),
        ("other * no\n* * s3cret\n* * later\n", "s3cret"),
        ("* a s3cret\n* b s3cret\n", "s3cret"),
        ("* " + "x" * 30 + " " + "y" * 64, "y" * 64),
    ],
)
@pytest.mark.parametrize("challenge", ["", "challenge = yes"])
def test_the_secret_of_the_tunnel_is_found_as_xl2tpd_does(
    foreign: Foreign, put: Put, secrets: str, taken: str, challenge: str
) -> None:
    put("etc/hostname", "myhost\n")
    lac(put, challenge, secrets)
    found = foreign.read("l2tp:isp")
    assert of_tunnel(found) == (taken, [])
    assert parse(found.settings).tunnel_secret == taken
    assert mentions(found.left_out, "`challenge` was left out") == bool(challenge)
    assert taken not in " ".join((*found.left_out, *found.dials_too))


def test_a_lac_has_a_name_of_its_own_in_the_secrets(foreign: Foreign, put: Put) -> None:
    put("etc/hostname", "myhost\n")
    lac(put, "hostname = Home", "myhost * no\nhome * s3cret\n")
    assert of_tunnel(foreign.read("l2tp:isp")) == ("s3cret", [])


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ("* a hunter2\n* b hunter3\n", "several secrets"),
        ("* a hunter2\n* * hunter3\n", "several secrets"),
        ("* * hunter2 hunter3\n", "without white space"),
        ("* * " + "hunter2" * 10, "at most 64"),
        ("* * hunter2\x1b[2J", "without white space"),
        ("* * hunter2\N{LATIN SMALL LETTER E WITH ACUTE}", "ASCII"),
        (b"* * hunter2\xff\n", "ASCII"),
        ('* * hunter2\\"\n'.encode("utf-16"), "no secret of this tunnel"),
        ("other * hunter2\n", "no secret of this tunnel"),
        ("* *\n*\n\0* * hunter2\n", "no secret of this tunnel"),
        ("", "no secret of this tunnel"),
        ("* * hunter2\n" + "#" * 70000, "no secret of this tunnel"),
        (None, "no secret of this tunnel"),
    ],
)
def test_a_secret_that_is_not_taken_is_told(foreign: Foreign, put: Put, secrets: str | bytes | None, said: str) -> None:
    lac(put, "challenge = yes", secrets)
    found = foreign.read("l2tp:isp")
    taken, (sentence,) = of_tunnel(found)
    assert taken is None
    assert said in sentence
    assert "hunter" not in str(found)


def test_no_secret_is_missed_where_none_is_asked_for(foreign: Foreign, put: Put) -> None:
    lac(put, "challenge = no")
    assert of_tunnel(foreign.read("l2tp:isp")) == (None, [])


def test_secrets_kept_elsewhere_are_not_followed(foreign: Foreign, put: Put, tmp_path: Path) -> None:
    put("etc/shadow", "* * hunter2\n")
    lac(put, "[global]\nauth file = /etc/shadow", "* * other\n")
    taken, (sentence,) = of_tunnel(foreign.read("l2tp:isp"))
    assert taken is None
    assert "`/etc/shadow`" in sentence
    lac(put, "[global]\nauth file = /etc/xl2tpd/l2tp-secrets", "* * other\n")
    assert of_tunnel(foreign.read("l2tp:isp")) == ("other", [])
    (tmp_path / "etc/xl2tpd/l2tp-secrets").unlink()
    (tmp_path / "etc/xl2tpd/l2tp-secrets").symlink_to(tmp_path / "etc/shadow")
    assert of_tunnel(foreign.read("l2tp:isp")) == (None, [])


# Files that mean harm


def test_a_file_of_strange_lines_stays_one_of_lines(foreign: Foreign, put: Put) -> None:
    text = f"[LAC isp] x\r\nlns = {SERVER}\0evil\r\nname = u\x0bname = v\r\n[lac isp]\nautodial = yes\n"
    put("etc/xl2tpd/xl2tpd.conf", text + "\0user evil\n[lac a\x1bb]\nlns = x\nname = u\n")
    assert foreign.ids() == []  # a name with a control character is none
    put("etc/xl2tpd/xl2tpd.conf", text.replace("\x0bname = v", "") + "\0user evil\n")
    found = foreign.read("l2tp:isp").settings
    assert [found[key] for key in ("server", "user", "autoconnect")] == [SERVER, "u", True]


def test_a_user_that_is_not_in_utf_8_is_refused_and_not_changed(foreign: Foreign, put: Put) -> None:
    put("etc/xl2tpd/xl2tpd.conf", f"[lac isp]\nlns = {SERVER}\nname = us".encode() + b"\xe9r\n")
    with pytest.raises(PeerNotUsable, match="UTF-8"):
        foreign.read("l2tp:isp")


KEYS = (
    "name",
    "lns",
    "pppoptfile",
    "autodial",
    "redial",
    "challenge",
    "hostname",
    "auth file",
    "[lac isp]",
    "[global]",
)
VALUES = st.one_of(st.text(max_size=30), st.sampled_from(["yes", "no", "/etc/ppp/o", SERVER, "me", "x" * 3000]))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=12), st.binary(max_size=60), st.text(max_size=60))
def test_nothing_but_settings_comes_out_of_a_lac(
    tmp_path: Path, foreign: Foreign, put: Put, lines: list[tuple[str, str]], options: bytes, secrets: str
) -> None:
    text = f"[lac isp]\nlns = {SERVER}\nname = u\n" + "".join(f"{key} = {value}\n" for key, value in lines)
    put("etc/xl2tpd/xl2tpd.conf", text.encode("utf-8", "surrogatepass"))
    put("etc/xl2tpd/l2tp-secrets", f"* * {secrets}\n".encode("utf-8", "surrogatepass"))
    put("etc/ppp/o", options)
    for peer in foreign.ids():
        try:
            found = foreign.read(peer)
        except PeerNotUsable:
            continue
        assert found.settings.keys() <= ALLOWED
        assert all(sentence.isprintable() for sentence in (*found.left_out, *found.dials_too))
        if "tunnel_secret" in found.settings:
            check("tunnel_secret", found.settings["tunnel_secret"])
