"""Peer files and secrets, as pptpsetup, pppoeconf and people write, become a link's settings; what runs does not."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from madebyhand import ALLOWED, HOWTO_PEER, PLAIN, SERVER, Put, howto, mentions, peer, plain

from cablecar.helper import peers, pppfiles
from cablecar.helper.errors import PeerNotUsable
from cablecar.helper.imports import Foreign


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
    assert foreign.ids() == []
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


@pytest.mark.parametrize("option", ["papcrypt", "noendpoint", "ipv6cp-use-ipaddr", "receive-all", "dump", "predictor1"])
def test_every_option_that_pppd_knows_is_named(foreign: Foreign, put: Put, option: str) -> None:
    peer(put, plain(option))
    left_out = foreign.read("p").left_out
    assert mentions(left_out, f"nothing like it: `{option}`.")
    assert not mentions(left_out, "words")


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
    assert foreign.ids() == []
    with pytest.raises(PeerNotUsable, match=r"^[A-Z].*\.$"):
        foreign.read("p")


def test_our_own_peer_files_are_not_foreign(foreign: Foreign, put: Put) -> None:
    peer(put, pppfiles.header("ours") + "\n" + plain(), "ours")
    peer(put, pppfiles.header("ours") + "\n" + plain(), "copy")
    assert foreign.ids() == ["copy"]
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


# What the package ppp has in its pap-secrets, without the comments.
DEBIANS_PAP_SECRETS = '*\thostname\t""\t*\nguest\thostname\t"*"\t-\nroot\thostname\t"*"\t-\n'


def test_debians_line_for_those_who_call_in_is_no_password_of_ours(foreign: Foreign, put: Put) -> None:
    peer(put, plain())
    put("etc/ppp/pap-secrets", DEBIANS_PAP_SECRETS)
    found = foreign.read("p")
    assert (found.password, "authentication" in found.settings) == (None, False)
    assert mentions(found.left_out, "no password for this user")
    put("etc/ppp/chap-secrets", "u * geheim *\n")
    found = foreign.read("p")
    assert (found.password, found.settings["authentication"]) == ("geheim", ["chap", "mschapv2"])
    assert not mentions(found.left_out, "password")


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
