"""What was set up by hand before Cablecar, read as the settings of a link.

    peers.py            /etc/ppp/peers/* with their secrets and scripts: after the HOWTO, by pptpsetup, by pppoeconf
    networkmanager.py   profiles of PPTP, L2TP and PPPoE
    xl2tpd.py           LACs
    dialers.py          what dials by itself: cron, ifupdown, the boot

Each reads one kind and says in its head how; here is what they have to do with each other and with our own links.
"""

import contextlib
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cablecar.helper import dialers, networkmanager, peers, xl2tpd
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.dialers import Stanza
from cablecar.helper.errors import NoSuchPeer, PeerNotUsable
from cablecar.helper.foreign import Line, entries, shown
from cablecar.helper.settings import MAX_TITLE, Settings


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


class Foreign:
    """What this machine has beside Cablecar.

    Args:
        root: The root of the file system; another one in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def ids(self) -> list[str]:
        """Return the ids of what `read` can use: names of peer files, `nm:NAME` of profiles, `l2tp:NAME` of LACs."""
        return [*_usable(self._sources())]

    def read(self, peer: str) -> Imported:
        """Return what `peer`, one of `ids()`, says.

        Raises:
            NoSuchPeer: There is nothing of this name.
            PeerNotUsable: It does not say enough, or asks for what Cablecar does not do.
        """
        sources = self._sources()
        if peer not in sources:
            raise NoSuchPeer("There is nothing of this name to import. The method ListPeers says what there is.")
        line = _line_of(peer, sources[peer])
        if line.options:
            peers.take_secret(self._root, line)
        if peer.startswith(xl2tpd.LAC):
            xl2tpd.take_secret(self._root, line, sources[peer])
        name = self._free_name(line.title)
        if name != line.title and len(line.title) <= MAX_TITLE:
            line.settings["title"] = line.title
        stanzas = dialers.stanzas(self._root)
        if line.profile in networkmanager.secondaries(sources) or any(
            stanza.automatic and peer in stanza.calls for stanza in stanzas
        ):
            line.settings["autoconnect"] = True
        return Imported(
            name,
            line.settings,
            line.password,
            (
                *line.left_out,
                *dialers.pins(stanzas, line.settings["server"]),
                *peers.scripts(self._root, name, line.link),
            ),
            self._dialers(line.settings, set(), sources, stanzas),
        )

    def dialers(self, name: str, settings: Settings) -> tuple[str, ...]:
        """Return a sentence for each thing beside Cablecar that would dial the line of the link `name`."""
        values = {"protocol": settings.protocol, "server": settings.server, "user": settings.user}
        return self._dialers(values, {name}, self._sources(), dialers.stanzas(self._root))

    def _sources(self) -> dict[str, bytes]:
        """Return the text of each LAC, each profile and each peer file, by id."""
        prefixed = xl2tpd.sources(self._root) | networkmanager.sources(self._root)
        return prefixed | {
            name: text
            for name, text in peers.sources(self._root).items()
            if not name.startswith((networkmanager.PROFILE, xl2tpd.LAC))
        }

    def _free_name(self, title: str) -> str:
        """Return a name made from `title` that neither a link nor a peer file has."""
        plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
        base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
        base = base if re.match(r"[a-z]", base) else f"link_{base}".rstrip("_")
        taken = {entry.name for entry in entries(self._root / "etc/ppp/peers")}
        taken |= {entry.name.removesuffix(".toml") for entry in entries(self._root / "etc/cablecar/links")}
        names = itertools.chain([base[:31]], (f"{base[:27]}_{number}" for number in itertools.count(2)))
        return next(name for name in names if name not in taken)

    def _dialers(
        self,
        values: Mapping[str, object],
        names: set[str],
        sources: Mapping[str, bytes],
        stanzas: Sequence[Stanza],
    ) -> tuple[str, ...]:
        """Return a sentence for what dials the line of `values`, or calls pppd by one of the peer files `names`."""
        rivals = {peer: line for peer, line in _usable(sources).items() if _is_same_line(line.settings, values)}
        own, names = names, names | {peer for peer, line in rivals.items() if line.options}
        if not BY_PROTOCOL[str(values["protocol"])].over_ip:
            names |= dialers.pppoe_starts(self._root, values["user"])
        brought_up = {stanza.interface for stanza in stanzas if stanza.calls & names}
        return (
            *dialers.cron(self._root, names, brought_up),
            *dialers.boot(self._root, names, brought_up),
            *(
                f"{stanza.place} dials {shown(stanza.calls & names)}{' at boot' if stanza.automatic else ''}: remove"
                " this stanza and let the link's own setting `autoconnect` do it."
                for stanza in stanzas
                if stanza.calls & names
            ),
            *_rivals_of_others(rivals, networkmanager.secondaries(sources)),
            *self._running(rivals, own),
        )

    def _running(self, rivals: Mapping[str, Line], own: set[str]) -> Iterator[str]:
        running = {entry.name for entry in entries(self._root / "run")}
        for peer, line in rivals.items():
            if line.link not in own and f"ppp-{line.link}.pid" in running:
                again = "persist" in line.options
                yield (
                    f"pppd seems to run the peer {shown({peer})} now"
                    f"{', and `persist` makes it dial again after each drop' if again else ''}: hang it up with poff."
                )


def _line_of(peer: str, text: bytes) -> Line:
    if peer.startswith(networkmanager.PROFILE):
        return networkmanager.line_of(peer, text)
    return xl2tpd.line_of(peer, text) if peer.startswith(xl2tpd.LAC) else peers.line_of(peer, text)


def _usable(sources: Mapping[str, bytes]) -> dict[str, Line]:
    lines = {}
    for peer, text in sources.items():
        with contextlib.suppress(PeerNotUsable):
            lines[peer] = _line_of(peer, text)
    return lines


def _is_same_line(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether both would dial the same line: the same server, or the same user where no address is called."""
    kinds = [BY_PROTOCOL[str(values["protocol"])].over_ip for values in (one, other)]
    if not any(kinds):
        return one["user"] == other["user"]
    return all(kinds) and str(one["server"]).lower() == str(other["server"]).lower()


def _rivals_of_others(rivals: Mapping[str, Line], secondaries: set[str]) -> Iterator[str]:
    """Yield a sentence for each profile and each LAC: what dials unasked has to be stopped, the rest not to be used."""
    for peer, line in rivals.items():
        unasked = line.settings.get("autoconnect")
        if peer.startswith(networkmanager.PROFILE):
            profile = shown({peer.removeprefix(networkmanager.PROFILE)})
            together = line.profile in secondaries
            yield (
                f"NetworkManager has the profile {profile} for the same line, and dials it unasked, at boot and after"
                " each drop: remove that profile, or set its `connection.autoconnect` to `no`."
                if unasked
                else f"NetworkManager has the profile {profile} for the same line"
                f"{', and brings it up together with another connection' if together else ''}: remove that profile, or"
                " never switch on both."
            )
        if peer.startswith(xl2tpd.LAC):
            lac = shown({peer.removeprefix(xl2tpd.LAC)})
            yield (
                f"xl2tpd has the LAC {lac} for the same server, and dials it unasked, at boot above all: take it out of"
                " /etc/xl2tpd/xl2tpd.conf, or set its `autodial` to `no`."
                if unasked
                else f"xl2tpd has the LAC {lac} for the same server: take it out of /etc/xl2tpd/xl2tpd.conf, or never"
                " connect both."
            )
