"""What was made by hand becomes a link's settings: the HOWTO's files as they stand, and files that mean harm."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cablecar.helper import networkmanager, peers, pppfiles
from cablecar.helper.errors import NoSuchPeer, PeerNotUsable
from cablecar.helper.imports import Foreign, Imported
from cablecar.helper.settings import Settings, parse

SERVER = "203.0.113.7"
# All that an import may ever set.
ALLOWED = {
    "protocol", "server", "user", "title", "authentication", "encryption", "interface", "autoconnect", "reconnect",
    "route", "dns", "mtu", "ipv6", "debug",
}  # fmt: skip

HOWTO_PEER = f"""\
# Yosefcom Internet Services connection options

linkname yosefcom

user yosef@C012
                # you authenticate to the server as this user; this should be
                # the same name as in the pap-secrets file entry (i.e. if
                # you added the ISP code there, add it here also)

pty "/usr/sbin/pptp {SERVER} --nolaunchpppd"

nobsdcomp       # 'BSD-compress' will not be used, so let's disable it
nodeflate       # 'Deflate' will not be used, so let's disable it

hide-password   # does not show the password when logging

noauth          # does not require the remote server to authenticate itself
persist         # if link is broken, try to reestablish it rather
                # than exit immediately

usepeerdns      # eventually, cause a modification of /etc/resolv.conf to use 2
                # DNS server whose addresses are provided by the peer.
                # This may or may not be what you want to do, so be careful.

defaultroute
replacedefaultroute
                # Use this PPP connection as the default route,
                # i.e. by default, outgoing packets will be routed through it;
                # also, restore the previous default route when the PPP
                # connection comes down

#debug          # enable this for more verbose logging by pppd
#kdebug 4       # enable this for _yet_more_ verbose logging by pppd
"""
HOWTO_SECRETS = f'yosef@C012  {SERVER}  "Pass word#1"\n'
HOWTO_EXTENDER = """\
#!/bin/sh
# run peer-specific (or, rather, linkname-specific) scripts

if [ -n "$LINKNAME" ] ; then
        run-parts /etc/ppp/ip-up.d/$LINKNAME
fi

exit 0
"""
HOWTO_INTERFACES = f"""\
auto lo eth0 ppp0
iface lo inet loopback
iface eth0 inet dhcp
        up ip route replace {SERVER} dev eth0
        up ip route replace 192.0.2.1 dev eth0
iface ppp0 inet ppp
    provider yosefcom
"""
PLAIN = {"protocol": "pptp", "server": SERVER, "user": "u", "route": "none", "dns": "none"}
PPTP_PROFILE = """\
[connection]
id=Office (old)
uuid=6a2e1c0e-5d2b-4f3a-9b6e-0d3c1f6f2a11
type=vpn
autoconnect=false
permissions=user:alice:;

[vpn]
gateway=vpn.isp.example
password-flags=0
refuse-chap=yes
refuse-eap=yes
refuse-mschap=yes
refuse-pap=yes
require-mppe-128=yes
mppe-stateful=yes
user=yosef
domain=ISP
service-type=org.freedesktop.NetworkManager.pptp

[vpn-secrets]
password=a\\\\b\\sc=d;#

[ipv4]
dns=198.51.100.1;198.51.100.2;
method=auto
never-default=true
route1=10.0.0.0/8,10.0.0.1,100
route2=192.168.7.0/24

[ipv6]
method=auto
"""
L2TP_PROFILE = """\
[connection]
id=yosefcom
uuid=0b1c3c8e-9a0c-4d0f-8b32-6f1f2f4b7c22
type=vpn

[vpn]
gateway=203.0.113.7
mtu=1400
mru=1400
password-flags=1
user=yosef@C012
service-type=org.freedesktop.NetworkManager.l2tp
"""

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a file below the test's root."""

    def write(path: str, content: str | bytes) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    return Foreign(tmp_path)


def peer(put: Put, content: str | bytes, name: str = "p") -> None:
    put(f"etc/ppp/peers/{name}", content)


def plain(options: str = "") -> str:
    return f'pty "pptp {SERVER} --nolaunchpppd"\nuser u\n{options}\n'


def profile(put: Put, content: str | bytes, name: str = "p") -> None:
    put(f"etc/NetworkManager/system-connections/{name}.nmconnection", content)


