"""What was set up by hand before Cablecar, read as the settings of a link: peer files, secrets, NetworkManager's VPNs.

    /etc/ppp/peers/*, /etc/ppp/pap-secrets, /etc/ppp/chap-secrets      after the HOWTO, by pptpsetup, by pppoeconf
    /etc/ppp/ip-up.d/, /etc/ppp/ip-down.d/                             the HOWTO's extender and scripts of one peer
    /etc/NetworkManager/system-connections/*.nmconnection              PPTP, L2TP and PPPoE
    /etc/xl2tpd/xl2tpd.conf, with the options in /etc/ppp that it names    LACs
    /etc/crontab, /etc/cron.d/*, root's crontab, /etc/network/interfaces    what dials by itself

Reads and never writes. Foreign text is data: a few options have a meaning here, each is a value that `settings.parse`
still has to accept, and all others are named in `left_out`. No option that runs or opens something is followed, no
name from outside becomes a path, and no foreign value but a name gets into a sentence or the log: it may be a secret.
"""

import configparser
import contextlib
import itertools
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper import pppfiles
from cablecar.helper.errors import InvalidPassword, NoSuchPeer, PeerNotUsable
from cablecar.helper.settings import MAX_TITLE, MTU_RANGE, Settings, check_password
from cablecar.helper.words import words

log = logging.getLogger(__name__)

Ids = list[str]

MAX_FILE: Final = 1 << 16  # bytes
MAX_SECRETS: Final = 1 << 20  # bytes of one secrets file
MAX_FILES: Final = 256  # of one folder
MAX_LINE: Final = 1024  # bytes of a keyfile: configparser takes quadratic time for a long line
PROFILE: Final = "nm:"  # begins the id of a profile of NetworkManager
LAC: Final = "l2tp:"  # begins the id of a section of xl2tpd's configuration


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Options of pppd 2.4.9 to 2.5.3 and its plugins that take an argument. Those that run, load or open something:
_RUNNING: Final = _names(
    "pty plugin +ua connect disconnect init welcome call file record logfile set unset privgroup ca capath cert key "
    "crl crl-dir pkcs12 ip-up-script ip-down-script ip-pre-up-script ipv6-up-script ipv6-down-script auth-up "
    "auth-down auth-up-script auth-down-script net-init-script net-pre-up-script net-down-script pap-secrets "
    "chap-secrets srp-secrets lcp-rtt-file radius-config-file ntlm_auth-helper passprompt passwordfd"
)
_VALUES: Final = _names(
    "user name password remotename mtu linkname pppoe-service pppoe-ac pppoe-mac pppoe-sess pppoe-verbose "
    "pppoe-host-uniq host-uniq pppoe-padi-timeout pppoe-padi-attempts -as active-filter allow-ip allow-number "
    "asyncmap bsdcomp bundle callback chap-interval chap-max-challenge chap-restart chap-timeout child-timeout "
    "connect-delay datarate defaultroute-metric deflate domain eap-interval eap-max-rreq eap-max-sreq eap-restart "
    "eap-timeout endpoint escape holdoff idle ifname ipcp-max-configure ipcp-max-failure ipcp-max-terminate "
    "ipcp-restart ipparam ipv6 ipv6cp-max-configure ipv6cp-max-failure ipv6cp-max-terminate ipv6cp-restart "
    "ipx-network ipx-node ipx-router-name ipx-routing ipxcp-max-configure ipxcp-max-failure ipxcp-max-terminate "
    "ipxcp-restart kdebug lcp-echo-failure lcp-echo-interval lcp-max-configure lcp-max-failure lcp-max-terminate "
    "lcp-restart logfd max-tls-version maxconnect maxfail maxoctets mo-direction mo-timeout mrru mru ms-dns ms-wins "
    "netmask pap-max-authreq pap-restart pap-timeout pass-filter pppol2tp remotenumber socket stop-bits "
    "tls-verify-method unit vj-max-slots"
)
_ALIASES: Final = {
    "-d": "debug",
    "-pap": "refuse-pap",
    "-chap": "refuse-chap",
    "-mschap-v2": "refuse-mschap-v2",
    "-defaultroute": "nodefaultroute",
    "-mppe": "nomppe",
    **dict.fromkeys(("+mppe", "+mppe-40", "+mppe-128", "require-mppe-40", "require-mppe-128"), "require-mppe"),
    "-ipv6": "noipv6",
    "rp_pppoe_service": "pppoe-service",
    "rp_pppoe_ac": "pppoe-ac",
    "rp_pppoe_sess": "pppoe-sess",
    "rp_pppoe_verbose": "pppoe-verbose",
    "rp_pppoe_mac": "pppoe-mac",
}
_MEANINGS: Final[Mapping[str, tuple[str, object]]] = {
    "persist": ("reconnect", True),
    "nopersist": ("reconnect", False),
    "defaultroute": ("route", "all"),
    "nodefaultroute": ("route", "none"),
    "usepeerdns": ("dns", "peer"),
    "require-mppe": ("encryption", "required"),
    "nomppe": ("encryption", "no"),
    "+ipv6": ("ipv6", True),
    "noipv6": ("ipv6", False),
    "debug": ("debug", True),
}
_METHODS: Final = {"refuse-pap": "pap", "refuse-chap": "chap", "refuse-mschap-v2": "mschapv2"}
# What Cablecar sets in its own way, so that nothing is lost.
_SETTLED: Final = _names(
    "user name password remotename mtu mru linkname ipparam noauth hide-password nobsdcomp nodeflate novj novjccomp "
    "nopcomp noaccomp noccp nopredictor1 noipdefault ipcp-accept-local ipcp-accept-remote noipx noproxyarp noktune "
    "replacedefaultroute noreplacedefaultroute refuse-eap refuse-mschap -mschap nodetach -detach updetach lock nolock "
    "crtscts nocrtscts modem local asyncmap default-asyncmap default-mru maxfail holdoff lcp-echo-interval "
    "lcp-echo-failure lcp-echo-adaptive lcp-max-configure nomppe-40 nomppe-stateful noremoteip -bsdcomp -deflate -vj "
    "-vjccomp -pc -ac -am -crtscts -proxyarp nomp nomultilink"
)
_OTHER: Final = _names(
    "auth defaultroute6 demand login mp mppe-stateful multilink nodefaultroute6 nomagic nomppe-128 notty passive "
    "proxyarp require-chap require-eap require-mschap require-mschap-v2 require-pap show-password silent sync "
    "up_sdnotify usehostname +pap +chap +mschap +mschap-v2 -ccp xonxoff"
)
_WITH_ARGUMENT: Final = _RUNNING | _VALUES
_KNOWN: Final = _WITH_ARGUMENT | _MEANINGS.keys() | _METHODS.keys() | _SETTLED | _OTHER
_LOST: Final = _KNOWN - _RUNNING - _MEANINGS.keys() - _METHODS.keys() - _SETTLED

