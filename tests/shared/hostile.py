"""Strings that attacked programs of this kind, and some that only look as if they did.

One place for the tests without a bus, on a bus, and in the lab. Each set is split by what must become of its values:
`…_CARRIED` are accepted and come out byte for byte wherever they went in; `…_REFUSED` are refused by name.
"""

import random
import unicodedata
from typing import Any


def payload(number: int) -> str:
    """A shell command whose traces the tests look for, wherever it may write: a unit has a /tmp of its own."""
    return f"touch /tmp/pwned-{number} /run/pwned-{number} /run/cablecar/pwned-{number}"


NAMES_CARRIED = ("a", "provider", "all", "ppp0", "a" * 31)
NAMES_REFUSED = (
    "", ".", "..", "../../../../tmp/evil", "/etc/shadow", "a/b", "a\nb", "a\r", "abc\n", "-v", "--help", " a", "a ",
    "a b", "x.sh", "a~", "0000usepeerdns", "pap-secrets", f"$({payload(1)})", f"`{payload(2)}`", f"';{payload(3)}",
    "%i%n%%", "a@b", "a\\x2db", "y\u043esef", "ÿ", "\u202etxt", "\ufeffa", "a" * 32, "a" * 33, "a" * 256, "a" * 70000,
    "A",
)  # fmt: skip

TITLES_CARRIED = ("<b>bold</b>", '<img src="file:///etc/shadow">', "Tom & Jerry", '"; id', "%s%n", "שלום", "a" * 64)
TITLES_REFUSED = ("a\nb", "\x1b[2J", "\x7f", "\u202etxt", "\u2028", "\ufeffa", "a" * 65)

_CREDENTIALS_CARRIED = (
    "u@C012", "DOM\\user", "a b", 'a"b', "a'b", "a\\", 'a\\"', "a#b", "#a", "*", "שלום", "\u00e9", "e\u0301",
    'u" plugin "/tmp/p.so', f'u" pty "{payload(5)}', 'u\\" plugin x', "u\\n", "u\\x00", "u\\000", "--", "-- plugin x",
    "@/etc/shadow", "%s%n%x", "10.0.0.1:10.0.0.2", "b" * 255, "\u0645\u06cc\u200c\u062e\u0648",
    "\U0001f469\u200d\U0001f4bb", "co\u00adop", "\ufeffa",
)  # fmt: skip
_CREDENTIALS_REFUSED = (
    "", "u\nplugin /tmp/p.so", f'u\r\npty "{payload(4)}"', "u\x00x", "u\x1b]0;x\x07", "u\x7f", "u\x85x", "u\u2028x",
    "u\u202ex", "u\u2066x", "u\u200fx", "u\u061cx", "a\tb", "a" * 256, "\u05e9" * 128,
)  # fmt: skip


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _random_texts(count: int) -> tuple[str, ...]:
    """The same ones each time: texts of 1 to 255 bytes of UTF-8 without what is refused."""
    chance = random.Random(13)
    texts: list[str] = []
    while len(texts) < count:
        highest = chance.choice((0x7E, 0xFF, 0xFFFF, 0x10FFFF))
        text = "".join(chr(chance.randint(0x20, highest)) for _ in range(chance.randint(1, 63)))
        kept = (char for char in text if unicodedata.category(char) not in ("Cc", "Cn", "Cs", "Zl", "Zp"))
        text = "".join(char for char in kept if char not in BIDI)
        if text:
            texts.append(text)
    return tuple(texts)


USERS_CARRIED = _CREDENTIALS_CARRIED
USERS_REFUSED = _CREDENTIALS_REFUSED
PASSWORDS_CARRIED = (
    *_CREDENTIALS_CARRIED, "@/root/.ssh/id_ed25519", '"', "\\", "\\\\", " ", " x", "x ", '" * -- plugin /tmp/p.so',
    f"$({payload(6)})", f"' ; {payload(7)} ; '", "".join(map(chr, range(0x20, 0x7F))),
)  # fmt: skip
RANDOM_PASSWORDS = _random_texts(256)
PASSWORDS_REFUSED = (*_CREDENTIALS_REFUSED, 'p\n* * "stolen" *')

TUNNEL_SECRETS_CARRIED = ("s3cret!", '"$(id)"', "@/etc/shadow", "*", "\\", "'", "x" * 64, "")
TUNNEL_SECRETS_REFUSED = ("a b", "a#b", "a;b", "a\tb", "a\n* * b", "a\r", "\x7f", "bücher", "x" * 65)