def mentions(sentences: tuple[str, ...], *texts: str) -> bool:
    return any(all(text in sentence for text in texts) for sentence in sentences)


def howto(put: Put) -> None:
    peer(put, HOWTO_PEER, "yosefcom")
    put("etc/ppp/pap-secrets", HOWTO_SECRETS)


# The HOWTO's reader


def test_the_howtos_peer_becomes_a_link(foreign: Foreign, put: Put) -> None:
    howto(put)
    profile(put, "[connection]\nid=wired\ntype=ethernet\n", "wired")
    assert foreign.list() == ["yosefcom"]
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


def test_pptpsetups_peer_becomes_a_link(foreign: Foreign, put: Put) -> None:
    peer(
        put,
        "# written by pptpsetup\n"
        'pty "/usr/sbin/pptp vpn.isp.example --nolaunchpppd"\n'
        "lock\nnoauth\nnobsdcomp\nnodeflate\n"
        "name DOM\\\\yosef\nremotename office\nipparam office\nrequire-mppe-128\nfile /etc/ppp/options.pptp\n",
        "office",
    )
    put("etc/ppp/chap-secrets", '\n# added by pptpsetup for office\nDOM\\\\yosef office "p\\x22\\x20q" *\n')
    put("etc/ppp/options.pptp", "refuse-pap\nrefuse-chap\nconnect /bin/evil\n")
    found = foreign.read("office")
    assert found.settings == {
        "protocol": "pptp",
        "server": "vpn.isp.example",
        "user": "DOM\\yosef",
        "authentication": ["chap", "mschapv2"],
        "encryption": "required",
        "route": "none",
        "dns": "none",
        "title": "office",
    }
    assert found.password == 'p" q'
    assert mentions(found.left_out, "`file`")
    assert mentions(found.left_out, "`defaultroute`")


def test_pppoeconfs_peer_becomes_a_link(foreign: Foreign, put: Put) -> None:
    text = (
        'noipdefault\ndefaultroute\nhide-password\nnoauth\npersist\nplugin rp-pppoe.so {}\nuser "u@isp"\nusepeerdns\n'
    )
    peer(put, text.format("nic-cab0"), "dsl")
    put("etc/ppp/chap-secrets", '"u@isp" * "geheim"\n')
    put("etc/ppp/pap-secrets", '"u@isp" * "geheim"\n')
    found = foreign.read("dsl")
    assert found.settings == {
        "protocol": "pppoe",
        "server": "",
        "service": "",
        "user": "u@isp",
        "interface": "cab0",
        "reconnect": True,
        "route": "all",
        "dns": "peer",
        "title": "dsl",
    }
    assert (found.password, found.left_out) == ("geheim", ())
    peer(put, text.format("rp_pppoe_service 'my isp' rp_pppoe_ac ac1 eth1"), "dsl")
    found = foreign.read("dsl")
    assert [found.settings[key] for key in ("server", "service", "interface")] == ["ac1", "my isp", "eth1"]
    assert not found.left_out


PPPOE_PROFILE = """[connection]
id=dsl
type=pppoe
[pppoe]
parent=eth1
service=my isp
username=u@isp
password=geheim
[ppp]
refuse-eap=true
mtu=1480
[ipv4]
method=auto
"""


def test_a_pppoe_profile_of_network_manager_becomes_a_link(foreign: Foreign, put: Put) -> None:
    profile(put, PPPOE_PROFILE)
    assert foreign.list() == ["nm:p"]
    found = foreign.read("nm:p")
    assert found.settings == {
        "protocol": "pppoe", "server": "", "service": "my isp", "user": "u@isp", "interface": "eth1", "mtu": 1480,
    }  # fmt: skip
    assert (found.name, found.password, found.left_out) == ("dsl", "geheim", ())
    assert parse(found.settings).service == "my isp"


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
    assert foreign.list() == ["l2tp:isp", "l2tp:elsewhere"]
    found = foreign.read("l2tp:isp")
    assert found.settings == {
        "protocol": "l2tp", "server": "lns.isp.example", "user": "u@isp", "route": "all", "dns": "peer", "mtu": 1410,
        "authentication": ["pap"],
    }  # fmt: skip
    assert (found.name, found.password, found.left_out) == ("isp", "geheim", ())
    assert mentions(found.dials_too, "xl2tpd has the LAC `elsewhere`")
    found = foreign.read("l2tp:elsewhere")
    assert (found.settings["user"], found.password) == ("u", None)
    assert mentions(found.left_out, "the secret of the tunnel itself")