_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
# pppd gives `pty` to a shell; only this much of a shell's language is read, and only the host is kept.
_PPTP: Final = re.compile(rf"(?:/usr/sbin/)?pptp[ \t]+({_HOST})((?:[ \t]+[A-Za-z0-9._:/=-]+)*)[ \t]*")
_PPTP_SETTLED: Final = re.compile(r"--nolaunchpppd|--nohostroute|--nobuffer|--loglevel|[0-9]")
_PPPOE: Final = re.compile(r"(?:/usr/lib(?:/[A-Za-z0-9_.-]+)*/)?(?:rp-)?pppoe\.so")
_CABLE: Final = re.compile(r"(?:nic-|(?=(?:eth|br|nas|tap)[0-9]|en[opsx][0-9a-z]))([A-Za-z0-9_][A-Za-z0-9_.-]{0,14})")

_SECTION: Final = re.compile(r"\[(.*)\][ \t]*")
_OPTIONS_OF_LAC: Final = re.compile(r"/etc/ppp/([A-Za-z0-9._-]+)")
_SERVICES: Final = {f"org.freedesktop.NetworkManager.{protocol}": protocol for protocol in ("pptp", "l2tp")}
_PROFILE_METHODS: Final = {"refuse-pap": "pap", "refuse-chap": "chap", "refuse-mschapv2": "mschapv2"}
_PROFILE_SETTLED: Final = _names(
    "service-type gateway user domain password-flags mtu mru refuse-eap refuse-mschap require-mppe require-mppe-40 "
    "require-mppe-128 nobsdcomp nodeflate no-vj-comp noaccomp nopcomp lcp-echo-failure lcp-echo-interval "
    "user-auth-type ipsec-enabled"
)
_PPPOE_SETTLED: Final = _names("parent service username password password-flags")
_KEYFILE_ESCAPES: Final = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}

_SHELL_WORD: Final = re.compile(r"[^\s;&|()<>`\"']+")
_DIALERS: Final = _names("pon check-ppp-connection")  # the latter is the HOWTO's
_IFUP: Final = _names("ifup")
_DEFAULT_PEER: Final = "provider"  # of pon and of ifupdown
_COMMANDS: Final = _names("up post-up pre-up")  # of /etc/network/interfaces
_SYSTEM_FILE: Final = re.compile(r"[A-Za-z0-9_-]+")  # cron and ifupdown read no others


