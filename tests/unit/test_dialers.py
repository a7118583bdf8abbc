"""What dials by itself beside a link is found: cron, ifupdown, another program's line to the same server."""

import pytest
from madebyhand import PPTP_PROFILE, Put, mentions, peer, plain, profile

from cablecar.helper import pppfiles
from cablecar.helper.imports import Foreign
from cablecar.helper.settings import parse


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