# Peer files


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("refuse-pap -chap", {"authentication": ["mschapv2"]}),
        ("mtu 1400 debug", {"mtu": 1400, "debug": True}),
        ("mtu 16000", {}),
        ("mtu 1400x", {}),
        ("nopersist +ipv6", {"reconnect": False, "ipv6": True}),
        ("require-mppe nomppe", {"encryption": "no"}),
        ("nomppe +mppe-128", {"encryption": "required"}),
        ("defaultroute nodefaultroute", {"route": "none"}),
        ("nodefaultroute defaultroute usepeerdns", {"route": "all", "dns": "peer"}),
        ("nodefaultroute defaultroute nodefaultroute", {"route": "none"}),
        ("user v", {"user": "v"}),
        ("name w", {"user": "u"}),
        ("connect 'user v' ifname debug", {}),
        ("# debug\n\tmtu\\\n 1400", {"mtu": 1400}),
    ],
)
def test_options_become_settings(foreign: Foreign, put: Put, options: str, expected: dict[str, object]) -> None:
    peer(put, plain(options))
    found = foreign.read("p").settings
    assert found == {**PLAIN, "title": "p", **expected}


@pytest.mark.parametrize("text", [HOWTO_PEER.replace("\n", "\r\n").encode(), b"# caf\xe9\n" + HOWTO_PEER.encode()])
def test_crlf_and_latin_1_comments_change_nothing(foreign: Foreign, put: Put, text: bytes) -> None:
    howto(put)
    expected = foreign.read("yosefcom")
    peer(put, text, "yosefcom")
    assert foreign.read("yosefcom") == expected


@pytest.mark.parametrize(
    "pty",
    [
        "touch /tmp/pwned-11",
        f"pptp {SERVER} --nolaunchpppd; touch /tmp/pwned-11",
        f"pptp {SERVER} $(touch /tmp/pwned-11)",
        f"pptp {SERVER} `id`",
        f"pptp {SERVER} | sh",
        f"pptp {SERVER} > /etc/passwd",
        f"pptp {SERVER}\\nsh",
        f"/usr/local/sbin/drop-firewall ; /usr/sbin/pptp {SERVER} --nolaunchpppd",
        f"sudo pptp {SERVER}",
        f"/tmp/pptp {SERVER}",
        "pptp --phone 1",
        "pptp $SERVER",
        "pptp",
        "pptp -x",
        "",
    ],
)
def test_only_a_plain_call_of_pptp_names_a_server(foreign: Foreign, put: Put, pty: str) -> None:
    peer(put, f'pty "{pty}"\nuser u\n')
    assert foreign.list() == []
    with pytest.raises(PeerNotUsable, match="pptp"):
        foreign.read("p")


def test_pptps_own_options_are_left_out(foreign: Foreign, put: Put) -> None:
    peer(put, f'user u defaultroute pty "pptp {SERVER} --nolaunchpppd --loglevel 0"\n')
    assert not mentions(foreign.read("p").left_out, "pptp")
    peer(put, f'user u defaultroute pty "pptp {SERVER} --nolaunchpppd --quirks BEZEQ_ISRAEL"\n')
    assert mentions(foreign.read("p").left_out, "options of pptp")


@pytest.mark.parametrize(
    "option",
    [
        "plugin /tmp/p.so",
        "connect 'touch /tmp/pwned-11'",
        "disconnect x",
        "init x",
        "welcome x",
        "file /etc/shadow",
        "call ../x",
        "ip-up-script /tmp/x",
        "set PATH=/tmp",
        "record /tmp/x",
        "logfile /etc/passwd",
        "chap-secrets /etc/shadow",
        "passprompt /tmp/x",
        "+ua /etc/shadow",
    ],
)
def test_what_runs_or_opens_something_is_named_and_left_out(foreign: Foreign, put: Put, option: str) -> None:
    name, argument = option.split(" ", 1)
    put("etc/shadow", "user root")
    peer(put, plain(option))
    found = foreign.read("p")
    assert found.settings == {**PLAIN, "title": "p"}
    assert mentions(found.left_out, "as root", f"`{name}`")
    assert argument not in str(found)


