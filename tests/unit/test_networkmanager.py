"""NetworkManager's profiles become a link's settings."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from madebyhand import ALLOWED, PPTP_PROFILE, SERVER, Put, mentions, profile

from cablecar.helper import networkmanager
from cablecar.helper.errors import PeerNotUsable
from cablecar.helper.imports import Foreign
from cablecar.helper.settings import parse

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
PPPOE_PROFILE = """\
[connection]
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
    assert foreign.ids() == ["nm:p"]
    found = foreign.read("nm:p")
    assert found.settings == {
        "protocol": "pppoe", "server": "", "service": "my isp", "user": "u@isp", "interface": "eth1", "mtu": 1480,
        "autoconnect": True,
    }  # fmt: skip
    assert (found.name, found.password, found.left_out) == ("dsl", "geheim", ())
    assert parse(found.settings).service == "my isp"
    assert mentions(found.dials_too, "NetworkManager", "`p` for the same line", "unasked", "`connection.autoconnect`")


@pytest.mark.parametrize(
    ("line", "dials"),
    [
        ("", True),
        ("autoconnect=true", True),
        ("autoconnect=", True),
        ("autoconnect=hunter2", True),  # NetworkManager takes its default then
        ("autoconnect=" + "x" * 900, True),
        ("autoconnect=\N{FULLWIDTH DIGIT ZERO}", True),
        ("autoconnect=false", False),
        ("autoconnect = FALSE ", False),
        ("autoconnect=0", False),
        ("autoconnect=no", False),
        ("autoconnect=true\nautoconnect=false", False),
        ("autoconnect-retries=0\nautoconnect-priority=-1", True),
    ],
)
def test_network_manager_dials_pppoe_unasked_unless_told_not_to(
    foreign: Foreign, put: Put, line: str, dials: bool
) -> None:
    profile(put, PPPOE_PROFILE.replace("type=pppoe\n", f"type=pppoe\n{line}\n"))
    found = foreign.read("nm:p")
    assert found.settings.get("autoconnect", False) is dials
    link = parse({"protocol": "pppoe", "user": "u@isp"})
    for sentences in (found.dials_too, foreign.dialers("mine", link)):
        assert mentions(sentences, "NetworkManager", "for the same line", "unasked") == dials
        assert mentions(sentences, "NetworkManager", "for the same line: remove") != dials
        assert "hunter2" not in str(sentences)


@pytest.mark.parametrize("value", ["autoconnect=tr\\nue", "autoconnect=a\x1bb", "autoconnect=" + "x" * 2000])
def test_a_profile_with_control_characters_in_autoconnect_is_refused(foreign: Foreign, put: Put, value: str) -> None:
    profile(put, PPPOE_PROFILE.replace("type=pppoe\n", f"type=pppoe\n{value}\n"))
    assert foreign.ids() == []


def test_a_vpn_profile_is_not_dialed_unasked(foreign: Foreign, put: Put) -> None:
    profile(put, L2TP_PROFILE.replace("type=vpn", "type=vpn\nautoconnect=true"))
    found = foreign.read("nm:p")
    assert "autoconnect" not in found.settings
    assert mentions(found.dials_too, "NetworkManager", "for the same line: remove")


def test_a_pptp_profile_becomes_a_link(foreign: Foreign, put: Put) -> None:
    profile(put, PPTP_PROFILE, "Office (old)")
    assert foreign.ids() == ["nm:Office (old)"]
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
    ("routes", "expected"),
    [
        ("", "none"),
        ("route1=10.1.2.3/8,203.0.113.1", ["10.0.0.0/8"]),  # NetworkManager leaves out the host bits
        ("route1=192.0.2.7\nroute1_options=mtu=1400\nroute2=10.0.0.0/8,,50", ["192.0.2.7/32", "10.0.0.0/8"]),
        ("routes1=10.0.0.0/8,203.0.113.1", ["10.0.0.0/8"]),
        ("route1=hunter2\nroute2=10.0.0.0/8", ["10.0.0.0/8"]),
        ("route1=hunter2", "none"),
    ],
)
def test_a_profile_that_leaves_the_default_route_alone_never_becomes_a_link_for_everything(
    foreign: Foreign, put: Put, routes: str, expected: str | list[str]
) -> None:
    profile(put, L2TP_PROFILE + f"[ipv4]\nnever-default=true\n{routes}\n")
    found = foreign.read("nm:p")
    assert found.settings["route"] == expected
    assert parse(found.settings).route == (tuple(expected) if isinstance(expected, list) else expected)


def test_another_address_of_the_card_is_told(foreign: Foreign, put: Put) -> None:
    profile(put, PPPOE_PROFILE + "[ethernet]\nmac-address-blacklist=\ncloned-mac-address=02:00:00:00:00:01\n")
    assert mentions(foreign.read("nm:p").left_out, "nothing like it: `cloned-mac-address`.")


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
        assert foreign.ids() == []
        with pytest.raises(PeerNotUsable) as refusal:
            foreign.read("nm:p")
    assert "hunter2" not in str(refusal.value) + str(refusal.value.__cause__) + caplog.text


def test_profiles_of_old_have_no_suffix(foreign: Foreign, put: Put) -> None:
    for name in ("Old ISP", "new.isp.nmconnection", "Old ISP~", ".hidden", "key.pem"):
        put(f"etc/NetworkManager/system-connections/{name}", L2TP_PROFILE.replace("id=yosefcom", "id=isp"))
    assert foreign.ids() == ["nm:Old ISP", "nm:new.isp"]
    assert mentions(foreign.read("nm:new.isp").dials_too, "`Old ISP` for the same line")


def test_a_profiles_sections_do_not_leak_into_each_other(foreign: Foreign, put: Put) -> None:
    profile(put, "[DEFAULT]\nuser=other\nmtu=1300\n" + L2TP_PROFILE.replace("user=", "nobody="))
    assert foreign.ids() == []


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


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["autoconnect", "id", "uuid", "parent", "username", "password", "[pppoe]", "[ppp]"]),
            st.one_of(st.text(max_size=20), st.sampled_from(["true", "false", "x" * 900, "a\\nb"])),
        ),
        max_size=12,
    )
)
def test_nothing_but_settings_comes_out_of_a_profile_of_pppoe(
    tmp_path: Path, foreign: Foreign, put: Put, lines: list[tuple[str, str]]
) -> None:
    text = PPPOE_PROFILE + "[connection]\n" + "".join(f"{key}={value}\n" for key, value in lines)
    profile(put, text.encode("utf-8", "surrogatepass"))
    try:
        found = foreign.read("nm:p")
    except PeerNotUsable:
        return
    assert found.settings.keys() <= ALLOWED | {"service"}
    assert type(found.settings.get("autoconnect", False)) is bool
    assert all(sentence.isprintable() for sentence in (*found.left_out, *found.dials_too))