@dataclass(frozen=True, slots=True)
class Imported:
    """What a foreign configuration says, for the caller to validate and to store as a link.

    Attributes:
        name: A name for the link that is not in use.
        settings: Keys of the settings' vocabulary; only what was found.
        password: The password, None when it could not be found.
        left_out: A sentence for each thing that was not taken over.
        dials_too: A sentence for each thing that would dial the same line beside the link.
    """

    name: str
    settings: dict[str, object]
    password: str | None
    left_out: tuple[str, ...]
    dials_too: tuple[str, ...]


@dataclass(slots=True)
class _Line:
    """A foreign configuration, while it is being read.

    Attributes:
        title: Its name for people.
        options: Those of a peer file; empty for a profile of NetworkManager.
        profile: The UUID of such a profile.
    """

    title: str
    settings: dict[str, object]
    password: str | None = None
    left_out: list[str] = field(default_factory=list)
    options: Mapping[str, list[bytes]] = field(default_factory=dict)
    profile: str = ""

    @property
    def link(self) -> str:
        """pppd's `linkname`: the name of its pid file and of its folders of scripts."""
        return _last(self.options, "linkname").decode("ascii", "replace")


class _Secret(NamedTuple):
    """A secret that pppd would take, and whether an equally good line has another one."""

    value: bytes
    one_of_several: bool


class _Stanza(NamedTuple):
    """An `iface` of /etc/network/interfaces: where it stands, and what it says."""

    place: str
    interface: str
    method: str
    automatic: bool
    options: list[tuple[str, str]]

    @property
    def commands(self) -> list[str]:
        """Its shell lines."""
        return [value for key, value in self.options if key in _COMMANDS]

    @property
    def calls(self) -> set[str]:
        """The peers that it dials."""
        dialed = {peer for command in self.commands for peer in _called(command, _DIALERS)}
        if self.method == "ppp":
            dialed.add(next((value for key, value in self.options if key == "provider"), _DEFAULT_PEER))
        return dialed


