"""Peer files of pppd, its options and secrets, and the scripts beside them, read as the settings of a link.

A few options have a meaning here, each is a value that `settings.parse` still has to accept, and all others are named
in `left_out`. No option that runs or opens something is followed.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper import pppfiles
from cablecar.helper.errors import PeerNotUsable
from cablecar.helper.foreign import (
    HOST,
    Line,
    decoded,
    entries,
    files,
    names,
    read,
    shown,
    take_methods,
    take_mtu,
    take_password,
)
from cablecar.helper.words import words

MAX_SECRETS: Final = 1 << 20  # bytes of one secrets file
NO_ROUTE: Final = "It has no `defaultroute`, so the link leaves routing alone: set `route` to send traffic through it."

# Options of pppd 2.4.9 to 2.5.3 and its plugins that take an argument. Those that run, load or open something:
_RUNNING: Final = names(
    "pty plugin +ua connect disconnect init welcome call file record logfile set unset privgroup ca capath cert key "
    "crl crl-dir pkcs12 ip-up-script ip-down-script ip-pre-up-script ipv6-up-script ipv6-down-script auth-up "
    "auth-down auth-up-script auth-down-script net-init-script net-pre-up-script net-down-script pap-secrets "
    "chap-secrets srp-secrets lcp-rtt-file radius-config-file ntlm_auth-helper passprompt passwordfd"
)
_VALUES: Final = names(
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
    "srp-interval srp-pn-secret tls-verify-method unit vj-max-slots"
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
_SETTLED: Final = names(
    "user name password remotename mtu mru linkname ipparam noauth hide-password nobsdcomp nodeflate novj novjccomp "
    "nopcomp noaccomp noccp nopredictor1 noipdefault ipcp-accept-local ipcp-accept-remote noipx noproxyarp noktune "
    "replacedefaultroute noreplacedefaultroute refuse-eap refuse-mschap -mschap nodetach -detach updetach lock nolock "
    "crtscts nocrtscts modem local asyncmap default-asyncmap default-mru maxfail holdoff lcp-echo-interval "
    "lcp-echo-failure lcp-echo-adaptive lcp-max-configure nomppe-40 nomppe-stateful noremoteip -bsdcomp -deflate -vj "
    "-vjccomp -pc -ac -am -crtscts -proxyarp nomp nomultilink"
)
_OTHER: Final = names(
    "auth cdtrcts chapms-strip-domain defaultroute6 demand dryrun dump enable-session ipcp-no-address "
    "ipcp-no-addresses ipv6cp-accept-local ipv6cp-accept-remote ipv6cp-use-ipaddr ipv6cp-use-persistent ipx ktune "
    "login master_detach mp mppe-stateful mpshortseq multilink need-peer-eap nocdtrcts nodefaultroute6 noendpoint noip "
    "nolog nomagic nompshortseq nomppe-128 nosendip notty papcrypt passive predictor1 proxyarp receive-all "
    "require-chap require-eap require-mschap require-mschap-v2 require-pap show-password silent sync up_sdnotify "
    "usehostname +pap +chap +mschap +mschap-v2 -ccp xonxoff"
)
_WITH_ARGUMENT: Final = _RUNNING | _VALUES
_KNOWN: Final = _WITH_ARGUMENT | _MEANINGS.keys() | _METHODS.keys() | _SETTLED | _OTHER
_LOST: Final = _KNOWN - _RUNNING - _MEANINGS.keys() - _METHODS.keys() - _SETTLED

# pppd gives `pty` to a shell; only this much of a shell's language is read, and only the host is kept.
_PPTP: Final = re.compile(rf"(?:/usr/sbin/)?pptp[ \t]+({HOST})((?:[ \t]+[A-Za-z0-9._:/=-]+)*)[ \t]*")
_PPTP_SETTLED: Final = re.compile(r"--nolaunchpppd|--nohostroute|--nobuffer|--loglevel|[0-9]")
_PPPOE: Final = re.compile(r"(?:/usr/lib(?:/[A-Za-z0-9_.-]+)*/)?(?:rp-)?pppoe\.so")
_CABLE: Final = re.compile(r"(?:nic-|(?=(?:eth|br|nas|tap)[0-9]|en[opsx][0-9a-z]))([A-Za-z0-9_][A-Za-z0-9_.-]{0,14})")


class _Secret(NamedTuple):
    """A secret that pppd would take, and whether an equally good line has another one."""

    value: bytes
    one_of_several: bool


def sources(root: Path) -> dict[str, bytes]:
    """Return the text of each peer file by name."""
    paths = files(root / "etc/ppp/peers")
    return {name: text for name, path in paths.items() if not name.endswith("~") and (text := read(path)) is not None}


def line_of(name: str, text: bytes) -> Line:
    """Return what a peer file says.

    Raises:
        PeerNotUsable: It does not say enough, or asks for what Cablecar does not do.
    """
    if text.startswith(pppfiles.header(name).encode()):
        raise PeerNotUsable("This peer file is Cablecar's own.")
    options, unknown = parse(text)
    return options_line(name, _server(options), options, unknown)


def options_line(name: str, server: Mapping[str, object], options: dict[str, list[bytes]], unknown: int) -> Line:
    """Return what options of pppd say of a line to this server."""
    # What pppd does without an option for it: leave the default route and the resolver alone.
    settings = {**server, "user": _user(options), "route": "none", "dns": "none"}
    settings |= dict(_MEANINGS[option] for option in options if option in _MEANINGS)
    line = Line(name, settings, options=options, link=_last(options, "linkname").decode("ascii", "replace"))
    take_methods(line, _methods(options))
    take_mtu(line, _last(options, "mtu").decode("ascii", "replace"))
    line.left_out += _left_out(options, unknown)
    return line


def parse(text: bytes) -> tuple[dict[str, list[bytes]], int]:
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
        "server": decoded(_last(options, "pppoe-ac"), "access concentrator"),
        "service": decoded(_last(options, "pppoe-service"), "PPPoE service"),
        **({"interface": cables[-1]} if cables else {}),
    }


def _is_pppoe(plugin: bytes) -> bool:
    return _PPPOE.fullmatch(plugin.decode("ascii", "replace")) is not None


def _user(options: Mapping[str, list[bytes]]) -> str:
    user = decoded(_last(options, "user") or _last(options, "name"), "user name")
    if not user:
        raise PeerNotUsable("It does not say who the user is.")
    return user


def _methods(options: Mapping[str, list[bytes]]) -> list[str]:
    return [method for option, method in _METHODS.items() if option not in options]


def take_secret(root: Path, line: Line) -> None:
    """Find the password as pppd does, and take the methods that are not refused and that pppd has a secret for."""
    methods = _methods(line.options)
    if "password" in line.options:
        secrets = dict.fromkeys(methods, _Secret(_last(line.options, "password"), False))
    else:
        client = str(line.settings["user"]).encode()
        server = _last(line.options, "remotename")
        kept = {method: "pap-secrets" if method == "pap" else "chap-secrets" for method in methods}
        found = {file: _secret(root, file, client, server) for file in set(kept.values())}
        secrets = {method: secret for method in methods if (secret := found[kept[method]]) is not None}
    if secrets:
        take_methods(line, [*secrets])
    if any(secret.one_of_several for secret in secrets.values()) or len({*secrets.values()}) > 1:
        line.left_out.append(
            "The secrets files have other passwords for this user as well; the one that pppd would take first was"
            " taken. If it is not the right one, set another."
        )
    secret = next(iter(secrets.values()), None)
    if secret and secret.value.startswith(b"@/") and "password" not in line.options:
        line.left_out.append("The password is kept in another file, which was not read: set the password.")
    else:
        take_password(line, secret.value if secret else None)


def _secret(root: Path, file: str, client: bytes, server: bytes) -> _Secret | None:
    """Return what pppd's scan_authfile would: the first of the best lines, a name being better than a `*`.

    One without a password is none of ours: Debian's pap-secrets has such a line for everybody who calls in.
    """
    best, secrets = -1, list[bytes]()
    for entry in _lines_of_words(read(root / "etc/ppp" / file, MAX_SECRETS) or b""):
        if len(entry) < 3 or not entry[2]:
            continue
        if entry[0] not in (client, b"*") or (server and entry[1] not in (server, b"*")):
            continue
        rank = 2 * (entry[0] != b"*") + (entry[1] != b"*")
        if rank > best:
            best, secrets = rank, []
        if rank == best:
            secrets.append(entry[2])
    return _Secret(secrets[0], len({*secrets}) > 1) if secrets else None


def scripts(root: Path, name: str, link: str) -> Iterator[str]:
    """Yield a sentence for each folder of scripts that `name` does not find, and each script that runs them."""
    for folder in ("ip-up.d", "ip-down.d"):
        path = root / "etc/ppp" / folder
        if name != link and any(entry.name == link and entry.is_dir() for entry in entries(path)):
            yield (
                f"The scripts in /etc/ppp/{folder}/{link}/ run for a link of that name: move them to"
                f" /etc/ppp/{folder}/{name}/."
            )
        for script, file in files(path).items():
            text = read(file) or b""
            if b"run-parts" in text and re.search(rb"\$\{?LINKNAME", text):
                yield (
                    f"/etc/ppp/{folder}/{script} runs the scripts of a link's own folder, as Cablecar does: remove"
                    " it, or they run twice."
                )


def _left_out(options: Mapping[str, list[bytes]], unknown: int) -> Iterator[str]:
    """Yield a sentence for each kind of thing in a peer file that does not become a setting."""
    meant = {"pty"} if "pty" in options else {"plugin", "pppoe-service", "pppoe-ac"}
    running = [option for option in options if option in _RUNNING - meant]
    if "plugin" in meant and not all(map(_is_pppoe, options.get("plugin", ()))):
        running.append("plugin")
    if running:
        yield f"Left out, for they run or open as root what they name: {shown(running)}."
    if other := [option for option in options if option in _LOST - meant]:
        yield f"Left out, for Cablecar has nothing like it: {shown(other)}."
    call = _PPTP.fullmatch(_last(options, "pty").decode("ascii", "replace"))
    if call and not all(map(_PPTP_SETTLED.fullmatch, call[2].split())):
        yield "Left out: the options of pptp after the server."
    if unknown:
        yield f"Left out, for Cablecar does not know them as options of pppd: {unknown} words."
    if "defaultroute" not in options:
        yield NO_ROUTE


def _lines_of_words(text: bytes) -> Iterator[list[bytes]]:
    line: list[bytes] = []
    for word in words(text):
        if word.begins_line and line:
            yield line
            line = []
        line.append(word.value)
    if line:
        yield line