def test_other_options_are_named_and_words_that_are_none_are_not(foreign: Foreign, put: Put) -> None:
    peer(put, plain("idle 600 demand hunter2 10.0.0.1:10.0.0.2"))
    found = foreign.read("p")
    assert mentions(found.left_out, "`demand`, `idle`")
    assert mentions(found.left_out, "2 words")
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "content",
    [
        "/dev/ttyS0 115200\nconnect '/usr/sbin/chat -v'\nuser u\n",
        'user u\npty "pptp 203.0.113.7"\nmtu',
        'pty "pptp 203.0.113.7"\n',
        'pty "pptp 203.0.113.7"\nuser ""\n',
        'pty "pptp 203.0.113.7"\nuser "u\nplugin /tmp/p.so"\n',
        'pty "pptp 203.0.113.7"\nuser u\\nv\n',
        'pty "pptp 203.0.113.7"\nrefuse-pap refuse-chap refuse-mschap-v2 user u\n',
        'pty "pptp 203.0.113.7 user u\n',
        "plugin pppoe.so user u rp_pppoe_service 'a\\nb'",
        "plugin /tmp/rp-pppoe.so user u nic-eth0",
        "",
        b'pty "pptp 203.0.113.7"\nuser us\xe9r\n',
        b"\0" * 5000,
    ],
)
def test_what_does_not_say_enough_is_refused(foreign: Foreign, put: Put, content: str | bytes) -> None:
    peer(put, content)
    assert foreign.list() == []
    with pytest.raises(PeerNotUsable, match=r"^[A-Z].*\.$"):
        foreign.read("p")


def test_our_own_peer_files_are_not_foreign(foreign: Foreign, put: Put) -> None:
    peer(put, pppfiles.header("ours") + "\n" + plain(), "ours")
    peer(put, pppfiles.header("ours") + "\n" + plain(), "copy")
    assert foreign.list() == ["copy"]
    with pytest.raises(PeerNotUsable, match="own"):
        foreign.read("ours")


# Secrets


@pytest.mark.parametrize(
    ("secrets", "remotename", "expected"),
    [
        ("u * one\nu srv two\n", "", "two"),
        ("* * one\nu * two\n", "", "two"),
        ("u * two\n* srv one\n", "", "two"),
        ("u a one\nu b two\n", "b", "two"),
        ("u a one\nu b two\n", "", "one"),
        ("u a one\n", "b", None),
        ("v * one\n", "", None),
        ("u *\none * two\n", "", None),
        ("u \\\n * one\n", "", "one"),
        ("  u\t*\tone * -- plugin /tmp/p.so\n", "", "one"),
        ("'u' \"*\" 'o\"n'e\\ x\n", "", 'o"ne x'),
        ('"u" * "a#b" # comment\n', "", "a#b"),
        ("#u * one\nu * two", "", "two"),
        ("u * one\r\n", "", "one"),
        ('x * "\nu * one\n"\nu * two\n', "", "two"),
        ('x * "never closed\nu * one\n', "", None),
        ("U * one\n", "", None),
    ],
)
def test_a_secret_is_found_as_pppd_finds_it(
    foreign: Foreign, put: Put, secrets: str, remotename: str, expected: str | None
) -> None:
    peer(put, plain(f"remotename {remotename}" if remotename else ""))
    put("etc/ppp/pap-secrets", secrets)
    found = foreign.read("p")
    assert found.password == expected
    assert found.settings.get("authentication") == (["pap"] if expected else None)
    assert mentions(found.left_out, "set the password") is (expected is None)


def test_two_passwords_for_one_user_are_told(foreign: Foreign, put: Put) -> None:
    peer(put, plain())
    put("etc/ppp/pap-secrets", "u a one\nu b two\n")
    assert mentions(foreign.read("p").left_out, "other passwords")
    put("etc/ppp/pap-secrets", "u a one\nu b one\n")
    assert not mentions(foreign.read("p").left_out, "other passwords")
    put("etc/ppp/chap-secrets", "u a three\n")
    found = foreign.read("p")
    assert mentions(found.left_out, "other passwords")
    assert (found.password, "authentication" in found.settings) == ("one", False)


