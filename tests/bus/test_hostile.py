"""Hostile strings through the bus and through files: each is refused by its name or carried as it is, and never more.

What each of them must come to is said in tests/shared/hostile.py; what pppd makes of a peer file, pppd says itself.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hostile
import pytest
import realpppd
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from cablecar.helper import names
from cablecar.helper.errors import printable
from cablecar.helper.links import Links
from cablecar.helper.pppoe import PPPOE
from cablecar.helper.settings import Settings, full_dict
from cablecar.helper.wire import plain

if TYPE_CHECKING:
    from tests.bus.conftest import FakePolkit, Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
OTHER = "other"
SERVER = "203.0.113.7"
WRONG_SIGNATURES: dict[str, list[Any]] = {
    "": [], "s": ["x"], "i": [1], "u": [1], "as": [["x"]], "a{sv}": [{}], "v": [Variant("s", "x")],
    "(ss)": [["x", "y"]], "sa{sv}": ["x", {}], "ay": [b"x"],
}  # fmt: skip

# Every setting but flags and choices, with hostile values that it takes, and with those that it does not.
CARRIED: dict[str, tuple[Any, ...]] = {
    "title": hostile.TITLES_CARRIED,
    "server": hostile.SERVERS_CARRIED,
    "user": hostile.USERS_CARRIED,
    "interface": hostile.INTERFACES_CARRIED,
    "mtu": hostile.MTUS_CARRIED,
    "service": hostile.SERVICES_CARRIED,
    "vlan": hostile.VLANS_CARRIED,
    "share": hostile.SHARES_CARRIED,
    "route": hostile.ROUTES_CARRIED,
    "strict": hostile.STRICT_CARRIED,
    "dns": hostile.DNS_CARRIED,
}
REFUSED: dict[str, tuple[Any, ...]] = {
    "title": hostile.TITLES_REFUSED,
    "server": hostile.SERVERS_REFUSED,
    "user": hostile.USERS_REFUSED,
    "interface": hostile.INTERFACES_REFUSED,
    "mtu": hostile.MTUS_REFUSED,
    "service": hostile.SERVICES_REFUSED,
    "vlan": hostile.VLANS_REFUSED,
    "share": hostile.SHARES_REFUSED,
    "route": hostile.ROUTES_REFUSED,
    "strict": hostile.STRICT_REFUSED,
    "dns": hostile.DNS_REFUSED,
}
DEFAULTS = full_dict(Settings(SERVER, "u"))
CHOICES = {"provider", "protocol", "authentication", "encryption", "firewall"}


def variant(value: Any) -> Variant:
    kinds = {str: "s", bool: "b", int: "x", float: "d", list: "as"}
    return Variant(kinds[type(value)], value)


def on_bus(value: Any) -> bool:
    """Whether the value can be sent: the bus ends the connection of who sends a NUL in a string."""
    return "\0" not in str(value)


def protocol_of(key: str) -> Variant:
    return Variant("s", "pppoe" if key in PPPOE.own_settings else "pptp")


def with_setting(key: str, value: Any) -> dict[str, Variant]:
    return {
        "protocol": protocol_of(key),
        "server": Variant("s", SERVER),
        "user": Variant("s", "u"),
        key: variant(value),
    }


def error(name: str) -> str:
    return f"{names.ERROR_PREFIX}{name}"


def files(stage: Stage) -> dict[str, bytes]:
    """Every file in the folders that the helper may write to, and beside them."""
    root = stage.peers.parent
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def foreign(stage: Stage) -> dict[str, bytes]:
    """Files that are not ours, and all others that there are before the attack."""
    etc = stage.peers.parent / "foreign/etc/ppp"
    (etc / "peers").mkdir(parents=True)
    for path in (stage.peers / "byhand", stage.peers / "provider", etc / "pap-secrets", etc / "evil"):
        path.write_text(f'pty "pptp {SERVER} --nolaunchpppd"\nuser u\n')
        path.chmod(0o600)
    return files(stage)


@pytest.fixture(autouse=True)
def nothing_ran(stage: Stage) -> Any:
    yield
    assert list(Path("/tmp").glob("pwned*")) == []


async def test_hostile_names_are_refused_wherever_a_name_goes(stage: Stage, foreign: dict[str, bytes]) -> None:
    for name in hostile.NAMES_REFUSED:
        refused = error("InvalidName" if len(name) < 60_000 else "LimitExceeded")
        answers = [
            await stage.client.add_link(name),
            await stage.client.manager("RemoveLink", "s", name),
            await stage.client.manager("Diagnose", "s", name),
        ]
        assert [answer.error_name for answer in answers] == [refused] * 3, name[:99]
        assert files(stage) == foreign, name[:99]


async def test_odd_names_within_the_grammar_are_names(stage: Stage, foreign: dict[str, bytes]) -> None:
    for name in hostile.NAMES_CARRIED:
        taken = f"peers/{name}" in foreign
        answer = await stage.client.add_link(name)
        assert answer.error_name == (error("PeerFileExists") if taken else None), name
        assert files(stage).keys() - foreign.keys() == (set() if taken else {f"etc/links/{name}.toml"}), name
        await stage.client.manager("RemoveLink", "s", name)
        assert files(stage) == foreign, name


async def test_only_peers_that_are_listed_can_be_imported(stage: Stage, foreign: dict[str, bytes]) -> None:
    for name in (*hostile.NAMES_REFUSED, "../evil", "peers/../../evil", "../../etc/ppp/evil"):
        answer = await stage.client.manager("ImportPeer", "s", name)
        assert answer.error_name in map(error, ("InvalidArgument", "NoSuchPeer", "LimitExceeded")), name[:99]
        assert files(stage) == foreign, name[:99]


@pytest.mark.parametrize("key", REFUSED)
async def test_hostile_settings_are_refused_by_name(stage: Stage, foreign: dict[str, bytes], key: str) -> None:
    await stage.client.add_link(OTHER)
    before = files(stage)
    for value in filter(on_bus, REFUSED[key]):
        added = await stage.client.manager("AddLink", "sa{sv}", LINK, with_setting(key, value))
        updated = await stage.client.call(
            names.link_path(OTHER), names.LINK_INTERFACE, "Update", "a{sv}", {key: variant(value)}
        )
        for answer in (added, updated):
            assert answer.error_name == error("InvalidSetting"), value
            assert f"`{key}`" in answer.body[0], value
            assert answer.body[0].isprintable(), value
        (faults,) = (await stage.client.manager("CheckSettings", "a{sv}", with_setting(key, value))).body
        assert faults == {key: added.body[0]}, value
        assert files(stage) == before, value


async def test_no_setting_is_forgotten_here() -> None:
    flags = {key for key, value in DEFAULTS.items() if type(value) is bool and key != "strict"}
    assert DEFAULTS.keys() - flags - CHOICES == CARRIED.keys()
    assert CARRIED.keys() == REFUSED.keys()


async def test_pppd_options_are_no_settings(stage: Stage, foreign: dict[str, bytes]) -> None:
    for key in hostile.KEYS_REFUSED:
        answer = await stage.client.manager("AddLink", "sa{sv}", LINK, with_setting(key, "x"))
        assert answer.error_name == error("InvalidSetting"), key
        assert answer.body[0].isprintable(), key
    assert files(stage) == foreign


@pytest.mark.parametrize("key", CARRIED)
async def test_odd_settings_come_out_as_they_went_in(stage: Stage, foreign: dict[str, bytes], key: str) -> None:
    path = stage.store.configuration / f"links/{LINK}.toml"
    for value in CARRIED[key]:
        assert (await stage.client.manager("CheckSettings", "a{sv}", with_setting(key, value))).body == [{}], value
        answer = await stage.client.manager("AddLink", "sa{sv}", LINK, with_setting(key, value))
        assert answer.message_type is MessageType.METHOD_RETURN, (value, answer.body)
        shown = plain((await stage.client.link("Settings")).body[0])
        assert shown[key] == value
        assert tomllib.loads(path.read_text()).get(key, DEFAULTS[key]) == value  # which needs no line
        restarted = Links(stage.machinery)
        await restarted.begin(at_boot=False)
        assert full_dict(restarted.get(LINK).settings)[key] == value
        assert files(stage).keys() - foreign.keys() == {f"etc/links/{LINK}.toml"}, value
        await stage.client.manager("RemoveLink", "s", LINK)
        assert files(stage) == foreign, value


@pytest.mark.parametrize("key", CARRIED)
async def test_odd_settings_survive_an_update(stage: Stage, foreign: dict[str, bytes], key: str) -> None:
    await stage.client.add_link(protocol=protocol_of(key))
    path = stage.store.configuration / f"links/{LINK}.toml"
    before = tomllib.loads(path.read_text())
    for value in CARRIED[key]:
        answer = await stage.client.link("Update", "a{sv}", {key: variant(value)})
        assert answer.message_type is MessageType.METHOD_RETURN, (value, answer.body)
        assert plain((await stage.client.link("Settings")).body[0])[key] == value
        now = tomllib.loads(path.read_text())
        assert now.get(key, value) == value
        assert {**now, key: before.get(key)} == {**before, key: before.get(key)}
        assert files(stage).keys() - foreign.keys() == {f"etc/links/{LINK}.toml"}, value


async def test_hostile_passwords_are_refused(stage: Stage, foreign: dict[str, bytes]) -> None:
    await stage.client.add_link()
    before = files(stage)
    for password in filter(on_bus, hostile.PASSWORDS_REFUSED):
        answer = await stage.client.link("SetPassword", "s", password)
        assert answer.error_name == error("InvalidPassword"), password
        assert not password or password not in answer.body[0]
        assert files(stage) == before, password


async def test_odd_passwords_are_stored_as_they_are(stage: Stage, foreign: dict[str, bytes]) -> None:
    await stage.client.add_link()
    for password in (*hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS):
        answer = await stage.client.link("SetPassword", "s", password)
        assert answer.message_type is MessageType.METHOD_RETURN, password
        added = {key: value for key, value in files(stage).items() if key not in foreign}
        assert added.pop(f"etc/secrets/{LINK}") == password.encode()
        assert set(added) == {f"etc/links/{LINK}.toml"}


async def test_tunnel_secrets_are_stored_as_they_are_or_refused(stage: Stage, foreign: dict[str, bytes]) -> None:
    await stage.client.add_link(protocol=Variant("s", "l2tp"))
    path = stage.machinery.store.configuration / "links" / f"{LINK}.toml"
    for secret in hostile.TUNNEL_SECRETS_CARRIED:
        answer = await stage.client.link("SetTunnelSecret", "s", secret)
        assert answer.message_type is MessageType.METHOD_RETURN, secret
        assert tomllib.loads(path.read_text())["tunnel_secret"] == secret
        assert files(stage).keys() - foreign.keys() == {f"etc/links/{LINK}.toml"}, secret
    before = files(stage)
    for secret in hostile.TUNNEL_SECRETS_REFUSED:
        answer = await stage.client.link("SetTunnelSecret", "s", secret)
        assert answer.error_name == error("InvalidSetting"), secret
        assert secret not in answer.body[0]
        assert files(stage) == before, secret


async def test_pppd_is_given_user_and_password_as_they_are(
    stage: Stage, foreign: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pppd")
    await stage.client.add_link()
    users = itertools.cycle(hostile.USERS_CARRIED)
    pairs = [("u", "x"), *((next(users), password) for password in hostile.PASSWORDS_CARRIED)]
    peers = [await dialed(stage, user, password) for user, password in pairs]
    expected, *dumps = realpppd.dumps(peers, folder)
    for (user, password), dump in zip(pairs[1:], dumps, strict=True):
        assert [option.name for option in dump] == [option.name for option in expected], (user, password)
        for option, usual in zip(dump, expected, strict=True):
            assert option.is_of(user.encode()) if option.name == b"user" else option == usual, (user, password)
    for (user, password), peer in zip(pairs, peers, strict=True):
        with realpppd.memory(peer, folder) as memory:
            assert user.encode() + b"\0" in memory, user
            assert password.encode() + b"\0" in memory, password
    assert {key: value for key, value in files(stage).items() if key in foreign} == foreign


async def dialed(stage: Stage, user: str, password: str) -> bytes:
    """Return the peer file of a call as this user with this password, hung up before it is up."""
    await stage.client.link("Update", "a{sv}", {"user": Variant("s", user)})
    await stage.client.link("SetPassword", "s", password)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    peer = (stage.peers / LINK).read_bytes()
    await stage.client.link("Disconnect")
    await dialing
    return peer


def toml(values: dict[str, Any]) -> str:
    """A settings file as somebody would write it who knows TOML's escapes."""
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()).replace(
        "\x7f", "\\u007F"
    )


