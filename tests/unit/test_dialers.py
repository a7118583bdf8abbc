"""What dials by itself beside a link is found: cron, ifupdown, the boot, another program's line to the same server."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from madebyhand import PPTP_PROFILE, SERVER, Put, mentions, peer, plain, profile

from cablecar.helper import pppfiles
from cablecar.helper.imports import Foreign
from cablecar.helper.settings import parse


def told(foreign: Foreign, put: Put, path: str, text: str) -> list[str]:
    """Return what is said of the file `path` beside the peer `p` and its stanza."""
    peer(put, plain())
    put("etc/network/interfaces", "iface eth0 inet dhcp\niface ppp7 inet ppp\n\tprovider p\n")
    put(path, text)
    return [sentence for sentence in foreign.read("p").dials_too if "interfaces" not in sentence]


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
        ("etc/crontab", "* * * * * root /usr/sbin/pppd nodetach; call p", False),
        ("etc/crontab", "* * * * * root pon >p", False),
        ("etc/crontab", "* * * * * root pon 2> /dev/null p", True),
        ("etc/crontab", "* * * * * root /usr/local/bin/watch # it was: pon p", False),
        ("etc/crontab", "* * * * * root pon p # as long as Cablecar is not there", True),
        ("etc/crontab", "* * * * * root logger 'line # 1 dials'; pon p", True),
        ("etc/cron.d/dial.dpkg-old", "* * * * * root pon p", False),
        ("var/spool/cron/crontabs/alice", "* * * * * pon p", False),
    ],
)
def test_what_dials_from_cron_is_found(foreign: Foreign, put: Put, path: str, line: str, dials: bool) -> None:
    sentences = told(foreign, put, path, f"MAILTO=root\n{line}\n")
    assert len(sentences) == dials
    assert all("line 2" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("path", "line", "dials"),
    [
        ("etc/rc.local", "/usr/sbin/pppd call p &", True),
        ("etc/rc.local", "(sleep 20; pon p) &", True),
        ("etc/rc.local", "ifup ppp7", True),
        ("etc/rc.local", "#pon p", False),
        ("etc/rc.local", "pon q", False),
        ("etc/systemd/system/dial.service", "ExecStart=/usr/sbin/pppd call p nodetach", True),
        ("etc/systemd/system/dial.service", "ExecStartPost = -/bin/sh -c 'sleep 9; pon p'", True),
        ("etc/systemd/system/dial.service", "ExecStart=@!/usr/bin/pon pon p", True),
        ("etc/systemd/system/dial.service", "ExecStop=/usr/bin/poff p", False),
        ("etc/systemd/system/dial.service", "ExecStart=/usr/sbin/pppd call %i", False),
        ("etc/systemd/system/dial.service", "Description=pppd call p", False),
        ("etc/systemd/system/dial.service.old", "ExecStart=/usr/bin/pon p", False),
    ],
)
def test_what_dials_at_boot_is_found(foreign: Foreign, put: Put, path: str, line: str, dials: bool) -> None:
    sentences = told(foreign, put, path, f"#!/bin/sh -e\n{line}\nexit 0\n")
    assert len(sentences) == dials
    assert all(f"/{path}, line 2, dials `" in sentence and "at boot" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("command", "dials"),
    [
        ("xl2tpd-control connect-lac isp", True),
        ("ip link show ppp0 >/dev/null 2>&1||/usr/sbin/xl2tpd-control -d -c /run/l2tp-control connect isp u p", True),
        ("xl2tpd-control CONNECT-LAC isp", True),
        ('echo "c isp" > /var/run/xl2tpd/l2tp-control', True),
        ("test -e /sys/class/net/ppp0 || echo 'c isp u p' >/run/xl2tpd/l2tp-control", True),
        ("echo d isp >/run/xl2tpd/l2tp-control; sleep 9; echo c isp >/run/xl2tpd/l2tp-control", True),
        (r"printf 'c isp\n' | tee /run/xl2tpd/l2tp-control", True),
        ("xl2tpd-control disconnect-lac isp", False),
        ("xl2tpd-control connect-lac other", False),
        ("xl2tpd-control connect-lac", False),
        ("xl2tpd-control", False),
        ("xl2tpd-control status; connect-lac isp", False),
        ('echo "d isp" > /var/run/xl2tpd/l2tp-control', False),
        ('echo "c other" > /var/run/xl2tpd/l2tp-control', False),
        ('echo "c isp" > /var/log/control', False),
        ("echo > /run/xl2tpd/l2tp-control c", False),
        ("pon isp", False),
    ],
)
@pytest.mark.parametrize("file", ["etc/crontab", "etc/network/interfaces"])
def test_what_has_xl2tpd_dial_is_found(foreign: Foreign, put: Put, file: str, command: str, dials: bool) -> None:
    put("etc/xl2tpd/xl2tpd.conf", f"[lac isp]\nlns = {SERVER}\nname = u\n")
    put(file, f"* * * * * root {command}\n" if "cron" in file else f"auto eth0\niface eth0 inet dhcp\n up {command}\n")
    found = foreign.read("l2tp:isp")
    assert mentions(found.dials_too, file, "`l2tp:isp`") is dials
    assert found.settings.get("autoconnect", False) is (dials and "interfaces" in file)
    link = parse({"protocol": "l2tp", "server": SERVER, "user": "somebody"})
    assert mentions(foreign.dialers("mine", link), file, "`l2tp:isp`") is dials
    assert not mentions(foreign.dialers("mine", parse({"server": "x.example", "user": "u"})), file)


@pytest.mark.parametrize(
    ("command", "dials"),
    [
        ("/usr/sbin/pppoe-start", True),
        ("pppoe-start >/dev/null 2>&1", True),
        ("pppoe-status > /dev/null || adsl-start", True),
        ("pppoe-start /etc/ppp/dsl.conf", True),
        ("pppoe-start eth1 u@isp /etc/ppp/dsl.conf", True),
        ("pppoe-start /etc/ppp/other.conf", False),
        ("pppoe-start /etc/ppp/../ppp/dsl.conf", False),
        ("pppoe-start /etc/ppp/link.conf", False),
        ("pppoe-stop", False),
        ("adsl-stop /etc/ppp/dsl.conf", False),
    ],
)
def test_what_calls_by_rp_pppoes_scripts_is_found(
    foreign: Foreign, put: Put, tmp_path: Path, command: str, dials: bool
) -> None:
    put("etc/ppp/pppoe.conf", "# a comment\nETH=eth1\nUSER='bxxx'\n USER='u@isp' # mine\n")
    put("etc/ppp/dsl.conf", 'USER="u@isp"\n')
    put("etc/ppp/other.conf", "USER=other\n#USER=u@isp\n")
    (tmp_path / "etc/ppp/link.conf").symlink_to(tmp_path / "etc/ppp/dsl.conf")
    put("etc/crontab", f"*/5 * * * * root {command}\n")
    link = parse({"protocol": "pppoe", "user": "u@isp"})
    assert len(foreign.dialers("mine", link)) == dials
    assert not foreign.dialers("mine", parse({"protocol": "pppoe", "user": "v"}))
    assert not foreign.dialers("mine", parse({"server": "x.example", "user": "u@isp"}))


PIECES = st.sampled_from(
    ["pon", "pppd", "call", "xl2tpd-control", "connect-lac", "/run/l2tp-control", "c", "pppoe-start", "isp", "p",
     "ifup", ">", "2>&1", "|", ";", '"', "'", "`", "$(", ")", "\\", "-c", "/etc/ppp/pppoe.conf", "\n", "\0",
     "\x1b[2J", "\u2028"]
)  # fmt: skip


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(PIECES | st.text(max_size=6), max_size=20), st.lists(PIECES | st.text(max_size=9), max_size=9))
def test_no_line_is_more_than_a_line(foreign: Foreign, put: Put, cron: list[str], conf: list[str]) -> None:
    put("etc/xl2tpd/xl2tpd.conf", f"[lac isp]\nlns = {SERVER}\nname = u\n")
    put("etc/ppp/pppoe.conf", ("USER=" + " ".join(conf)).encode("utf-8", "surrogatepass"))
    put("etc/crontab", ("* * * * * root " + " ".join(cron)).encode("utf-8", "surrogatepass"))
    put("etc/network/interfaces", ("iface p inet ppp\n up " + " ".join(cron)).encode("utf-8", "surrogatepass"))
    for values in ({"protocol": "l2tp", "server": SERVER, "user": "u"}, {"protocol": "pppoe", "user": "isp"}):
        for sentence in foreign.dialers("p", parse(values)):
            assert sentence.isprintable()
            assert len(sentence) < 300


@pytest.mark.parametrize(
    "line", ["pon " * 16000, "pppd " * 13000, "- " * 32000, "> " * 32000, "9" * 65000, "c " * 32000 + "l2tp-control",
             "xl2tpd-control " * 4000, "USER=" + " " * 65000, "\\\n" * 20000]
)  # fmt: skip
def test_a_long_line_is_read_in_its_time(foreign: Foreign, put: Put, line: str) -> None:
    for file in ("etc/crontab", "etc/ppp/pppoe.conf", "etc/network/interfaces"):
        put(file, line[: (1 << 16) - 1])
    begun = time.process_time()
    foreign.dialers("mine", parse({"protocol": "pppoe", "user": "u"}))
    assert time.process_time() - begun < 2


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
