"""The peer file of a link as pppd should understand it, whatever its user has typed: the host's and the guests'."""

import hostile
import realpppd

from cablecar.helper.installed import Version
from cablecar.helper.settings import Settings, parse
from cablecar.helper.words import quote

SERVER = "203.0.113.7"

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
    b"lcp-echo-interval": b"1",
    b"lcp-max-configure": b"18",
    b"lcp-max-terminate": b"1",
    b"lcp-restart": b"1",
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
    b"pty": b"/usr/sbin/pptp 203.0.113.7 --nolaunchpppd --nohostroute --loglevel 1 --timeout 0.02",
    b"refuse-eap": b"",
    b"refuse-mschap": b"",
    b"remotename": b"yosefcom",
    b"usepeerdns": b"",
    b"user": b"customer@C012",
}
# As 2.5 has and prints it: adaptive echo, which wants fewer failures; and it leaves out the name of one.
NEWER = {
    **{b"" if name == b"refuse-mschap" else name: value for name, value in GOLDEN.items()},
    b"lcp-echo-adaptive": b"",
    b"lcp-echo-failure": b"3",
}


def quoted(values: list[bytes]) -> bytes:
    """An option file that gives each of the values to one of `STRING_OPTIONS`."""
    lines = [f"{option} {quote(value)}\n" for option, value in zip(STRING_OPTIONS, values, strict=True)]
    return "".join(lines).encode() + b"noauth\n"


def hostile_links() -> list[tuple[Settings, bytes]]:
    """Links with every user, password and title that are accepted; the shorter lists are repeated."""
    passwords = [*hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS]
    links = []
    for number, password in enumerate(passwords):
        user = hostile.USERS_CARRIED[number % len(hostile.USERS_CARRIED)]
        title = hostile.TITLES_CARRIED[number % len(hostile.TITLES_CARRIED)]
        links.append((parse({"server": SERVER, "user": user, "title": title}), password.encode()))
    return links


def hostile_texts() -> list[bytes]:
    """Every hostile string, accepted or not, that can be a word of pppd's at all."""
    texts = (*hostile.USERS_CARRIED, *hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS, *hostile.TITLES_CARRIED,
             *hostile.NAMES_REFUSED, *hostile.USERS_REFUSED, *hostile.SERVERS_REFUSED)  # fmt: skip
    data = (text.encode() for text in texts)
    return [value for value in data if 0 < len(value) <= 255 and b"\0" not in value]


def rows(values: list[bytes]) -> list[list[bytes]]:
    """The values, as many together as there are options to hold them; the last row is filled up."""
    values = values + [b"x"] * (-len(values) % len(STRING_OPTIONS))
    return [values[start : start + len(STRING_OPTIONS)] for start in range(0, len(values), len(STRING_OPTIONS))]


def check_row(row: list[bytes], dump: list[realpppd.Option]) -> None:
    """Make sure that pppd took each value of a row for what it was, and nothing for an option."""
    understood = {option.name.decode(): option for option in dump}
    assert set(understood) == {*STRING_OPTIONS, "noauth"}
    assert len(dump) == len(understood)
    for name, value in zip(STRING_OPTIONS, row, strict=True):
        assert understood[name].is_of(value), (name, value, understood[name])


def check_golden(link: Settings, dump: list[realpppd.Option], version: Version) -> None:
    """Make sure that a link's peer file has, for this version of pppd, the golden options and no others."""
    expected = {**(NEWER if version >= (2, 5, 0) else GOLDEN), b"user": link.user.encode()}
    assert sorted(option.name for option in dump) == sorted(expected)
    for option in dump:
        assert option.is_of(expected[option.name]), (link, option)