def test_a_refused_method_needs_no_secret(foreign: Foreign, put: Put) -> None:
    peer(put, plain("refuse-pap"))
    put("etc/ppp/pap-secrets", "u * one\n")
    put("etc/ppp/chap-secrets", "u * two\n")
    assert foreign.read("p").password == "two"
    peer(put, plain("refuse-chap refuse-mschap-v2"))
    assert foreign.read("p").password == "one"


def test_the_option_password_goes_before_the_secrets(foreign: Foreign, put: Put) -> None:
    peer(put, plain("password 'o p'"))
    put("etc/ppp/pap-secrets", "u * file\n")
    found = foreign.read("p")
    assert (found.password, "authentication" in found.settings) == ("o p", False)


@pytest.mark.parametrize(
    "secrets", [b"u * @/etc/shadow\n", b"u * 'a\tb'\n", b"u * 'p\n* * stolen'\n", b"u * caf\xe9\n", b'u * ""\n']
)
def test_a_secret_that_cannot_be_taken_is_told_and_not_shown(
    foreign: Foreign, put: Put, caplog: pytest.LogCaptureFixture, secrets: bytes
) -> None:
    put("etc/shadow", "root:hash")
    peer(put, plain())
    put("etc/ppp/pap-secrets", secrets)
    with caplog.at_level(logging.DEBUG):
        found = foreign.read("p")
    assert found.password is None
    assert mentions(found.left_out, "et the password")
    for text in ("root:hash", "stolen", "caf"):
        assert text not in str(found) + caplog.text


def test_secrets_of_half_a_megabyte_are_read_and_of_two_are_not(foreign: Foreign, put: Put) -> None:
    peer(put, plain())
    put("etc/ppp/pap-secrets", "# " + "x" * 500_000 + "\nu * one\n")
    assert foreign.read("p").password == "one"
    put("etc/ppp/pap-secrets", "# " + "x" * 2_000_000 + "\nu * one\n")
    assert foreign.read("p").password is None


# Profiles of NetworkManager


def test_a_pptp_profile_becomes_a_link(foreign: Foreign, put: Put) -> None:
    profile(put, PPTP_PROFILE, "Office (old)")
    assert foreign.list() == ["nm:Office (old)"]
    found = foreign.read("nm:Office (old)")
    assert found.name == "office_old"
    assert found.settings == {
        "protocol": "pptp",
        "server": "vpn.isp.example",
        "user": "ISP\\yosef",
        "title": "Office (old)",
        "authentication": ["mschapv2"],
        "encryption": "required",
        "route": ["10.0.0.0/8", "192.168.7.0/24"],
        "dns": ["198.51.100.1", "198.51.100.2"],
    }
    assert found.password == "a\\b c=d;#"
    assert mentions(found.left_out, "`mppe-stateful`")
    assert mentions(found.dials_too, "NetworkManager", "never switch on both")


def test_an_l2tp_profile_becomes_a_link(foreign: Foreign, put: Put) -> None:
    profile(put, L2TP_PROFILE)
    profile(put, "[connection]\nid=wired\ntype=ethernet\nsecondaries=0b1c3c8e-9a0c-4d0f-8b32-6f1f2f4b7c22;\n", "wired")
    found = foreign.read("nm:p")
    assert (found.name, found.password) == ("yosefcom", None)
    assert found.settings == {
        "protocol": "l2tp",
        "server": SERVER,
        "user": "yosef@C012",
        "mtu": 1400,
        "autoconnect": True,
    }
    assert mentions(found.left_out, "set the password")
    assert mentions(found.dials_too, "NetworkManager", "together with another connection")


