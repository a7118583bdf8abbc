"""Presets: the shipped ones are sound and say where they are from; an administrator's file cannot break them."""

import logging
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cablecar.helper import providers, settings
from cablecar.helper.providers import Provider, load

SHIPPED = Path(providers.__file__).with_name("providers.toml")
SOURCES = '[sources]\nletter = "A letter"\n'
GOOD = {
    "title": '"Example"',
    "country": '"IL"',
    "region": '"Haifa"',
    "protocols": '{ value = ["pptp", "l2tp"], source = "letter", year = 2024 }',
    "server_pptp": '{ value = "vpn.example.net", source = "letter", year = 2024 }',
}


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A file that others may write is refused, whatever the umask of who runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def preset(name: str = "xx_good", **changes: str) -> str:
    return f"[provider.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in {**GOOD, **changes}.items())


def fact(value: str, year: int = 2024) -> str:
    return f'{{ value = {value}, source = "letter", year = {year} }}'


@pytest.fixture(scope="module")
def shipped() -> dict[str, Provider]:
    return load(Path("/nonexistent"))


@pytest.fixture
def document() -> dict[str, Any]:
    return tomllib.loads(SHIPPED.read_text())


def test_the_shipped_file_is_in_order(document: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    assert list(load(Path("/nonexistent"))) == list(document["provider"])
    assert not caplog.records


def test_every_fact_has_its_source_and_year(document: dict[str, Any], shipped: dict[str, Provider]) -> None:
    cited = set()
    for name, values in document["provider"].items():
        for key in values.keys() - {"title", "country", "region"}:
            cited.add(values[key]["source"])
            assert shipped[name].facts[key].source == document["sources"][values[key]["source"]]
            assert 2002 <= shipped[name].facts[key].year <= 2017
    assert cited == set(document["sources"])


def test_no_fact_got_lost(document: dict[str, Any], shipped: dict[str, Provider]) -> None:
    for name, values in document["provider"].items():
        facts = {key: value["value"] for key, value in values.items() if isinstance(value, dict)}
        assert {key: shipped[name].as_dict()[key] for key in facts} == facts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "il_012",
            {
                "title": "012 Golden Lines (Kavei Zahav)",
                "country": "IL",
                "protocols": ["pptp"],
                "server_pptp": "cablepns.012.net.il",
                "login": "{user}@C012",
                "authentication": ["pap"],
                "encryption": "no",
                "mtu": 1460,
                "dns": ["212.117.129.5", "212.117.129.3"],
            },
        ),
        ("il_barak", {"server_pptp": "pns.barak.net.il", "mtu": 1380}),
        ("il_actcom", {"protocols": ["pptp", "l2tp"], "server_l2tp": "{user}.c.actcom.net.il"}),
        ("il_technion", {"login": "ccdis3.technion.ac.il\\{user}", "mtu": 1400, "authentication": ["pap"]}),
        ("il_tau", {"protocols": ["l2tp"], "server_l2tp": "lns.tau.ac.il"}),
        ("il_israserv", {"known_addresses": ["192.117.195.250"]}),
        (
            "ru_beeline",
            {
                "protocols": ["l2tp", "pptp"],
                "server_l2tp": "tp.internet.beeline.ru",
                "needs_option_121": True,
                "peer_is_server": True,
            },
        ),
        ("ru_tvoynet", {"encryption": "required"}),
        ("mt_maltanet", {"server_pptp": "10.0.0.138", "login": "{domain}\\{user}", "encryption": "no"}),
        ("nl_kpn_mxstream", {"server_pptp": "10.0.0.138", "authentication": ["pap"]}),
        ("ca_bell_fibe", {"country": "CA", "protocols": ["pppoe"], "redial_minimum": 1000}),
    ],
)
def test_what_is_known(shipped: dict[str, Provider], name: str, expected: dict[str, object]) -> None:
    known = shipped[name].as_dict()
    assert {key: known[key] for key in expected} == expected


def test_the_addresses_that_servers_had(shipped: dict[str, Provider]) -> None:
    had = {name: one.as_dict()["known_addresses"] for name, one in shipped.items() if "known_addresses" in one.facts}
    assert had == {
        "il_internet_gold": ["213.8.8.112"],
        "il_012": ["212.199.26.28"],
        "il_barak": ["62.90.133.58"],
        "il_bezeqint": ["212.179.61.77"],
        "il_actcom": ["192.117.122.13"],
        "il_israserv": ["192.117.195.250"],
        "il_urbis": ["172.26.255.241"],
        "il_aquanet": ["213.57.50.250"],
        "il_technion": ["132.68.254.109"],
        "il_tau": ["132.66.4.125"],
        "il_huji": ["132.64.10.2"],
        "ru_beeline": ["85.21.0.241", "85.21.0.50", "78.107.1.246", "85.21.0.254"],
        "ru_corbina_moscow": ["85.21.0.109", "85.21.0.255", "85.21.0.65"],
    }


