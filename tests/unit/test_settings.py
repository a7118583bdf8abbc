"""Values from outside: accepted as they are, or refused by name."""

from typing import Any

import hostile
import pytest

from cablecar.helper.errors import InvalidName, InvalidPassword, InvalidSetting
from cablecar.helper.settings import Settings, check_from_bus, check_name, check_password, fill, full_dict, merge, parse

GOOD = {"server": "203.0.113.7", "user": "customer@C012"}


@pytest.mark.parametrize("name", hostile.NAMES_REFUSED, ids=lambda value: repr(value)[:40])
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "yosefcom", "isp_2", "a" * 31])
def test_good_names_pass(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("value", hostile.PASSWORDS_CARRIED, ids=lambda value: repr(value)[:40])
def test_odd_credentials_are_carried_literally(value: str) -> None:
    assert parse({**GOOD, "user": value}).user == value
    assert check_password(value) == value.encode()


@pytest.mark.parametrize("value", hostile.USERS_REFUSED, ids=lambda value: repr(value)[:40])
def test_credentials_that_could_forge_something_are_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match="`user`"):
        parse({**GOOD, "user": value})
    with pytest.raises(InvalidPassword):
        check_password(value)


@pytest.mark.parametrize("value", hostile.SERVERS_REFUSED, ids=lambda value: repr(value)[:40])
def test_servers_that_are_none_are_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match="`server`"):
        parse({**GOOD, "server": value})


@pytest.mark.parametrize("value", ["203.0.113.7", "10.0.0.138", "vpn.example", "cable_5.ex-ample.net", "ex."])
def test_servers_pass(value: str) -> None:
    assert parse({**GOOD, "server": value}).server == value


@pytest.mark.parametrize("value", hostile.INTERFACES_REFUSED)
def test_interfaces_that_cannot_be_the_cable_are_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match="`interface`"):
        parse({**GOOD, "interface": value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", "gopher"), ("protocol", 1), ("authentication", "pap"), ("authentication", ["eap-tls"]),
        ("encryption", "yes"), ("encryption", "if-offered"), ("autoconnect", 1), ("autoconnect", "true"),
        ("reconnect", None), ("route", "some"), ("route", []), ("route", ["198.51.100.1/24"]), ("route", ["0.0.0.0/0"]),
        ("route", ["::/0"]), ("route", ["198.51.100.0/24 dev eth0"]), ("route", [["198.51.100.0/24"]]),
        ("dns", "others"), ("dns", []), ("dns", ["192.0.2.1"] * 4), ("dns", ["127.0.0.1"]), ("dns", "192.0.2.53"),
        ("dns", [5]), ("dns", ["8.8.8.8\nnameserver 6.6.6.6"]), ("strict", 0), ("strict", []), ("strict", "true"),
        ("strict", ["8.0.0.0/7"]), ("strict", ["8.8.8.0/24"]), ("strict", ["10.0.0.0/7"]), ("strict", ["fe80::/10"]),
        ("strict", ["192.168.1.0/24 } accept"]), ("share", "eth1"), ("share", ["ppp0"]), ("share", ["lo"]),
        ("share", [""]), ("share", ["eth1\" drop"]), ("share", ["*"]), ("share", ["e"] * 17), ("firewall", "drop"),
        ("ipv6", "yes"), ("provider", "../x"), ("provider", "A"), ("ppp_options", "debug"), ("ppp_options", ["a\nb"]),
        ("ppp_options", ["user \"open"]), ("ppp_options", ["a # b"]), ("ppp_options", ["a\\"]), ("ppp_options", [""]),
        ("mtu", -1), ("mtu", 67), ("mtu", 575), ("mtu", 65536), ("mtu", True), ("vlan", -1), ("vlan", 4095),
        ("vlan", "35"), ("vlan", True), ("vlan", 35.0), ("interface", "cablecar0.35"), ("mtu", "1400 plugin x"),
        ("debug", []), ("title", "a" * 65), ("title", "a\nb"), ("server", 5), ("user", ["u"]),
    ],
)  # fmt: skip
def test_values_that_a_key_does_not_take_are_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(InvalidSetting, match=f"`{key}`"):
        parse({**GOOD, key: value})