@pytest.mark.parametrize(
    "content",
    [
        L2TP_PROFILE + "ipsec-enabled=yes\n",
        L2TP_PROFILE + "user-auth-type=tls\n",
        L2TP_PROFILE.replace("l2tp", "openvpn"),
        L2TP_PROFILE.replace("user=", "nobody="),
        L2TP_PROFILE.replace("gateway=203.0.113.7", "gateway=$(touch /tmp/pwned-11)"),
        L2TP_PROFILE.replace("gateway=203.0.113.7", "gateway=203.0.113.7 --debug"),
        L2TP_PROFILE.replace("user=yosef", "user=yosef\\nplugin /tmp/p.so\\n"),
        L2TP_PROFILE.replace("user=yosef", "user=yosef\n plugin /tmp/p.so\n pty"),
        L2TP_PROFILE.replace("id=yosefcom", "id=a\\nb"),
        L2TP_PROFILE + "hunter2\n",
        "user=hunter2\n" + L2TP_PROFILE,
        L2TP_PROFILE + "data=" + "x" * 2000,
        L2TP_PROFILE.encode() + b"x=\xff\xfe\n",
        L2TP_PROFILE.encode("utf-16"),
        "[vpn]\n" * 9000,
        "",
    ],
)
def test_a_profile_that_cannot_be_used_is_refused(
    foreign: Foreign, put: Put, caplog: pytest.LogCaptureFixture, content: str | bytes
) -> None:
    profile(put, content)
    with caplog.at_level(logging.DEBUG):
        assert foreign.list() == []
        with pytest.raises(PeerNotUsable) as refusal:
            foreign.read("nm:p")
    assert "hunter2" not in str(refusal.value) + str(refusal.value.__cause__) + caplog.text


def test_a_profiles_sections_do_not_leak_into_each_other(foreign: Foreign, put: Put) -> None:
    profile(put, "[DEFAULT]\nuser=other\nmtu=1300\n" + L2TP_PROFILE.replace("user=", "nobody="))
    assert foreign.list() == []


# What dials by itself


@pytest.mark.parametrize(
    ("path", "line", "dials"),
    [
        ("etc/crontab", "* * * * * root pon p", True),
        ("etc/crontab", "* * * * * root /usr/bin/pon p >/dev/null 2>&1", True),
        ("etc/crontab", "* * * * * root ip link show ppp0 || (pon -q p)", True),
        ("etc/crontab", "*/5 * * * * root /usr/sbin/pppd call p updetach", True),
        ("etc/crontab", "*/5 * * * * root test -e /x || pppd nodetach call p", True),
        ("etc/crontab", "@reboot root ifup ppp7", True),
        ("etc/cron.d/dial", "* * * * * root /usr/local/bin/check-ppp-connection p", True),
        ("var/spool/cron/crontabs/root", "* * * * * pon p", True),
        ("etc/crontab", "#* * * * * root pon p", False),
        ("etc/crontab", "* * * * * root pon q", False),
        ("etc/crontab", "* * * * * root poff p", False),
        ("etc/crontab", "* * * * * root call p", False),
        ("etc/crontab", "* * * * * root ifup eth0", False),
        ("etc/crontab", "* * * * * root pon", False),
        ("etc/cron.d/dial.dpkg-old", "* * * * * root pon p", False),
        ("var/spool/cron/crontabs/alice", "* * * * * pon p", False),
    ],
)
def test_what_dials_from_cron_is_found(foreign: Foreign, put: Put, path: str, line: str, dials: bool) -> None:
    peer(put, plain())
    put("etc/network/interfaces", "iface eth0 inet dhcp\niface ppp7 inet ppp\n\tprovider p\n")
    put(path, f"MAILTO=root\n{line}\n")
    sentences = [sentence for sentence in foreign.read("p").dials_too if "interfaces" not in sentence]
    assert len(sentences) == dials
    assert all("line 2" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("text", "dials", "automatic"),
    [
        ("iface ppp0 inet ppp\n provider p\n", True, False),
        ("iface ppp0 inet ppp\n provider p\nauto lo ppp0\n", True, True),
        ("allow-hotplug ppp0\niface ppp0 inet ppp\n provider p\n", True, True),
        ("auto eth0\niface eth0 inet dhcp\n\tup \\\n\t pon p\n", True, True),
        ("auto eth0\niface eth0 inet dhcp\n\tdown poff p\n#\tup pon p\n", False, False),
        ("auto ppp0\niface ppp0 inet ppp\n provider q\n", False, False),
        ("auto ppp0\niface ppp0 inet ppp\n", False, False),
        ("iface\nprovider p\n\\", False, False),
    ],
)
@pytest.mark.parametrize("file", ["interfaces", "interfaces.d/ppp"])
def test_what_ifupdown_dials_is_found(
    foreign: Foreign, put: Put, file: str, text: str, dials: bool, automatic: bool
) -> None:
    peer(put, plain())
    put(f"etc/network/{file}", text)
    found = foreign.read("p")
    assert len(found.dials_too) == dials
    assert found.settings.get("autoconnect", False) is automatic


