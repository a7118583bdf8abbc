"""Hostile user names and passwords before a real server: it is told them as they are, and nothing else happens.

Each guest takes every second login. Some go all the way that a user's do, through the helper; all the others need only
pppd: by the peer file that the helper would write, straight to a second pppd as the provider has them.
"""

import itertools
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import lab
import oracle
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "shared"))

import hostile
from lines import LINES

from cablecar.helper import pppfiles
from cablecar.helper.installed import Pppd
from cablecar.helper.settings import check_password, parse

# Each password once. In each guest every user, for there are an odd number of them.
PASSWORDS = (*hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS)
LOGINS = list(zip(itertools.cycle(reversed(hostile.USERS_CARRIED)), PASSWORDS))
MINE = LOGINS[os.environ["LAB_GUEST"] == "debian13" :: 2]
ALL_THE_WAY = 6  # of this guest's
TOGETHER = 3  # logins of one test: the lab takes one that is silent for minutes for hung
DIRECTLY = len(hostile.USERS_CARRIED)  # the same, by pppd alone
AT_ONCE = 3
VERSION = Pppd().version()
OURS = f"/etc/ppp/peers/{lab.LINK}"


def log_in(user: str, password: str) -> str:
    """Make a call as this user to a server that knows no other, and end it; return what went wrong."""
    lab.isp("user", user)
    lab.isp("password", password)
    lab.isp("auth", method(password))
    # What is pinned after a login by CHAP would refuse the next one by PAP.
    lab.link("Update", "a{sv}", "2", "user", "s", user, "authentication", "as", "0")
    lab.link("SetPassword", "s", password)
    answer = lab.link("Connect", check=False)
    if answer.ok and tells(password):
        assert len(lab.call_processes()) == LINES["pptp"].processes
        oracle.check_command_lines(password)
    lab.link("Disconnect")
    return "" if answer.ok else f"{user!r} with {password!r}: {answer.error}"


def method(password: str) -> str:
    """By PAP the server's pppd compares what it prints of a password, and its versions print other letters than ASCII's
    differently."""
    return "pap" if password.isascii() else "chap"


def tells(password: str) -> bool:
    """Whether finding this somewhere means that a password was there."""
    return len(password) > 8 and password not in hostile.USERS_CARRIED


def check_journal(logins: list[tuple[str, str]], since: str) -> None:
    """No traceback and none of the passwords in the journal since then."""
    said = lab.journal("--since", since)
    assert "Traceback" not in said
    assert not [password for _, password in logins if tells(password) and password in said]


@pytest.fixture
def restored() -> Iterator[None]:
    """The provider knows its customer again, whoever else was written into its files."""
    yield
    lab.isp("user", lab.USER)
    lab.isp("reset")


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    "first", [0, *(pytest.param(n, marks=pytest.mark.whole) for n in range(TOGETHER, ALL_THE_WAY, TOGETHER))]
)
def test_users_and_passwords_log_in(first: int) -> None:
    before, begin = oracle.foreign_files(), time.strftime("%F %T")
    logins = MINE[first : first + TOGETHER]
    refused = [log_in(user, password) for user, password in logins]
    assert not any(refused), "\n".join(filter(None, refused))
    assert {path: facts for path, facts in oracle.foreign_files().items() if path != OURS} == before
    check_journal(logins, begin)


@pytest.mark.usefixtures("configured")
def test_the_server_does_compare() -> None:
    assert log_in('a "b', "x \\y") == ""
    for command, right, wrong in (("user", 'a "b', 'a "B'), ("password", "x \\y", "x \\Y")):
        lab.isp(command, wrong)
        assert "refused the user name or password" in lab.link("Connect", check=False).error
        lab.isp(command, right)


PADI, SERVICE_NAME = b"\x88\x63\x11\x09", 0x0101  # Ethernet's type, PPPoE's version and code; a tag
HOSTILE_AC = 'isp" plugin "/tmp/pwned.so'
HOSTILE_SERVICE = f"$({hostile.payload(12)})"  # which pppoe-server 4.0 would not take for one of its own


@pytest.fixture
def hostile_concentrator() -> Iterator[None]:
    """A concentrator on the cable, beside the provider's, whose name no decent one has."""
    server = lab.run("systemctl", "show", "--value", "--property=MainPID", "isp-pppoe.service").output.strip()
    where = ("nsenter", f"--target={server}", "--mount", "--net")
    names = ("-C", HOSTILE_AC, "-S", "internet", "-L", lab.PEER, "-R", "192.0.2.150", "-N", "5")
    options = ("-F", "-I", "cable", "-O", "/etc/ppp/call-options", "-X", "/run/hostile.pid")
    with subprocess.Popen([*where, "pppoe-server", *options, *names]) as process:
        yield
        process.terminate()