@pytest.mark.parametrize("key", ["pty", "plugin", "password", "Server", "ser\nver", "\x1b[2J"])
def test_unknown_keys_are_refused_without_being_echoed(key: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        parse({**GOOD, key: "x"})
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("missing", ["server", "user"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(InvalidSetting, match=f"`{missing}` is missing"):
        parse({key: value for key, value in GOOD.items() if key != missing})


def test_encryption_needs_the_method_that_gives_it_keys() -> None:
    with pytest.raises(InvalidSetting, match="encryption"):
        parse({**GOOD, "encryption": "required", "authentication": ["pap"]})


def test_strict_mode_takes_local_networks_and_needs_the_default_route() -> None:
    assert parse({**GOOD, "strict": ["192.168.1.0/24", "169.254.0.0/16"]}).strict == (
        "192.168.1.0/24",
        "169.254.0.0/16",
    )
    assert parse({**GOOD, "strict": True}).as_dict()["strict"] is True
    for route in ("none", ["198.51.100.0/24"]):
        with pytest.raises(InvalidSetting, match="`strict` needs `route`"):
            parse({**GOOD, "strict": True, "route": route})


def test_the_cable_shares_nothing() -> None:
    assert parse({**GOOD, "share": ["eth1", "br-lan", "eth1"], "interface": "eth0"}).share == ("eth1", "br-lan")
    with pytest.raises(InvalidSetting, match="`share`"):
        parse({**GOOD, "share": ["eth0"], "interface": "eth0"})


def test_eap_is_only_answered_when_it_is_asked_for() -> None:
    assert parse(GOOD).methods == ("pap", "chap", "mschapv2")
    assert parse({**GOOD, "authentication": ["eap"]}).methods == ("eap",)


def test_pppd_options_are_for_roots_file_alone() -> None:
    assert parse({**GOOD, "ppp_options": ["mppe-stateful"]}).ppp_options == ("mppe-stateful",)
    with pytest.raises(InvalidSetting, match="`ppp_options`"):
        check_from_bus({"ppp_options": ["mppe-stateful"]})
    assert "ppp_options" not in full_dict(parse({**GOOD, "ppp_options": ["password x"]}))


def test_prefixes_pass() -> None:
    assert parse({**GOOD, "route": ["10.0.0.0/8", "198.51.100.7/32"]}).route == ("10.0.0.0/8", "198.51.100.7/32")


def test_a_preset_gives_way_to_the_caller() -> None:
    class Preset:
        def defaults(self, protocol: str) -> dict[str, object]:
            return {"protocol": protocol or "pptp", "server": "vpn.example", "mtu": 1460}

    filled = fill({"provider": "isp", "user": "u", "mtu": 1400}, {"isp": Preset()})
    assert filled == {"provider": "isp", "protocol": "pptp", "server": "vpn.example", "mtu": 1400, "user": "u"}
    with pytest.raises(InvalidSetting, match="names no preset"):
        fill({"provider": "other"}, {"isp": Preset()})
    assert fill({"user": "u"}, {}) == {"user": "u"}


def test_another_provider_replaces_what_its_preset_knows_and_nothing_else() -> None:
    class Preset:
        def defaults(self, protocol: str) -> dict[str, object]:
            return {"protocol": "pptp", "server": "vpn.example"}

    presets = {"isp": Preset()}
    settings = parse({**GOOD, "mtu": 1400, "title": "T", "authentication": ["chap"]})
    kept = {"user": GOOD["user"], "title": "T", "mtu": 1400, "authentication": ["chap"]}
    assert merge(settings, {"provider": "isp"}, presets) == {**kept, "provider": "isp"}
    theirs = parse({**kept, "server": "my.example", "provider": "isp"})
    assert merge(theirs, {"provider": "isp", "title": "U"}, presets)["server"] == "my.example"
    assert merge(theirs, {"provider": ""}, presets)["server"] == "my.example"
    assert merge(settings, {"mtu": 0}, {})["mtu"] == 0


def test_another_protocol_of_the_same_provider_has_the_server_that_its_preset_says() -> None:
    class Preset:
        def defaults(self, protocol: str) -> dict[str, object]:
            return {"protocol": protocol, "server": f"{protocol or 'l2tp'}.example", "mtu": 1460}

    presets = {"isp": Preset()}
    filled = parse({"user": "u", "provider": "isp", "protocol": "l2tp", "server": "l2tp.example", "mtu": 1400})
    merged = merge(filled, {"protocol": "pptp"}, presets)
    assert (merged["protocol"], merged["server"], merged["mtu"]) == ("pptp", "pptp.example", 1400)
    assert merge(filled, {"protocol": "pptp", "server": "my.example"}, presets)["server"] == "my.example"
    own = parse({**filled.as_dict(), "server": "my.example"})
    assert merge(own, {"protocol": "pptp"}, presets)["server"] == "my.example"
    assert merge(own, {"protocol": "pptp"}, {})["server"] == "my.example"


def test_settings_go_round() -> None:
    settings = parse({**GOOD, "title": "Yosefcom", "authentication": ["mschapv2", "pap"], "mtu": 1400, "route": "none"})
    assert settings.authentication == ("pap", "mschapv2")
    assert parse(settings.as_dict()) == settings
    assert Settings("a", "b").as_dict() == {"server": "a", "user": "b"}