class Foreign:
    """What this machine has beside Cablecar.

    Args:
        root: The root of the file system; another one in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def list(self) -> Ids:
        """Return the ids of what `read` can use: names of peer files, `nm:NAME` of profiles, `l2tp:NAME` of LACs."""
        return [*_usable(self._sources())]

    def read(self, peer: str) -> Imported:
        """Return what `peer`, one of `list()`, says.

        Raises:
            NoSuchPeer: There is nothing of this name.
            PeerNotUsable: It does not say enough, or asks for what Cablecar does not do.
        """
        sources = self._sources()
        if peer not in sources:
            raise NoSuchPeer("There is nothing of this name to import. The method ListPeers says what there is.")
        line = _line(peer, sources[peer])
        if line.options:
            self._take_secret(line)
        name = self._free_name(line.title)
        if name != line.title and len(line.title) <= MAX_TITLE:
            line.settings["title"] = line.title
        stanzas = self._stanzas()
        if line.profile in _secondaries(sources) or any(
            stanza.automatic and peer in stanza.calls for stanza in stanzas
        ):
            line.settings["autoconnect"] = True
        return Imported(
            name,
            line.settings,
            line.password,
            (*line.left_out, *_pins(stanzas, line.settings["server"]), *self._scripts(name, line.link)),
            self._dialers(line.settings, set(), sources, stanzas),
        )

    def dialers(self, name: str, settings: Settings) -> tuple[str, ...]:
        """Return a sentence for each thing beside Cablecar that would dial the line of the link `name`."""
        values = {"protocol": settings.protocol, "server": settings.server, "user": settings.user}
        return self._dialers(values, {name}, self._sources(), self._stanzas())

    def _sources(self) -> dict[str, bytes]:
        """Return the text of each peer file, each keyfile and each LAC, by id."""
        peers = _files(self._root / "etc/ppp/peers")
        profiles = _files(self._root / "etc/NetworkManager/system-connections")
        paths = {name: path for name, path in peers.items() if not name.endswith("~") and not name.startswith(PROFILE)}
        paths |= {PROFILE + path.stem: path for path in profiles.values() if path.suffix == ".nmconnection"}
        return self._lacs() | {peer: text for peer, path in paths.items() if (text := _read(path)) is not None}

    def _lacs(self) -> dict[str, bytes]:
        """Return each LAC of xl2tpd by id: its lines, and behind a NUL the options of pppd that they name."""
        found: dict[str, list[str]] = {}
        lines: list[str] = []
        for raw in (_read(self._root / "etc/xl2tpd/xl2tpd.conf") or b"").decode("utf-8", "replace").splitlines():
            line = raw.partition(";")[0].strip()
            if match := _SECTION.fullmatch(line):
                kind, _, name = match[1].partition(" ")
                lines = []
                if kind == "lac" and name.strip() != "default" and name.isprintable():
                    found[LAC + name.strip()] = lines
            else:
                lines.append(line)
        options = _files(self._root / "etc/ppp") if found else {}
        return {
            lac: "\n".join(lines).encode() + b"\0" + self._options_of(lines, options) for lac, lines in found.items()
        }

    def _options_of(self, lines: Iterable[str], files: Mapping[str, Path]) -> bytes:
        named = _OPTIONS_OF_LAC.fullmatch(_values(lines).get("pppoptfile", ""))
        return (_read(files[named[1]]) or b"") if named and named[1] in files else b""

    def _free_name(self, title: str) -> str:
        """Return a name made from `title` that neither a link nor a peer file has."""
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
        base = base if re.match(r"[a-z]", base) else f"link_{base}".rstrip("_")
        taken = {entry.name for entry in _entries(self._root / "etc/ppp/peers")}
        taken |= {entry.name.removesuffix(".toml") for entry in _entries(self._root / "etc/cablecar/links")}
        names = itertools.chain([base[:31]], (f"{base[:27]}_{number}" for number in itertools.count(2)))
        return next(name for name in names if name not in taken)

    def _take_secret(self, line: _Line) -> None:
        """Find the password as pppd does, and pin the methods that are not refused and that pppd has a secret for."""
        methods = _methods(line.options)
        if "password" in line.options:
            secrets = dict.fromkeys(methods, _Secret(_last(line.options, "password"), False))
        else:
            client = str(line.settings["user"]).encode()
            server = _last(line.options, "remotename")
            files = {method: "pap-secrets" if method == "pap" else "chap-secrets" for method in methods}
            found = {file: self._secret(file, client, server) for file in set(files.values())}
            secrets = {method: secret for method in methods if (secret := found[files[method]]) is not None}
        if secrets:
            _pin(line, [*secrets])
        if any(secret.one_of_several for secret in secrets.values()) or len({*secrets.values()}) > 1:
            line.left_out.append(
                "The secrets files have other passwords for this user as well; the one that pppd would take first was"
                " taken. If it is not the right one, set another."
            )
        secret = next(iter(secrets.values()), None)
        if secret and secret.value.startswith(b"@/") and "password" not in line.options:
            line.left_out.append("The password is kept in another file, which was not read: set the password.")
        else:
            _take_password(line, secret.value if secret else None)

    def _secret(self, file: str, client: bytes, server: bytes) -> _Secret | None:
        """Return what pppd's scan_authfile would: the first of the best lines, a name being better than a `*`."""
        best, secrets = -1, list[bytes]()
        for entry in _lines_of_words(_read(self._root / "etc/ppp" / file, MAX_SECRETS) or b""):
            if len(entry) < 3 or entry[0] not in (client, b"*") or (server and entry[1] not in (server, b"*")):
                continue
            rank = 2 * (entry[0] != b"*") + (entry[1] != b"*")
            if rank > best:
                best, secrets = rank, []
            if rank == best:
                secrets.append(entry[2])
        return _Secret(secrets[0], len({*secrets}) > 1) if secrets else None

    def _scripts(self, name: str, link: str) -> Iterator[str]:
        """Yield a sentence for each folder of scripts that `name` does not find, and each script that runs them."""
        for folder in ("ip-up.d", "ip-down.d"):
            path = self._root / "etc/ppp" / folder
            if name != link and any(entry.name == link and entry.is_dir() for entry in _entries(path)):
                yield (
                    f"The scripts in /etc/ppp/{folder}/{link}/ run for a link of that name: move them to"
                    f" /etc/ppp/{folder}/{name}/."
                )
            for script, file in _files(path).items():
                text = _read(file) or b""
                if b"run-parts" in text and re.search(rb"\$\{?LINKNAME", text):
                    yield (
                        f"/etc/ppp/{folder}/{script} runs the scripts of a link's own folder, as Cablecar does: remove"
                        " it, or they run twice."
                    )

    def _stanzas(self) -> tuple[_Stanza, ...]:
        """Return what ifupdown would bring up."""
        folder = self._root / "etc/network/interfaces.d"
        texts = {"/etc/network/interfaces": _read(self._root / "etc/network/interfaces")}
        texts |= {f"/etc/network/interfaces.d/{name}": _read(path) for name, path in _files(folder).items()}
        found: list[_Stanza] = []
        automatic: set[str] = set()
        for file, text in texts.items():
            options: list[tuple[str, str]] = []
            for number, line in _shell_lines(text):
                key, _, rest = line.partition(" ")
                if key == "iface" and len(words := rest.split()) >= 3:
                    options = []
                    found.append(_Stanza(f"{file}, line {number},", words[0], words[2], False, options))
                elif key == "auto" or key.startswith("allow-"):
                    automatic.update(rest.split())
                    options = []
                else:
                    options.append((key, rest.strip()))
        return tuple(stanza._replace(automatic=stanza.interface in automatic) for stanza in found)

    def _dialers(
        self, values: Mapping[str, object], names: set[str], sources: Mapping[str, bytes], stanzas: Sequence[_Stanza]
    ) -> tuple[str, ...]:
        """Return a sentence for what dials the line of `values`, or calls pppd by one of the peer files `names`."""
        rivals = {peer: line for peer, line in _usable(sources).items() if _is_same_line(line.settings, values)}
        own, names = names, names | {peer for peer, line in rivals.items() if line.options}
        return (
            *self._cron(names, {stanza.interface for stanza in stanzas if stanza.calls & names}),
            *(
                f"{stanza.place} dials {_shown(stanza.calls & names)}{' at boot' if stanza.automatic else ''}: remove"
                " this stanza and let the link's own setting `autoconnect` do it."
                for stanza in stanzas
                if stanza.calls & names
            ),
            *_rival_profiles(rivals, _secondaries(sources)),
            *self._running(rivals, own),
        )

    def _cron(self, names: set[str], interfaces: set[str]) -> Iterator[str]:
        tables = {"/etc/crontab": self._root / "etc/crontab"}
        folder = _files(self._root / "etc/cron.d")
        tables |= {f"/etc/cron.d/{name}": path for name, path in folder.items() if _SYSTEM_FILE.fullmatch(name)}
        tables["/var/spool/cron/crontabs/root"] = self._root / "var/spool/cron/crontabs/root"
        for table, path in tables.items():
            for number, line in _shell_lines(_read(path)):
                if called := {*_called(line, _DIALERS)} & names | {*_called(line, _IFUP)} & interfaces:
                    yield (
                        f"{table}, line {number}, dials {_shown(called)} time and again: remove this line, the link"
                        " redials by itself."
                    )

    def _running(self, rivals: Mapping[str, _Line], own: set[str]) -> Iterator[str]:
        running = {entry.name for entry in _entries(self._root / "run")}
        for peer, line in rivals.items():
            if line.link not in own and f"ppp-{line.link}.pid" in running:
                again = "persist" in line.options
                yield (
                    f"pppd seems to run the peer {_shown({peer})} now"
                    f"{', and `persist` makes it dial again after each drop' if again else ''}: hang it up with poff."
                )