def test_the_cities_of_corbina(shipped: dict[str, Provider]) -> None:
    servers = {
        provider.region: (provider.facts["server_pptp"].value, provider.defaults("l2tp").get("server"))
        for name, provider in shipped.items()
        if name.startswith("ru_corbina_")
    }
    coded = {
        "St. Petersburg": "spb",
        "Yaroslavl": "yar",
        "Tula": "tul",
        "Kaluga": "klg",
        "Volgograd": "vlg",
        "Rostov-on-Don": "rnd",
        "Saratov": "sar",
        "Ulyanovsk": "ul",
    }
    assert servers == {
        "Moscow": ("vpn.corbina.net", "tp.corbina.net"),
        "Balashikha": ("vpn.corbina.net", "vpn.corbina.net"),
        "Noginsk": ("vpn.corbina.net", "vpn.corbina.net"),
        "Domodedovo": ("vpn.corbina.net", None),
        "Klin": ("vpn.klg.corbina.net", None),
        "Orenburg": ("vpn.orb.corbina.net", None),
        **{city: (f"vpn.{code}.corbina.net", f"tp.{code}.corbina.net") for city, code in coded.items()},
    }


def test_defaults_are_what_the_preset_says_of_a_protocol(shipped: dict[str, Provider]) -> None:
    assert shipped["il_012"].defaults("pptp") == {
        "protocol": "pptp",
        "server": "cablepns.012.net.il",
        "authentication": ["pap"],
        "encryption": "no",
        "mtu": 1460,
    }
    assert shipped["ru_beeline"].defaults("")["server"] == "tp.internet.beeline.ru"
    assert shipped["ru_beeline"].defaults("pptp")["server"] == "vpn.internet.beeline.ru"
    assert shipped["ca_bell_fibe"].defaults("") == {"protocol": "pppoe"}


def test_a_server_named_after_the_user_is_left_to_the_caller(shipped: dict[str, Provider]) -> None:
    assert "server" not in shipped["il_actcom"].defaults("pptp")


def test_no_address_of_the_past_is_dialled(shipped: dict[str, Provider]) -> None:
    for provider in shipped.values():
        for protocol in provider.protocols:
            server = str(provider.defaults(protocol).get("server", "name"))
            assert server == "10.0.0.138" or not server[-1].isdigit()  # the modem's address is its own


def test_defaults_are_settings(shipped: dict[str, Provider]) -> None:
    for provider in shipped.values():
        if provider.protocols[0] == "pptp":
            settings.parse({"server": "vpn.example.net", "user": "dani", **provider.defaults("")})


def test_redial_minimum(shipped: dict[str, Provider]) -> None:
    assert shipped["ca_bell_fibe"].redial_minimum == 1000.0
    assert shipped["il_012"].redial_minimum == 0.0


def test_the_sources_are_told(shipped: dict[str, Provider]) -> None:
    told = shipped["il_netvision"].as_dict()
    sources = told["sources"]
    assert isinstance(sources, list)
    assert any(line.startswith("mtu: Ubuntu Forums") and line.endswith("(2007)") for line in sources)
    assert any(line.startswith("login: ") and line.endswith("(2007, unverified)") for line in sources)
    assert "2007" in str(told["verify"])
    assert {type(value) for value in told.values()} <= {str, int, bool, list}


def test_an_administrator_adds_and_replaces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "10-first.toml").write_text(SOURCES + preset("il_012") + preset("xx_new", title='"First"'))
    (tmp_path / "20-second.toml").write_text("\ufeff" + SOURCES + preset("xx_new", title='"Second"'))
    (tmp_path / ".#20-second.toml").symlink_to("root@host.1234")  # of an editor
    (tmp_path / "30-notes.txt").write_text("not read")
    found = load(tmp_path)
    assert found["il_012"].defaults("")["server"] == "vpn.example.net"
    assert "authentication" not in found["il_012"].facts
    assert found["xx_new"].title == "Second"
    assert len(found) == len(load(tmp_path / "nothing")) + 1
    assert not caplog.records


def test_what_nobody_confirmed_is_shown_but_not_filled_in(tmp_path: Path) -> None:
    server = '{ value = "vpn.example.net", source = "letter", year = 2024, unverified = true }'
    (tmp_path / "a.toml").write_text(SOURCES + preset(server_pptp=server, mtu=fact("1400")))
    provider = load(tmp_path)["xx_good"]
    assert provider.defaults("pptp") == {"protocol": "pptp", "mtu": 1400}
    assert provider.as_dict()["server_pptp"] == "vpn.example.net"


