"""The quoter of the peer file before its judges: our own reader of pppd's words, and the installed pppd itself."""

import random
from ipaddress import IPv4Address
from pathlib import Path

import hostile
import pytest
import realpppd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cablecar.helper import pppfiles
from cablecar.helper.settings import Settings, parse
from cablecar.helper.words import words

SERVER = IPv4Address("203.0.113.7")
SAMPLES = 10_000

# Options whose value is a string that pppd takes as it is, and dumps. `pty` is among them: it is dialed with.
STRING_OPTIONS = (
    "user", "remotename", "name", "ipparam", "linkname", "init", "connect", "disconnect", "welcome", "ip-up-script",
    "ip-down-script", "pty",
)  # fmt: skip

# All that pppd takes from the peer file of a link `yosefcom` with plain settings: options, their values as it prints
# them. A line more or less here is a decision about every call.
GOLDEN = {
    b"hide-password": b"",
    b"ip-down-script": b"/usr/lib/cablecar/ip-down",
    b"ip-up-script": b"/usr/lib/cablecar/ip-up",
    b"ipcp-accept-local": b"",
    b"ipcp-accept-remote": b"",
    b"ipparam": b"yosefcom",
    b"lcp-echo-failure": b"4",
    b"lcp-echo-interval": b"5",
    b"lcp-max-configure": b"6",
    b"linkname": b"yosefcom",
    b"logfile": b"/run/cablecar/yosefcom.byhand.log",
    b"maxfail": b"1",
    b"mru": b"1436",
    b"mtu": b"1436",
    b"noauth": b"",
    b"nobsdcomp": b"",
    b"nodefaultroute": b"",
    b"nodeflate": b"",
    b"noipdefault": b"",
    b"noipv6": b"",
    b"nomppe": b"",
    b"nopersist": b"",
    b"noproxyarp": b"",
    b"novj": b"",
    b"password": b"??????",
    b"pty": b"/usr/sbin/pptp 203.0.113.7 --nolaunchpppd --nohostroute --loglevel 1",
    b"refuse-eap": b"",
    b"refuse-mschap": b"",
    b"remotename": b"yosefcom",
    b"usepeerdns": b"",
    b"user": b"customer@C012",
}


def quoted(values: list[bytes]) -> bytes:
    """An option file that gives each of the values to one of `STRING_OPTIONS`."""
    lines = [f"{option} {pppfiles.quote(value)}\n" for option, value in zip(STRING_OPTIONS, values, strict=True)]
    return "".join(lines).encode() + b"noauth\n"


def every_value() -> list[bytes]:
    """Random bytes by hypothesis, each read by ourselves at once, and the hostile strings."""
    texts = (*hostile.USERS_CARRIED, *hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS, *hostile.TITLES_CARRIED,
             *hostile.NAMES_REFUSED, *hostile.USERS_REFUSED, *hostile.SERVERS_REFUSED)  # fmt: skip
    data = (text.encode() for text in texts)
    values = [value for value in data if 0 < len(value) <= 255 and b"\0" not in value]
    edges = st.text("\"'\\#\n\r\t abnrstx01789,@/\xff", min_size=1, max_size=60).map(
        lambda text: text.encode("latin-1")
    )
    anything = st.binary(min_size=1, max_size=255).filter(lambda value: b"\0" not in value)

    @settings(max_examples=SAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(edges | anything)
    def judge(value: bytes) -> None:
        text = b"user " + pppfiles.quote(value).encode() + b" noauth"
        assert [word.value for word in words(text)] == [b"user", value, b"noauth"]
        values.append(value)

    judge()
    assert len(values) >= SAMPLES
    return values


def test_a_quoted_value_is_for_pppd_what_it_was(tmp_path: Path) -> None:
    values = every_value()
    values += [b"x"] * (-len(values) % len(STRING_OPTIONS))
    rows = [values[start : start + len(STRING_OPTIONS)] for start in range(0, len(values), len(STRING_OPTIONS))]
    for row, dump in zip(rows, realpppd.dumps([quoted(row) for row in rows], tmp_path), strict=True):
        understood = {option.name.decode(): option for option in dump}
        assert set(understood) == {*STRING_OPTIONS, "noauth"}
        assert len(dump) == len(understood)
        for name, value in zip(STRING_OPTIONS, row, strict=True):
            assert understood[name].is_of(value), (name, value, understood[name])


def test_our_own_reader_takes_a_word_for_what_pppd_takes_it_for(tmp_path: Path) -> None:
    chance = random.Random(17)
    texts = ["".join(chance.choices("\"'\\#x0179anst \n\xe9", k=chance.randint(1, 12))) for _ in range(1500)]
    files = [f"user {text}\nnoauth\npty x\n".encode("latin-1") for text in texts]
    read = [[word.value for word in words(file)] for file in files]
    # Those of which the first thing is one word; pppd would take the others for more options and say so.
    chosen = [number for number, found in enumerate(read) if len(found) == 5 and found[2:] == [b"noauth", b"pty", b"x"]]
    assert len(chosen) > 200
    for number, dump in zip(chosen, realpppd.dumps([files[number] for number in chosen], tmp_path), strict=True):
        (user,) = (option for option in dump if option.name == b"user")
        assert user.is_of(read[number][1]), (files[number], user)


def test_the_judge_sees_an_injection(tmp_path: Path) -> None:
    (dump,) = realpppd.dumps([b'user "u" maxfail "7"\npty x\nnoauth\n'], tmp_path)
    assert {(option.name, option.printed) for option in dump} >= {(b"user", b"u"), (b"maxfail", b"7")}
    assert not realpppd.Option(b"user", b"a\\\\b", False).is_of(b"a\\\\b")
    with realpppd.memory(b'password "abcdef"\n', tmp_path) as memory:
        assert b"abcdef\0" in memory
        assert b"abcdeg\0" not in memory


def hostile_links() -> list[tuple[Settings, bytes]]:
    """Links with every user, password and title that are accepted; the shorter lists are repeated."""
    passwords = [*hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS]
    links = []
    for number, password in enumerate(passwords):
        user = hostile.USERS_CARRIED[number % len(hostile.USERS_CARRIED)]
        title = hostile.TITLES_CARRIED[number % len(hostile.TITLES_CARRIED)]
        links.append((parse({"server": str(SERVER), "user": user, "title": title}), password.encode()))
    return links


def test_the_options_of_a_peer_file_are_the_golden_ones_whoever_the_user_is(tmp_path: Path) -> None:
    plain = Settings(str(SERVER), "customer@C012", title="Yosefcom"), b"secret"
    links = [plain, *hostile_links()]
    files = [pppfiles.render("yosefcom", link, SERVER, password, (2, 4, 9)) for link, password in links]
    for (link, _), dump in zip(links, realpppd.dumps(files, tmp_path), strict=True):
        expected = {**GOLDEN, b"user": link.user.encode()}
        assert sorted(option.name for option in dump) == sorted(expected)
        for option in dump:
            assert option.is_of(expected[option.name]), (link, option)


@pytest.mark.parametrize("number", range(len(hostile.PASSWORDS_CARRIED)))
def test_pppd_holds_the_very_bytes_of_user_and_password(number: int, tmp_path: Path) -> None:
    settings, password = hostile_links()[number]
    with realpppd.memory(pppfiles.render("yosefcom", settings, SERVER, password, (2, 4, 9)), tmp_path) as memory:
        assert settings.user.encode() + b"\0" in memory
        assert password + b"\0" in memory