async def test_hostile_settings_files_are_left_out_and_named(
    stage: Stage, foreign: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    folder = stage.store.configuration / "links"
    folder.mkdir(exist_ok=True)
    good = {"server": SERVER, "user": "u"}
    attacks = [{**good, key: value} for key, values in REFUSED.items() for value in values]
    attacks += [{**good, "ppp_options": [value]} for value in ("debug\nplugin x", "a # b", 'ipparam "open', "a\\")]
    written = [f"bad{number}" for number in range(len(attacks))]
    for name, values in zip(written, attacks, strict=True):
        (folder / f"{name}.toml").write_text(toml(values))
    for name in hostile.NAMES_REFUSED:
        if "/" not in name and len(name) < 200:
            (folder / f"{name}.toml").write_text(toml(good))
            written.append(name)
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    (folder / "huge.toml").write_text(toml(good) + "#" * 70_000)
    os.mkfifo(folder / "fifo.toml")
    (folder / "elsewhere.toml").symlink_to(stage.peers / "byhand")
    (folder / "good.toml").write_text(toml(good))
    before = files(stage)
    restarted = Links(stage.machinery)
    await restarted.begin(at_boot=True)
    assert list(restarted.by_name) == ["good"]
    assert files(stage) == before
    told = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
    for name in (*written, "binary", "huge", "fifo", "elsewhere"):
        assert any(f"/{printable(name)}.toml is left out" in line for line in told), name
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("name", [b"caf\xe9", b"\x1b[2J", b"a\nb"], ids=["latin-1", "escape", "newline"])
async def test_a_settings_file_whose_name_is_no_text_is_named_to_who_reloads(stage: Stage, name: bytes) -> None:
    folder = stage.store.configuration / "links"
    folder.mkdir(exist_ok=True)
    (folder / os.fsdecode(name + b".toml")).write_text(toml({"server": SERVER, "user": "u"}))
    answer = await stage.client.manager("Reload")
    assert answer.error_name == error("InvalidSetting")
    assert f"{folder}/" in answer.body[0] and answer.body[0].isprintable()


async def members(stage: Stage) -> list[tuple[str, str, str, str]]:
    """Path, interface, name and signature of every method of ours that there is."""
    found = []
    for path in (names.MANAGER_PATH, names.link_path(LINK)):
        described = (await stage.client.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")).body[0]
        for interface in ET.fromstring(described).iter("interface"):
            if (name := interface.get("name", "")).startswith(names.BUS_NAME):
                for method in interface.iter("method"):
                    arguments = [arg.get("type", "") for arg in method.iter("arg") if arg.get("direction") == "in"]
                    found.append((path, name, method.get("name", ""), "".join(arguments)))
    return found


async def test_wrong_signatures_are_refused_before_anybody_is_asked(stage: Stage, polkit: FakePolkit) -> None:
    before = files(stage)
    for path, interface, member, right in await members(stage):
        for signature, body in WRONG_SIGNATURES.items():
            if signature != right:
                answer = await stage.client.call(path, interface, member, signature, *body)
                assert answer.error_name == "org.freedesktop.DBus.Error.UnknownMethod", (member, signature)
    assert (polkit.questions, files(stage)) == ([], before)


async def test_no_file_descriptor_gets_in(stage: Stage, polkit: FakePolkit) -> None:
    connection = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    descriptor = os.open("/dev/null", os.O_RDONLY)
    message = Message(
        destination=names.BUS_NAME, path=names.link_path(LINK), interface=names.LINK_INTERFACE, member="SetPassword",
        signature="h", body=[0], unix_fds=[descriptor],
    )  # fmt: skip
    answer = await asyncio.wait_for(connection.call(message), 10)
    os.close(descriptor)
    assert answer is not None
    assert answer.error_name == "org.freedesktop.DBus.Error.NotSupported"
    connection.disconnect()  # type: ignore[no-untyped-call]
    await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
    connection._stream.close()
    connection._sock.close()
    assert polkit.questions == []


@pytest.mark.parametrize("size", [60_000, 2**20])
async def test_long_strings_are_refused_before_anybody_is_asked(stage: Stage, polkit: FakePolkit, size: int) -> None:
    before = files(stage)
    long = "a" * size
    tried = set()
    for path, interface, member, signature in await members(stage):
        for body in long_bodies(signature, long):
            answer = await stage.client.call(path, interface, member, signature, *body)
            if member == "CheckSettings" and answer.error_name is None:
                (sentence,) = answer.body[0].values()  # by the key, whatever that is: only its sender sees it
            else:
                assert answer.error_name.startswith((error("Invalid"), error("LimitExceeded"))), member
                (sentence,) = answer.body
            assert len(sentence) < 500
            tried.add(member)
    assert {"AddLink", "RemoveLink", "SetPassword", "SetTunnelSecret", "Update", "ImportPeer", "Diagnose"} <= tried
    assert (polkit.questions, files(stage)) == ([], before)


def long_bodies(signature: str, long: str) -> list[list[Any]]:
    """Arguments with the long string in each place where a string can be."""
    settings = [with_setting("title", long), with_setting(long, "x"), with_setting("route", [long])]
    if signature == "s":
        return [[long]]
    if signature == "a{sv}":
        return [[values] for values in settings]
    if signature == "sa{sv}":
        return [[long, {}], *(["x", values] for values in settings)]
    assert "s" not in signature, "a method with strings that this test does not know"
    return []


# Import: who wrote such files by hand, or had a program write them, knew how to quote.

IMPORTED_SETTINGS = {"title", "server", "user", "authentication", "route", "dns"}  # of a plain file


def octal(value: str) -> str:
    """As a word of pppd's files."""
    return '"' + "".join(f"\\{byte:03o}" for byte in value.encode()) + '"'


def keyfile(value: str) -> str:
    """As a value of a GKeyFile."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return re.sub("^ | $", r"\\s", escaped)


def by_options(server: str, user: str, password: str) -> dict[str, str]:
    pty = octal(f"pptp {server} --nolaunchpppd")
    return {"ppp/peers/p": f"pty {pty}\nuser {octal(user)}\npassword {octal(password)}\n"}


def by_secrets(server: str, user: str, password: str) -> dict[str, str]:
    secrets = f"{octal(user)} * {octal(password)} *\n"
    peer = f"pty {octal(f'pptp {server} --nolaunchpppd')}\nuser {octal(user)}\n"
    return {"ppp/peers/p": peer, "ppp/pap-secrets": secrets, "ppp/chap-secrets": secrets}


def by_profile(server: str, user: str, password: str) -> dict[str, str]:
    text = (
        f"[connection]\nid=p\ntype=vpn\n[vpn]\ngateway={keyfile(server)}\nuser={keyfile(user)}\npassword-flags=0\n"
        "service-type=org.freedesktop.NetworkManager.pptp\n"
        f"[vpn-secrets]\npassword={keyfile(password)}\n"
    )
    return {"NetworkManager/system-connections/p.nmconnection": text}


def as_they_stand(server: str, user: str, password: str) -> dict[str, str]:
    """Without any quoting: what is typed into the file goes on as whatever it looks like."""
    return {
        "ppp/peers/p": f'pty "pptp {server} --nolaunchpppd"\nuser {user}\n',
        "ppp/pap-secrets": f"{user} * {password} *\n",
    }


WAYS = (by_options, by_secrets, by_profile)


async def imported(stage: Stage, sources: dict[str, str]) -> tuple[str | None, dict[str, Any], bytes | None]:
    """Import these files; return the error, or the settings and the password that came in. Nothing stays."""
    etc = stage.peers.parent / "foreign/etc"
    for name, text in sources.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_bytes(text.encode())
    before = files(stage)
    peer = next(iter((await stage.client.manager("ListPeers")).body[0]), "p")
    answer = await stage.client.manager("ImportPeer", "s", peer)
    if answer.message_type is MessageType.ERROR:
        assert files(stage) == before, sources
        return answer.error_name, {}, None
    link = answer.body[0].removeprefix(names.LINK_PATH_PREFIX)
    new = {path: content for path, content in files(stage).items() if before.get(path) != content}
    settings, password = new.pop(f"etc/links/{link}.toml"), new.pop(f"etc/secrets/{link}", None)
    assert not new, sources
    await stage.client.manager("RemoveLink", "s", link)
    assert files(stage) == before, sources
    return None, tomllib.loads(settings.decode()), password


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_odd_users_and_passwords_are_imported_as_they_are(
    stage: Stage, foreign: dict[str, bytes], way: Any
) -> None:
    users = itertools.cycle(hostile.USERS_CARRIED)
    for user, password in zip(users, (*hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS[:50]), strict=False):
        refused, settings, secret = await imported(stage, way(SERVER, user, password))
        # In the secrets files pppd takes such a one for the name of a file, and that is not read.
        known = None if way is by_secrets and password.startswith("@/") else password.encode()
        assert (refused, settings.get("user"), secret) == (None, user, known)
        assert settings.keys() <= IMPORTED_SETTINGS


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_hostile_values_are_not_imported(stage: Stage, foreign: dict[str, bytes], way: Any) -> None:
    for user in hostile.USERS_REFUSED:
        refused, settings, _ = await imported(stage, way(SERVER, user, "x"))
        assert refused or settings["user"] != user, user
    for password in hostile.PASSWORDS_REFUSED:
        _, _, secret = await imported(stage, way(SERVER, "u", password))
        # A NUL ends a word for pppd.
        assert secret is None or (way is not by_profile and secret == password.partition("\0")[0].encode()), password
    for server in hostile.SERVERS_REFUSED:
        refused, settings, _ = await imported(stage, way(server, "u", "x"))
        # pptp's own options may stand behind the server.
        assert refused or settings["server"] == server.split()[0] != server, server


async def test_what_is_typed_into_foreign_files_never_becomes_more_than_a_value(
    stage: Stage, foreign: dict[str, bytes]
) -> None:
    values = (*hostile.USERS_CARRIED, *hostile.USERS_REFUSED, *hostile.PASSWORDS_CARRIED, *hostile.PASSWORDS_REFUSED)
    attacks = [(SERVER, value, "x") for value in values] + [(SERVER, "u", value) for value in values]
    attacks += [(server, "u", "x") for server in hostile.SERVERS_REFUSED]
    for attack in attacks:
        refused, settings, _ = await imported(stage, as_they_stand(*attack))
        assert refused or settings.keys() <= IMPORTED_SETTINGS, attack
        assert "pwned" not in settings.get("server", ""), attack