def test_a_vlan_is_filled_in_by_pppoe_alone(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SOURCES + preset(protocols=fact('["pppoe", "l2tp", "pptp"]'), vlan=fact("35")))
    provider = load(tmp_path)["xx_good"]
    assert provider.defaults("") == {"protocol": "pppoe", "vlan": 35}
    assert provider.defaults("l2tp") == {"protocol": "l2tp"}


def refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Load with a sound file behind the broken one; return the only complaint."""
    (tmp_path / "zz.toml").write_text(SOURCES + preset())
    with caplog.at_level(logging.WARNING):
        found = load(tmp_path)
    assert set(found) == {*load(Path("/nonexistent")), "xx_good"}
    (record,) = caplog.records
    assert "bad.toml" in record.getMessage()
    return record.getMessage()


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (SOURCES + preset("xx_bad") + "title = \n", "line 9"),
        ("\xff", "utf-8"),
        (SOURCES + preset("xx_bad") + "#" * 70000, "65536"),
        ("x = " + "[" * 30000, "recursion"),
        ("y = " + "9" * 5000, "4300"),
        ('provider = "il_012"\n', "table"),
        ("sources = 1\n", "table"),
        ("[sources]\nletter = 1\n", "letter"),
        ('[sources]\nletter = "a\\nb"\n', "letter"),
        (SOURCES + "[providers.xx_bad]\n", "'providers'"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, where: str) -> None:
    (tmp_path / "bad.toml").write_text(content, "latin-1")
    assert where in refused(tmp_path, caplog)


@pytest.mark.parametrize(
    ("name", "changes", "where"),
    [
        ("Up", {}, "Up"),
        ('""', {}, "id"),
        ('"a\\nb"', {}, "a\\nb"),
        ('"../a"', {}, "provider"),
        ("a" * 64, {}, "provider"),
        ("xx_bad", {"pty": '"sh"'}, "'pty'"),
        ("xx_bad", {'"a\\nb"': "1"}, "'a\\nb'"),
        ("xx_bad", {"title": "7"}, "title"),
        ("xx_bad", {"title": '""'}, "title"),
        ("xx_bad", {"title": '"a\\u202eb"'}, "title"),
        ("xx_bad", {"country": '"il"'}, "country"),
        ("xx_bad", {"country": '"IL\\n"'}, "country"),
        ("xx_bad", {"country": "[]"}, "country"),
        ("xx_bad", {"region": '"a\\u001b[0m"'}, "region"),
        ("xx_bad", {"protocols": fact("[]")}, "protocols"),
        ("xx_bad", {"protocols": fact('["sstp"]')}, "protocols"),
        ("xx_bad", {"protocols": fact("[[]]")}, "protocols"),
        ("xx_bad", {"protocols": fact('["l2tp"]')}, "server_pptp"),
        ("xx_bad", {"server_pptp": '"vpn.example.net"'}, "server_pptp"),
        ("xx_bad", {"server_pptp": '{ source = "letter", year = 2024 }'}, "value"),
        ("xx_bad", {"server_pptp": '{ value = "a.example", year = 2024 }'}, "source"),
        ("xx_bad", {"server_pptp": '{ value = "a.example", source = "no", year = 2024 }'}, "source"),
        ("xx_bad", {"server_pptp": '{ value = "a.example", source = [], year = 2024 }'}, "source"),
        ("xx_bad", {"server_pptp": '{ value = "a.example", source = "letter" }'}, "year"),
        ("xx_bad", {"server_pptp": fact('"a.example"', year=99999)}, "year"),
        ("xx_bad", {"server_pptp": '{ value = "a.example", source = "letter", year = true }'}, "year"),
        ("xx_bad", {"server_pptp": '{ value = "a.example", source = "letter", year = 2024, sure = 1 }'}, "sure"),
        (
            "xx_bad",
            {"server_pptp": '{ value = "a.example", source = "letter", year = 2024, unverified = 1 }'},
            "server_pptp",
        ),
        ("xx_bad", {"server_pptp": fact('"--loglevel=2"')}, "server_pptp"),
        ("xx_bad", {"server_pptp": fact('"vpn.example.net\\npty sh"')}, "server_pptp"),
        ("xx_bad", {"server_pptp": fact('"/etc/passwd"')}, "server_pptp"),
        ("xx_bad", {"server_pptp": fact('"{domain}.example.net"')}, "server_pptp"),
        ("xx_bad", {"server_pptp": fact('"127.0.0.1"')}, "server_pptp"),
        ("xx_bad", {"server_pptp": fact("7")}, "server_pptp"),
        ("xx_bad", {"login": fact('"user@C012"')}, "login"),
        ("xx_bad", {"login": fact('"{user.__class__}{user}"')}, "login"),
        ("xx_bad", {"login": fact('"{user}\\n"')}, "login"),
        ("xx_bad", {"login": fact('"{user}' + "a" * 256 + '"')}, "login"),
        ("xx_bad", {"authentication": fact('["none"]')}, "authentication"),
        ("xx_bad", {"encryption": fact("true")}, "encryption"),
        ("xx_bad", {"mtu": fact("9000")}, "mtu"),
        ("xx_bad", {"mtu": fact('"1460"')}, "mtu"),
        ("xx_bad", {"vlan": fact("4095")}, "vlan"),
        ("xx_bad", {"redial_minimum": fact("-1")}, "redial_minimum"),
        ("xx_bad", {"redial_minimum": fact("true")}, "redial_minimum"),
        ("xx_bad", {"redial_minimum": fact("nan")}, "redial_minimum"),
        ("xx_bad", {"peer_is_server": fact("1")}, "peer_is_server"),
        ("xx_bad", {"needs_option_121": fact('"yes"')}, "needs_option_121"),
        ("xx_bad", {"dns": fact('["dns.example"]')}, "dns"),
        ("xx_bad", {"dns": fact("[1]")}, "dns"),
        ("xx_bad", {"dns": fact("[]")}, "dns"),
        ("xx_bad", {"dns": fact('"192.0.2.1"')}, "dns"),
        ("xx_bad", {"cable_routes": fact('"all"')}, "cable_routes"),
        ("xx_bad", {"cable_routes": fact('["0.0.0.0/0"]')}, "cable_routes"),
        ("xx_bad", {"cable_routes": fact('["192.0.2.1/24"]')}, "cable_routes"),
        ("xx_bad", {"known_addresses": fact('["224.0.0.1"]')}, "known_addresses"),
        ("xx_bad", {"remarks": fact('"a\\nb"')}, "remarks"),
        ("xx_bad", {"remarks": fact('"' + "a" * 501 + '"')}, "remarks"),
        ("xx_bad", {"remarks": fact("1979-05-27")}, "remarks"),
    ],
)
def test_a_broken_preset_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, changes: dict[str, str], where: str
) -> None:
    (tmp_path / "bad.toml").write_text(SOURCES + preset(name, **changes))
    complaint = refused(tmp_path, caplog)
    assert where in complaint
    assert complaint.isprintable()


@pytest.mark.parametrize("missing", ["title", "country", "protocols"])
def test_a_preset_that_lacks_something_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, missing: str) -> None:
    lines = [line for line in preset("xx_bad").splitlines() if not line.startswith(missing)]
    (tmp_path / "bad.toml").write_text(SOURCES + "\n".join(lines))
    assert f"`{missing}`" in refused(tmp_path, caplog)


def test_a_broken_preset_leaves_the_others_of_its_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.toml").write_text(SOURCES + preset("il_012", mtu=fact("1")) + preset("xx_good"))
    refused(tmp_path, caplog)
    assert load(tmp_path)["il_012"].facts["mtu"].value == 1460


def test_only_plain_files_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = tmp_path / "away"
    away.write_text(SOURCES + preset("xx_away"))
    (tmp_path / "1.toml").symlink_to(away)
    os.mkfifo(tmp_path / "2.toml")
    (tmp_path / "3.toml").mkdir()
    assert set(load(tmp_path)) == set(load(Path("/nonexistent")))
    assert [name for name in ("1.toml", "2.toml", "3.toml") if name not in caplog.text] == []


def test_a_file_that_others_may_write_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.toml").write_text(SOURCES + preset("xx_bad"))
    (tmp_path / "bad.toml").chmod(0o664)
    refused(tmp_path, caplog)


def test_somebody_elses_file_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.toml").write_text(SOURCES + preset("xx_bad"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert set(load(tmp_path)) == set(load(Path("/nonexistent")))
    assert "bad.toml" in caplog.text


def test_importing_is_cheap_and_reads_nothing() -> None:
    program = (
        "import sys\n"
        "def see(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('providers.toml'): sys.exit('read at import')\n"
        "sys.addaudithook(see)\n"
        "import cablecar.helper.providers\n"
        "sys.exit(str({'asyncio', 'dbus_next', 'pyroute2', 'tomlkit'} & set(sys.modules) or ''))\n"
    )
    result = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""