def test_the_default_peer_is_called_provider(foreign: Foreign, put: Put) -> None:
    peer(put, plain(), "provider")
    put("etc/crontab", "* * * * * root pon\n")
    put("etc/network/interfaces", "iface ppp0 inet ppp\n")
    assert len(foreign.read("provider").dials_too) == 2


def test_what_dials_the_line_of_a_link_is_found(foreign: Foreign, put: Put) -> None:
    link = parse({"server": "ISP.example", "user": "u"})
    assert foreign.dialers("mine", link) == ()
    peer(put, pppfiles.header("mine") + "\n" + plain("linkname mine"), "mine")
    put("run/ppp-mine.pid", "1\n")
    peer(put, 'pty "pptp isp.example"\nname u\nlinkname old\n', "byhand")
    peer(put, plain("linkname other"), "other")
    peer(put, 'pty "pptp isp.example"\nname u\nlinkname mine\n', "namesake")
    put("run/ppp-other.pid", "2\n")
    put("etc/crontab", "* * * * * root pon mine\n* * * * * root pon byhand\n* * * * * root pon other\n")
    assert [sentence.partition(" dials")[0] for sentence in foreign.dialers("mine", link)] == [
        "/etc/crontab, line 1,",
        "/etc/crontab, line 2,",
    ]
    put("run/ppp-old.pid", "3\n")
    profile(put, PPTP_PROFILE.replace("vpn.isp.example", "isp.EXAMPLE"))
    sentences = foreign.dialers("mine", link)
    assert len(sentences) == 4
    assert mentions(sentences, "NetworkManager", "`p`")
    assert mentions(sentences, "pppd seems to run", "`byhand`")


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
    assert foreign.list() == ["p"]
    with pytest.raises(NoSuchPeer):
        foreign.read(name)


@pytest.mark.parametrize("name", ["$(touch x)", "a b", "-v", "`x`", "%n", "a" * 255, "nm"])
def test_a_strange_name_of_a_file_stays_a_name(foreign: Foreign, put: Put, name: str) -> None:
    peer(put, plain(), name)
    assert foreign.list() == [name]
    assert parse(foreign.read(name).settings).server == SERVER


@pytest.mark.parametrize("name", [b"a\nb", b"a\x1b[2J", "\u202etxt".encode(), b"\xff"])
def test_a_name_that_cannot_be_shown_is_left_out(foreign: Foreign, tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / "etc/ppp/peers"
    folder.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(plain())
    assert foreign.list() == []


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
        assert foreign.list() == ["good"]
        assert foreign.read("good").password is None
    assert "large" in caplog.text
    assert "pap-secrets" in caplog.text


def test_an_empty_machine_has_nothing(foreign: Foreign) -> None:
    assert foreign.list() == []
    assert foreign.dialers("a", Settings(SERVER, "u")) == ()


WORD = st.sampled_from(
    [*sorted(peers._KNOWN), *peers._ALIASES, f'"pptp {SERVER}"', "1400", "rp-pppoe.so", "nic-eth0", "u", "#", '"']
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.lists(st.one_of(WORD, st.text(max_size=9)), max_size=30), st.lists(st.text(max_size=12), max_size=6))
def test_nothing_but_settings_ever_comes_out(
    tmp_path: Path, foreign: Foreign, put: Put, options: list[str], secrets: list[str]
) -> None:
    peer(put, (plain() + " ".join(options)).encode("utf-8", "surrogateescape"))
    put("etc/ppp/pap-secrets", "u * " + " ".join(secrets))
    try:
        found = foreign.read("p")
    except PeerNotUsable:
        return
    assert found.settings.keys() <= ALLOWED
    assert {type(value) for value in found.settings.values()} <= {str, int, bool, list}


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(networkmanager._SETTLED)), st.text(max_size=20)), max_size=20))
def test_nothing_but_settings_comes_out_of_a_profile(
    tmp_path: Path, foreign: Foreign, put: Put, lines: list[tuple[str, str]]
) -> None:
    profile(put, L2TP_PROFILE + "".join(f"{key}={value}\n" for key, value in lines))
    try:
        found = foreign.read("nm:p")
    except PeerNotUsable:
        return
    assert found.settings.keys() <= ALLOWED