SERVERS_CARRIED = ("203.0.113.7", "a_b.ex", "ex.")
SERVERS_REFUSED = (
    "", f"203.0.113.9; {payload(8)}", "203.0.113.9 --debug", "203.0.113.9\npersist", f"$({payload(9)})",
    '203.0.113.9"', "-x", "--help", "0x7f000001", "2130706433", "010.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255",
    "224.0.0.1", "240.0.0.1", "169.254.1.1", "::1", "fe80::1%cab0", "::ffff:203.0.113.9", "localhost", "a..b", "-a.ex",
    "ex.:1723", "ex/24", "bücher.ex", "a" * 254, "1.2.3", "vpn.example.9", "\u0663.\u0663.\u0663.\u0663",
)  # fmt: skip

INTERFACES_CARRIED = ("", "eth0", "missing", "enp3s0.100", "a" * 15)
INTERFACES_REFUSED = (
    "lo", "ppp0", "all", "default", "../cab0", "cab0 dev ppp0", "-cab0", "cab0\n", "cab0:1", "a" * 16
)  # fmt: skip

MTUS_CARRIED = (0, 576, 1400, 1500)
MTUS_REFUSED: tuple[Any, ...] = (-1, 67, 575, 65536, 2**31, True, "1400 plugin x", 1400.5)

SERVICES_CARRIED = (
    "",
    "isp",
    "a b",
    "#a",
    "--",
    "%s%n",
    '"; id',
    'x" plugin "/tmp/p.so',
    "\u05e9\u05dc\u05d5\u05dd",
    "b" * 255,
)
SERVICES_REFUSED = (
    "a\nb", 'x\r\npty "sh"', "\x1b[2J", "\x7f", "\u202etxt", "\u2028", "\ufeffa", "a" * 256, "\u05e9" * 128
)  # fmt: skip

VLANS_CARRIED = (0, 1, 35, 4094)
VLANS_REFUSED: tuple[Any, ...] = (-1, 4095, 2**31, True, "35", "35 egress", 35.5)

SHARES_CARRIED: tuple[list[str], ...] = ([], ["eth1"], ["enp3s0.100", "br-lan"], ["a" * 15], ["missing"])
SHARES_REFUSED: tuple[Any, ...] = (
    "eth1", ["eth1\n"], ['eth1" drop'], ["eth1 } accept"], ["*"], [""], ["../eth1"], ["-eth1"], ["eth1:1"], ["lo"],
    ["all"], ["default"], ["ppp0"], ["cablecar0.35"], ["a" * 16], ["eth1"] * 17,
)  # fmt: skip

ROUTES_CARRIED: tuple[Any, ...] = ("all", "none", ["198.51.100.0/24"], ["192.0.2.7/32", "10.0.0.0/8"])
ROUTES_REFUSED: tuple[Any, ...] = (
    "", "some", "198.51.100.0/24", [], [""], ["all"], ["default"], ["198.51.100.0/24\n"], ["198.51.100.0/24 dev eth0"],
    ["198.51.100.1/24"], ["10.0.0.0/33"], ["10.0.0.0/-1"], ["\u0661\u0660.0.0.0/8"], ["0.0.0.0/0"], ["::/0"],
    ["2001:db8::/32"], ["10.0.0.0/8"] * 65,
)  # fmt: skip

STRICT_CARRIED: tuple[Any, ...] = (False, True, ["192.168.1.0/24"], ["100.64.0.0/10", "10.0.0.0/8"])
STRICT_REFUSED: tuple[Any, ...] = (
    "true", "all", 1, [], [""], ["192.168.1.0/24 } accept"], ["192.168.1.0/24\n"], ["192.168.1.5/24"], ["8.8.8.0/24"],
    ["8.0.0.0/7"], ["10.0.0.0/7"], ["0.0.0.0/0"], ["fe80::/10"], ["10.0.0.0/8"] * 65,
)  # fmt: skip

DNS_CARRIED: tuple[Any, ...] = ("peer", "cable", "none", ["192.0.2.53"], ["198.51.100.54", "192.0.2.53", "10.99.0.53"])
DNS_REFUSED: tuple[Any, ...] = (
    "8.8.8.8\nnameserver 6.6.6.6", "8.8.8.8 options rotate", ["8.8.8.8\nnameserver 6.6.6.6"],
    ["8.8.8.8 options rotate"], ["224.0.0.1"], ["0.0.0.0"], ["dns.example"], ["8.8.8.8"] * 1000,
)  # fmt: skip

# Keys that are options of pppd, or names of what pppd has options for: no setting is called so.
KEYS_REFUSED = (
    "pty",
    "plugin",
    "connect",
    "password",
    "ppp_options",
    "ip-up-script",
    "Server",
    "user ",
    "ser\nver",
    "",
)
