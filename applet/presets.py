"""What is known about the providers of the presets, in words: their facts, where each was published, what to check.

Owns how a preset is told. Decides nothing by it: what a preset fills in is the helper's. All text is plain.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from cablecar.applet import figures
from cablecar.applet.fields import METHODS, PROTOCOLS
from cablecar.applet.i18n import _, said
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import Provider

OWN: Final = Provider("", _("My provider is not in the list"))

_COUNTRIES: Final = {
    "AT": _("Austria"),
    "CA": _("Canada"),
    "IL": _("Israel"),
    "MT": _("Malta"),
    "NL": _("Netherlands"),
    "RU": _("Russia"),
}

# What else a preset may know; anything newer is shown by its name in the preset.
_FACTS: Final = {
    "protocols": _("Protocols"),
    **{f"server_{protocol}": name for protocol, name in PROTOCOLS.items()},
    "login": _("User name"),
    "remarks": _("Remarks"),
    "authentication": _("Ways of logging in"),
    "encryption": _("Encryption (MPPE)"),
    "mtu": "MTU",
    "vlan": "VLAN",
    "redial_minimum": _("Seconds between two calls, at least"),
    "peer_is_server": _("The far end of the tunnel has the server's own address"),
    "needs_option_121": _("The server is reached by routes out of the lease"),
    "dns": _("DNS servers"),
    "cable_routes": _("Reached by the cable only"),
    "known_addresses": _("Addresses that the server had"),
}
# A source as the helper cites it: of which fact, where it was published, when, and whether anybody has confirmed it.
_CITATION: Final = re.compile(r"(?P<fact>[a-z0-9_]+): (?P<source>.+) \((?P<year>\d{4})(?P<open>, unverified)?\)")
_VALUES: Final = {"True": _("yes"), "False": _("no"), "no": _("no"), "required": _("required")} | {
    method: bare(name) for method, name in METHODS.items()
}


def country(code: str) -> str:
    """Return the name of a country; its code when that is all there is."""
    return _COUNTRIES.get(code, code)


def has(provider: Provider, words: Iterable[str]) -> bool:
    """Whether a provider is meant by these words."""
    text = f"{provider.title} {provider.region} {said(provider.region)}".casefold()
    return all(word in text for word in words)


def about(provider: Provider) -> str:
    """Return all that is known about a provider, a line for each fact."""
    lines = [said(provider.verify) or _("Public knowledge, mostly old: check it with the provider.")]
    lines.append(said(provider.remarks))
    lines += [_fact(PROTOCOLS.get(protocol, protocol), server) for protocol, server in provider.servers]
    lines += [_fact(_FACTS.get(key, key), _values(value)) for key, value in provider.others]
    lines += [_("Sources:"), *_cited(provider.sources)]
    return "\n".join(filter(None, lines))


def _cited(sources: Iterable[str]) -> Iterator[str]:
    """Yield each source once, with what it says; in the helper's words what is not of that form."""
    facts: dict[str, list[str]] = {}
    for text in sources:
        if (match := _CITATION.fullmatch(text)) is None:
            yield figures.isolated(text)
            continue
        form = _("{source} ({year}, not confirmed)") if match["open"] else _("{source} ({year})")
        source = form.format(source=figures.isolated(said(match["source"])), year=match["year"])
        facts.setdefault(source, []).append(_FACTS.get(match["fact"], match["fact"]))
    for source, told in facts.items():
        yield _("{name}: {value}").format(name=source, value=", ".join(told))


def _fact(name: str, value: str) -> str:
    return _("{name}: {value}").format(name=name, value=figures.isolated(value))


def _values(text: str) -> str:
    return ", ".join(_VALUES.get(value, value) for value in text.split(", "))