def _line(peer: str, text: bytes) -> _Line:
    if peer.startswith(PROFILE):
        return _profile_line(peer, text)
    return _lac_line(peer, text) if peer.startswith(LAC) else _peer_line(peer, text)


def _usable(sources: Mapping[str, bytes]) -> dict[str, _Line]:
    lines = {}
    for peer, text in sources.items():
        with contextlib.suppress(PeerNotUsable):
            lines[peer] = _line(peer, text)
    return lines


def _is_same_line(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether both would dial the same line: the same server, or by PPPoE, which has none, the same user."""
    kinds = [values["protocol"] == "pppoe" for values in (one, other)]
    if all(kinds):
        return one["user"] == other["user"]
    return not any(kinds) and str(one["server"]).lower() == str(other["server"]).lower()


# Peer files


def _peer_line(name: str, text: bytes) -> _Line:
    if text.startswith(pppfiles.header(name).encode()):
        raise PeerNotUsable("This peer file is Cablecar's own.")
    options, unknown = _options(text)
    return _options_line(name, _server(options), options, unknown)


def _lac_line(lac: str, text: bytes) -> _Line:
    lines, _, rest = text.partition(b"\0")
    values = _values(lines.decode().splitlines())
    options, unknown = _options(rest)
    if "name" in values:
        options.setdefault("user", [values["name"].encode()])
    server, _, port = values.get("lns", "").partition(":")
    if re.fullmatch(_HOST, server) is None:
        raise PeerNotUsable("It does not say which server to dial.")
    if values.get("defaultroute") == "yes":
        options.setdefault("defaultroute", [])
    line = _options_line(lac.removeprefix(LAC), {"protocol": "l2tp", "server": server}, options, unknown)
    if port not in ("", "1701") or values.get("challenge") == "yes":
        line.left_out.append("Left out, for Cablecar has nothing like it: the port or the secret of the tunnel itself.")
    return line


def _values(lines: Iterable[str]) -> dict[str, str]:
    """Return what lines such as `lns = 203.0.113.7` say, the last one last."""
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _options_line(name: str, server: Mapping[str, object], options: dict[str, list[bytes]], unknown: int) -> _Line:
    """Return what options of pppd say of a line to this server."""
    # What pppd does without an option for it: leave the default route and the resolver alone.
    settings = {**server, "user": _user(options), "route": "none", "dns": "none"}
    settings |= dict(_MEANINGS[option] for option in options if option in _MEANINGS)
    line = _Line(name, settings, options=options)
    methods = _methods(options)
    if not methods:
        raise PeerNotUsable("It refuses PAP, CHAP and MS-CHAPv2, so there is no way to log in.")
    _pin(line, methods)
    _take_mtu(line, _last(options, "mtu").decode("ascii", "replace"))
    line.left_out += _left_out(options, unknown)
    return line


def _options(text: bytes) -> tuple[dict[str, list[bytes]], int]:
    """Return the options of a peer file with their arguments, the last one last, and how many words are none."""
    found: dict[str, list[bytes]] = {}
    unknown = 0
    stream = words(text)
    for word in stream:
        name = word.value.decode("ascii", "replace")
        option = _ALIASES.get(name, name)
        if option not in _KNOWN and not _CABLE.fullmatch(option):
            unknown += 1
            continue
        arguments = found.pop(option, [])
        if option in _WITH_ARGUMENT:
            if (argument := next(stream, None)) is None:
                raise PeerNotUsable("Its last option lacks an argument, so pppd would refuse it as well.")
            arguments.append(argument.value)
        found[option] = arguments
    return found, unknown


def _last(options: Mapping[str, list[bytes]], option: str) -> bytes:
    return options[option][-1] if option in options else b""


def _server(options: Mapping[str, list[bytes]]) -> dict[str, object]:
    if "pty" in options:
        if (match := _PPTP.fullmatch(_last(options, "pty").decode("ascii", "replace"))) is None:
            raise PeerNotUsable(
                "Its `pty` is not a plain call of pptp, and no foreign command is run or taken apart. Add a link with"
                " the server, the user and the password instead."
            )
        return {"protocol": "pptp", "server": match[1]}
    if not any(map(_is_pppoe, options.get("plugin", []))):
        raise PeerNotUsable("It dials neither by PPTP nor by PPPoE.")
    cables = [match[1] for option in options if (match := _CABLE.fullmatch(option))]
    return {
        "protocol": "pppoe",
        "server": _decoded(_last(options, "pppoe-ac"), "access concentrator"),
        "service": _decoded(_last(options, "pppoe-service"), "PPPoE service"),
        **({"interface": cables[-1]} if cables else {}),
    }


def _is_pppoe(plugin: bytes) -> bool:
    return _PPPOE.fullmatch(plugin.decode("ascii", "replace")) is not None


def _user(options: Mapping[str, list[bytes]]) -> str:
    user = _decoded(_last(options, "user") or _last(options, "name"), "user name")
    if not user:
        raise PeerNotUsable("It does not say who the user is.")
    return user


def _decoded(value: bytes, what: str) -> str:
    try:
        return _one_line(value.decode(), what)
    except UnicodeDecodeError:
        raise PeerNotUsable(f"Its {what} is not in UTF-8. Convert the file, for example with iconv.") from None


def _one_line(text: str, what: str) -> str:
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise PeerNotUsable(f"Its {what} has control characters.")
    return text


def _methods(options: Mapping[str, list[bytes]]) -> list[str]:
    return [method for option, method in _METHODS.items() if option not in options]


def _pin(line: _Line, methods: list[str]) -> None:
    if len(methods) < len(_METHODS):
        line.settings["authentication"] = methods


def _take_mtu(line: _Line, text: str) -> None:
    low, high = MTU_RANGE
    if re.fullmatch(r"[0-9]{1,5}", text) and low <= int(text) <= high:
        line.settings["mtu"] = int(text)
    elif text and text != "0":
        line.left_out.append(f"`mtu` was left out: it is not from {low} to {high}.")


def _take_password(line: _Line, value: bytes | None) -> None:
    try:
        if value is not None:
            password = value.decode()
            check_password(password)
            line.password = password
            return
        line.left_out.append("There is no password for this user: set the password.")
    except UnicodeDecodeError:
        line.left_out.append("The password is not in UTF-8: set the password.")
    except InvalidPassword as error:
        line.left_out.append(f"{error} Set the password.")


def _left_out(options: Mapping[str, list[bytes]], unknown: int) -> Iterator[str]:
    """Yield a sentence for each kind of thing in a peer file that does not become a setting."""
    meant = {"pty"} if "pty" in options else {"plugin", "pppoe-service", "pppoe-ac"}
    running = [option for option in options if option in _RUNNING - meant]
    if "plugin" in meant and not all(map(_is_pppoe, options.get("plugin", ()))):
        running.append("plugin")
    if running:
        yield f"Left out, for they run or open as root what they name: {_shown(running)}."
    if other := [option for option in options if option in _LOST - meant]:
        yield f"Left out, for Cablecar has nothing like it: {_shown(other)}."
    call = _PPTP.fullmatch(_last(options, "pty").decode("ascii", "replace"))
    if call and not all(map(_PPTP_SETTLED.fullmatch, call[2].split())):
        yield "Left out: the options of pptp after the server."
    if unknown:
        yield f"Left out, for Cablecar does not know them as options of pppd: {unknown} words."
    if "defaultroute" not in options:
        yield "It has no `defaultroute`, so the link leaves routing alone: set `route` to send traffic through it."


def _lines_of_words(text: bytes) -> Iterator[list[bytes]]:
    line: list[bytes] = []
    for word in words(text):
        if word.begins_line and line:
            yield line
            line = []
        line.append(word.value)
    if line:
        yield line


# Profiles of NetworkManager


def _profile_line(peer: str, text: bytes) -> _Line:
    keyfile = _keyfile(text)
    if _text(keyfile, "connection", "type") == "pppoe":
        return _pppoe_line(peer, keyfile)
    if (protocol := _SERVICES.get(_text(keyfile, "vpn", "service-type"))) is None:
        raise PeerNotUsable("It is neither a VPN by PPTP or L2TP nor a connection by PPPoE.")
    if _is_on(keyfile, "vpn", "ipsec-enabled"):
        raise PeerNotUsable("It protects L2TP by IPsec, which Cablecar does not do: without it, all would be readable.")
    if _text(keyfile, "vpn", "user-auth-type") not in ("", "password"):
        raise PeerNotUsable("It logs in by a certificate; Cablecar logs in by a password only.")
    server = _text(keyfile, "vpn", "gateway")
    user = "\\".join(filter(None, (_text(keyfile, "vpn", key) for key in ("domain", "user"))))
    if re.fullmatch(_HOST, server) is None or not _text(keyfile, "vpn", "user"):
        raise PeerNotUsable("It does not say which server to dial, or who the user is.")
    line = _Line(_text(keyfile, "connection", "id") or peer.removeprefix(PROFILE), {})
    line.settings |= {"protocol": protocol, "server": server, "user": user, **_routing(keyfile)}
    line.profile = _text(keyfile, "connection", "uuid")
    _take_ppp(line, keyfile, "vpn")
    password = _text(keyfile, "vpn-secrets", "password")
    _take_password(line, password.encode() if password else None)
    return line


def _pppoe_line(peer: str, keyfile: configparser.RawConfigParser) -> _Line:
    user = _text(keyfile, "pppoe", "username")
    if not user:
        raise PeerNotUsable("It does not say who the user is.")
    line = _Line(_text(keyfile, "connection", "id") or peer.removeprefix(PROFILE), {})
    cable = _text(keyfile, "pppoe", "parent") or _text(keyfile, "connection", "interface-name")
    line.settings |= {"protocol": "pppoe", "server": "", "service": _text(keyfile, "pppoe", "service"), "user": user}
    line.settings |= {**({"interface": cable} if cable else {}), **_routing(keyfile)}
    line.profile = _text(keyfile, "connection", "uuid")
    _take_ppp(line, keyfile, "ppp")
    if other := [key for key in _keys(keyfile, "pppoe") if key not in _PPPOE_SETTLED]:
        line.left_out.append(f"Left out, for Cablecar has nothing like it: {_shown(other)}.")
    password = _text(keyfile, "pppoe", "password")
    _take_password(line, password.encode() if password else None)
    return line


def _take_ppp(line: _Line, keyfile: configparser.RawConfigParser, section: str) -> None:
    """Take what a section of a profile says about PPP itself."""
    methods = [method for key, method in _PROFILE_METHODS.items() if not _is_on(keyfile, section, key)]
    if not methods:
        raise PeerNotUsable("It refuses PAP, CHAP and MS-CHAPv2, so there is no way to log in.")
    _pin(line, methods)
    if any(_is_on(keyfile, section, f"require-mppe{bits}") for bits in ("", "-40", "-128")):
        line.settings["encryption"] = "required"
    _take_mtu(line, _text(keyfile, section, "mtu"))
    if other := [key for key in _keys(keyfile, section) if key not in _PROFILE_SETTLED | _PROFILE_METHODS.keys()]:
        line.left_out.append(f"Left out, for Cablecar has nothing like it: {_shown(other)}.")


def _routing(keyfile: configparser.RawConfigParser) -> dict[str, object]:
    """Return what the profile says about routes and DNS servers."""
    found: dict[str, object] = {}
    if _is_on(keyfile, "ipv4", "never-default"):
        routes = [_text(keyfile, "ipv4", key) for key in _keys(keyfile, "ipv4") if re.fullmatch(r"route[0-9]+", key)]
        found["route"] = [route.partition(",")[0] for route in routes] or "none"
    if servers := [server for server in _text(keyfile, "ipv4", "dns").split(";") if server]:
        found["dns"] = servers
    elif _is_on(keyfile, "ipv4", "ignore-auto-dns"):
        found["dns"] = "none"
    return found


def _keyfile(text: bytes) -> configparser.RawConfigParser:
    keyfile = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#",), strict=False, empty_lines_in_values=False, default_section="\0"
    )
    keyfile.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        if max(map(len, text.splitlines()), default=0) > MAX_LINE:
            raise PeerNotUsable(f"It has lines of more than {MAX_LINE} bytes.")
        text.decode()
        # GLib's white space is ASCII's: of Unicode's, the parser would take some off a password.
        keyfile.read_string(text.decode("ascii", "surrogateescape"))
    except (UnicodeDecodeError, configparser.Error):
        # The cause would quote a line, which may be a secret.
        raise PeerNotUsable("It is no keyfile that NetworkManager could read.") from None
    return keyfile


def _keys(keyfile: configparser.RawConfigParser, section: str) -> list[str]:
    return [key for key in keyfile.options(section) if key.isprintable()] if keyfile.has_section(section) else []


def _text(keyfile: configparser.RawConfigParser, section: str, key: str) -> str:
    raw = keyfile.get(section, key, fallback="").encode("ascii", "surrogateescape").decode()
    text = re.sub(r"\\(.)", lambda match: _KEYFILE_ESCAPES.get(match[1], match[0]), raw)
    return _one_line(text, f"value of `{key}`")


def _is_on(keyfile: configparser.RawConfigParser, section: str, key: str) -> bool:
    return _text(keyfile, section, key).lower() in ("yes", "true", "1")


def _secondaries(sources: Mapping[str, bytes]) -> set[str]:
    """Return the UUIDs of the VPNs that NetworkManager brings up together with another connection."""
    found: set[str] = set()
    for peer, text in sources.items():
        if peer.startswith(PROFILE):
            with contextlib.suppress(PeerNotUsable):
                found.update(_text(_keyfile(text), "connection", "secondaries").split(";"))
    return found - {""}


def _rival_profiles(rivals: Mapping[str, _Line], secondaries: set[str]) -> Iterator[str]:
    for peer, line in rivals.items():
        if peer.startswith(PROFILE):
            together = line.profile in secondaries
            yield (
                f"NetworkManager has the profile {_shown({peer.removeprefix(PROFILE)})} for the same server"
                f"{', and brings it up together with another connection' if together else ''}: remove that profile, or"
                " never switch on both."
            )
        if peer.startswith(LAC):
            yield (
                f"xl2tpd has the LAC {_shown({peer.removeprefix(LAC)})} for the same server: take it out of"
                " /etc/xl2tpd/xl2tpd.conf, or never connect both."
            )


# What dials by itself


def _shell_lines(text: bytes | None) -> Iterator[tuple[int, str]]:
    """Yield the lines that are no comments, continued ones joined, with the number of the first."""
    begun, start = "", 0
    for number, raw in enumerate((text or b"").split(b"\n"), 1):
        line = "".join(char if char.isprintable() else " " for char in raw.decode("utf-8", "replace"))
        start = start if begun else number
        begun += line.rstrip()
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun.strip() and not begun.lstrip().startswith("#"):
            yield start, begun.strip()
        begun = ""


def _called(command: str, programs: frozenset[str]) -> Iterator[str]:
    """Yield what a shell line calls `programs`, or `pppd call`, with: names of peers or interfaces."""
    words = _SHELL_WORD.findall(command)
    program = ""
    for number, word in enumerate(words):
        rest = (following for following in words[number + 1 :] if not following.startswith("-"))
        if (name := word.rpartition("/")[2]) in programs:
            yield next(rest, _DEFAULT_PEER)
        elif word == "call" and program == "pppd" and programs is _DIALERS:
            yield next(rest, "")
        program = "pppd" if name == "pppd" else program


def _pins(stanzas: Iterable[_Stanza], server: object) -> Iterator[str]:
    for stanza in stanzas:
        if any({"route", str(server)} <= {*command.split()} for command in stanza.commands):
            yield f"{stanza.place} sets a route to the server. The link does so itself; that line may go or stay."


def _shown(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


# Files


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder and has a name that can be shown, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if entry.name.isprintable()), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("%s is left out: %s", folder, error.strerror)
        return []


def _files(folder: Path) -> dict[str, Path]:
    """Return the plain files of a folder by name, without hidden ones."""
    plain = [entry for entry in _entries(folder) if entry.is_file(follow_symlinks=False) and entry.name[0] != "."]
    return {entry.name: folder / entry.name for entry in plain[:MAX_FILES]}


def _read(path: Path, limit: int = MAX_FILE) -> bytes | None:
    """Return what is in a file, None when there is none or when it is no plain file of at most `limit` bytes."""
    try:
        # O_NONBLOCK: a FIFO put in its place must not hold us.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= limit:
                return file.read(limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s is left out: %s", path, error.strerror)
        return None
    log.warning("%s is left out: it is no plain file of at most %d bytes", path, limit)
    return None