@contextmanager
def discovering() -> Iterator[bytearray]:
    """What is asked of concentrators meanwhile, as it comes to the provider's end of the cable; there afterwards."""
    heard = bytearray()
    command = ["ip", "netns", "exec", "isp", "tcpdump", "-U", "-w", "-", "-Q", "in", "-i", "cable", "pppoed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tcpdump:
        assert tcpdump.stdout is not None and tcpdump.stderr is not None
        while b"listening on" not in (said := tcpdump.stderr.readline()):
            assert said, f"tcpdump has ended with {tcpdump.wait()}"
        yield heard
        time.sleep(0.5)  # what was sent by now has arrived
        tcpdump.terminate()
        heard += tcpdump.stdout.read()


def tag(kind: int, text: str) -> bytes:
    """As it stands in a packet of the discovery (RFC 2516, appendix A)."""
    return struct.pack("!HH", kind, len(text)) + text.encode()


@pytest.mark.parametrize("line", ["pppoe"], indirect=True)
@pytest.mark.usefixtures("hostile_concentrator", "configured")
def test_the_names_of_a_concentrator_and_of_a_service_stay_data() -> None:
    def connect(server: str, service: str) -> lab.Answer:
        lab.link("Update", "a{sv}", "2", "server", "s", server, "service", "s", service)
        return lab.link("Connect", check=False)

    with discovering() as asked:
        assert "No PPPoE server answers" in connect(HOSTILE_AC, HOSTILE_SERVICE).error
        lab.link("Disconnect")
    assert asked.count(PADI) > 0
    assert asked.count(PADI) == asked.count(tag(SERVICE_NAME, HOSTILE_SERVICE)), "each asks for it, byte for byte"
    answer = connect(HOSTILE_AC, "internet")
    assert answer.ok, answer.error
    lab.link("Disconnect")


# Whoever looks for a concentrator is refused by it in words that go on in lines like pppd's; with `debug` its name
# does. Once: pppd 2.4.9 asks three times in all, and is then content with having been refused.
STATION = """
import socket
from cablecar.helper.discovery import AC_NAME, ETHERTYPE, HOST_UNIQ, PADI, PADO, _tags, packet, tag

FORGED = b"x\\nUsing interface eth0\\nlocal  IP address 192.0.2.66\\n"
FORGED += b"remote IP address 192.0.2.67\\nPAP authentication failed"
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as ether:
    ether.bind(("cable", ETHERTYPE))
    print("ready", flush=True)
    answered = set()
    while True:
        frame = ether.recv(2048)
        asks = dict(_tags(frame[20:])).get(HOST_UNIQ, b"") if frame[15] == PADI else None
        if asks is not None and asks not in answered:
            answered.add(asks)
            tags = tag(HOST_UNIQ, asks) + tag(AC_NAME, FORGED) + tag(0x0203, FORGED)
            ether.send(packet(frame[6:12], bytes(ether.getsockname()[4]), PADO, 0, tags))
"""


@pytest.fixture
def concentrator() -> Iterator[int]:
    """The provider's process, beside a station on the cable that forges lines of pppd."""
    server = int(lab.run("systemctl", "show", "--value", "--property=MainPID", "isp-pppoe.service").output)
    command = ("nsenter", f"--target={server}", "--net", sys.executable, "-c", STATION)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield server
        os.kill(server, signal.SIGCONT)
        process.terminate()


def said() -> list[str]:
    log = Path(f"/run/cablecar/{lab.LINK}.log")
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("line", ["pppoe"], indirect=True)
@pytest.mark.parametrize("debug", ["false", "true"])
@pytest.mark.usefixtures("configured")
def test_a_station_that_forges_lines_of_pppd_neither_misleads_a_call_nor_ends_it(debug: str, concentrator: int) -> None:
    lab.link("Update", "a{sv}", "1", "debug", "b", debug)
    os.kill(concentrator, signal.SIGSTOP)  # so that the other one speaks first
    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(lab.link, "Connect", check=False)
        lab.eventually(lambda: "Using interface eth0" in said(), 20, "it has spoken")
        assert lab.prop("State") == "dialing"
        os.kill(concentrator, signal.SIGCONT)
        answer = connecting.result()
    assert answer.ok, answer.error
    assert (lab.prop("State"), lab.prop("Interface")) == ("up", "ppp0")
    os.kill(lab.pppd_pid(), signal.SIGHUP)  # a reason of pppd's own
    lab.eventually(lambda: lab.prop("State") not in ("up", "stopping"), 15, "it ends")
    assert lab.prop("Reason") == "hung-up-here"


@pytest.mark.parametrize("protocol", [name for name, line in LINES.items() if line.pinned])
def test_no_server_but_an_address_or_a_name_is_taken(protocol: str) -> None:
    for server in hostile.SERVERS_REFUSED:
        settings = ("protocol", "s", protocol, "server", "s", server, "user", "s", lab.USER)
        refused = lab.manager("AddLink", "sa{sv}", "evil", "3", *settings, check=False)
        assert "`server` must " in refused.error, (server, refused)
    assert lab.manager("ListLinks").output.split() == ["a(sos)", "0"]


# By PPPoE it is a concentrator's name, and that may be nearly any text: see above.
def test_no_concentrator_or_service_has_a_name_that_is_no_text() -> None:
    for key in ("server", "service"):
        for name in ("a\nb", "\x1b[2J", "\u202etxt", "\u2028", "a" * 256):
            settings = ("protocol", "s", "pppoe", key, "s", name, "user", "s", lab.USER)
            refused = lab.manager("AddLink", "sa{sv}", "evil", "3", *settings, check=False)
            assert f"The setting `{key}` must " in refused.error, (name, refused)
    assert lab.manager("ListLinks").output.split() == ["a(sos)", "0"]


class Provider:
    """pppds as the provider starts them, each for one login; they see the files that pptpd's do.

    They know several customers at once, who must not share a name.
    """

    FILES = Path("/run/isp/ppp")

    def __init__(self, logins: list[tuple[str, str]]) -> None:
        lines = {"pap": "", "chap": ""}
        for number, (user, password) in enumerate(logins):
            # By way of a file: what stands there is not taken for the name of one.
            (self.FILES / f"password-{number}").write_text(f"{_word(password.encode())}\n", "latin-1")
            name = _word(subprocess.run(["cat", "-v"], input=user.encode(), capture_output=True, check=True).stdout)
            lines[method(password)] += f"{name} * @/etc/ppp/password-{number} *\n"
        for kind, text in lines.items():
            (self.FILES / f"{kind}-secrets").write_text(text)
        server = lab.run("systemctl", "show", "--value", "--property=MainPID", "isp-pptpd.service").output.strip()
        self._command = (
            f"exec nsenter --target {server} --mount --net pppd notty nodetach name isp local noccp noipv6 require-"
        )

    def accepts(self, slot: int, user: str, password: str, folder: Path) -> str:
        """Log in by the peer file of a link of these settings; return what went wrong."""
        settings = parse({"server": lab.SERVER, "user": user})
        peer = pppfiles.render(f"slot{slot}", settings, lab.SERVER, check_password(password), VERSION)
        kept = [line for line in peer.splitlines() if not line.startswith((b"pty ", b"logfile "))]
        # Without a network protocol the call ends by itself after the login.
        kept += [f'pty "{self._command}{method(password)}"'.encode(), b"noip", b"noccp", b"nodetach", b"logfd 1"]
        path = folder / f"slot{slot}"
        path.write_bytes(b"\n".join(kept) + b"\n")
        said = lab.run("pppd", "file", str(path), check=False, timeout=60).output
        return "" if "authentication succeeded" in said else f"{user!r} with {password!r}: {said}"


def _word(text: bytes) -> str:
    """As one word of pppd's files, by the simplest of its ways."""
    return '"' + text.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("first", range(ALL_THE_WAY, len(MINE), DIRECTLY))
def test_a_pppd_with_our_peer_file_logs_in(first: int, tmp_path: Path) -> None:
    before, begin = oracle.foreign_files(), time.strftime("%F %T")
    logins = MINE[first : first + DIRECTLY]
    provider = Provider(logins)

    def share(slot: int) -> list[str]:
        return [provider.accepts(slot, user, password, tmp_path) for user, password in logins[slot::AT_ONCE]]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        refused = [one for shares in pool.map(share, range(AT_ONCE)) for one in shares]
    assert not any(refused), "\n".join(filter(None, refused))
    assert oracle.foreign_files() == before
    check_journal(logins, begin)


@pytest.mark.usefixtures("restored")
def test_the_pppd_of_the_provider_does_compare(tmp_path: Path) -> None:
    for known, tried in (("x \\y", "x \\Y"), ("ö" * 40, "ö" * 39 + "o")):
        provider = Provider([('a "b', known)])
        assert provider.accepts(0, 'a "b', known, tmp_path) == ""
        assert "authentication failed" in provider.accepts(0, 'a "b', tried, tmp_path)
        assert "authentication failed" in provider.accepts(0, 'a "B', known, tmp_path)
