"""Provider presets: what is publicly known about a provider, each fact with its source and year.

Owns the reading of `providers.toml` beside it and of what administrators add in `/etc/cablecar/providers.d/*.toml`.
Nothing is dialed by itself: a preset only fills in the settings that the user left out. A value that becomes a
setting passes the check of that setting. A file or preset that is not in order is named in the log and left out.
"""

import ipaddress
import logging
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from cablecar.helper import safefile
from cablecar.helper.carriers import PROTOCOLS
from cablecar.helper.errors import CablecarError
from cablecar.helper.settings import PRESET_KEYS, check, check_server_address, meaningless

log = logging.getLogger(__name__)

EXTRA: Final = Path("/etc/cablecar/providers.d")
MAX_TEXT: Final = 500  # characters of a remark or a source
MAX_ADDRESSES: Final = 16  # of one fact
MAX_INTERVAL: Final = 86400  # seconds between two calls
YEARS: Final = range(1996, 2101)  # since the first draft of PPTP
_SHIPPED: Final = Path(__file__).with_name("providers.toml")


Value = str | int | bool | tuple[str, ...]


class Fact(NamedTuple):
    """One value, and who said so.

    Attributes:
        value: What is known.
        source: Where it was published, in words or as an address.
        year: When it was published.
        unverified: Nobody has confirmed it: it is for people to look at and never filled in.
    """

    value: Value
    source: str
    year: int
    unverified: bool = False


class Provider(NamedTuple):
    """A preset. The head of `providers.toml` says what each fact means.

    Attributes:
        id: The value of the setting `provider`.
        title: The name shown to people.
        country: ISO 3166 code of two letters.
        region: City or network; empty when the preset is for the whole country.
        facts: What is known, by its key in the file.
    """

    id: str
    title: str
    country: str
    region: str
    facts: Mapping[str, Fact]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that the provider offers, the best first."""
        return cast("tuple[str, ...]", self.facts["protocols"].value)

    @property
    def redial_minimum(self) -> float:
        """Seconds between two calls, below which the provider blocks the line; 0 when nothing is known."""
        fact = self.facts.get("redial_minimum")
        return float(cast("int", fact.value)) if fact else 0.0

    def defaults(self, protocol: str) -> dict[str, object]:
        """Return the settings to fill in for `protocol`; an empty one means the best that the provider offers.

        A server whose name depends on the user's is left out, and so is what nobody has confirmed.
        """
        chosen = protocol or self.protocols[0]
        values: dict[str, object] = {"protocol": chosen}
        for key in (key for key in PRESET_KEYS if key not in meaningless(chosen)):
            fact = self.facts.get(f"server_{chosen}" if key == "server" else key)
            if fact and not fact.unverified and not (key == "server" and "{" in str(fact.value)):
                values[key] = _plain(fact.value)
        return values

    def as_dict(self) -> dict[str, str | int | bool | list[str]]:
        """Return everything as plain values, with `sources` and a note to `verify` it."""
        newest = max(fact.year for fact in self.facts.values())
        return {
            "id": self.id,
            "title": self.title,
            "country": self.country,
            "region": self.region,
            **{key: _plain(fact.value) for key, fact in self.facts.items()},
            "sources": [_citation(key, fact) for key, fact in self.facts.items()],
            "verify": f"This is what was published up to {newest}. Check it with the provider.",
        }


def load(extra: Path = EXTRA) -> dict[str, Provider]:
    """Return the presets that we ship and those of the files in `extra`; a later one replaces one of the same id."""
    found = _presets(_SHIPPED, _SHIPPED.read_bytes())
    for path in safefile.toml_files(extra):
        try:
            found |= _presets(path, safefile.read(path))
        # RecursionError: tomllib's answer to thousands of brackets.
        except (CablecarError, OSError, ValueError, RecursionError) as error:
            log.error("%s is left out: %s", path, error)
    return found


def _presets(path: Path, data: bytes) -> dict[str, Provider]:
    """Return the presets of one file that are in order, and name the others in the log.

    Raises:
        ValueError: The file as a whole is not in order.
    """
    document = tomllib.loads(data.decode("utf-8-sig"))
    _only(document, ("sources", "provider"))
    sources = {tag: _at(tag, _text, text) for tag, text in _table(document.get("sources", {})).items()}
    found = {}
    for name, values in _table(document.get("provider", {})).items():
        try:
            found[name] = _provider(name, _table(values), sources)
        except (CablecarError, ValueError) as error:
            log.error("%s: the preset %r is left out: %s", path, name, error)
    return found


def _provider(name: str, values: Mapping[str, object], sources: Mapping[str, str]) -> Provider:
    if not check("provider", name):
        raise ValueError("its id is empty")
    _only(values, ("title", "country", "region", *_FACTS))
    facts = {key: _at(key, _fact, values[key], convert, sources) for key, convert in _FACTS.items() if key in values}
    title, country = check("title", values.get("title", "")), values.get("country")
    if not title or "protocols" not in facts:
        raise ValueError("`title` or `protocols` is missing")
    if not isinstance(country, str) or re.fullmatch(r"[A-Z]{2}", country) is None:
        raise ValueError("`country` must be a code of two capital letters, such as IL")
    provider = Provider(name, title, country, _at("region", check, "title", values.get("region", "")), facts)
    for protocol in PROTOCOLS:
        if f"server_{protocol}" in facts and protocol not in provider.protocols:
            raise ValueError(f"`server_{protocol}` needs {protocol} in `protocols`")
    return provider


def _fact(value: object, convert: Callable[[object], Value], sources: Mapping[str, str]) -> Fact:
    table = _table(value)
    _only(table, ("value", "source", "year", "unverified"))
    if "value" not in table:
        raise ValueError("`value` is missing")
    source, year = table.get("source"), table.get("year")
    if not isinstance(source, str) or source not in sources:
        raise ValueError("`source` must be a name out of the file's table [sources]")
    if type(year) is not int or year not in YEARS:
        raise ValueError(f"`year` must be from {YEARS[0]} to {YEARS[-1]}")
    return Fact(convert(table["value"]), sources[source], year, _flag(table.get("unverified", False)))


def _at(key: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Call `function`, and say in its error that it was about `key`."""
    try:
        return function(*arguments)
    except (CablecarError, ValueError) as error:
        raise ValueError(f"`{key}`: {error}") from None


def _only(table: Mapping[str, object], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"there is no key {key!r} here; known are: {', '.join(known)}")


def _table(value: object) -> Mapping[str, object]:
    if type(value) is not dict:
        raise ValueError("must be a table")
    return value


def _text(value: object) -> str:
    # No line breaks, terminal sequences or changes of direction: it is shown to people and stands in lists.
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= MAX_TEXT:
        raise ValueError(f"must be one paragraph of 1 to {MAX_TEXT} characters")
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _interval(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTERVAL:
        raise ValueError(f"must be from 0 to {MAX_INTERVAL} seconds")
    return value


def _protocols(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(item not in PROTOCOLS for item in value):
        raise ValueError(f"must be a list out of {', '.join(PROTOCOLS)}, the best first")
    return tuple(dict.fromkeys(value))


def _server(protocol: str, value: object) -> str:
    text = _text(value)
    check("server", text.replace("{user}", "user"), protocol)
    return text


def _login(value: object) -> str:
    text = _text(value)
    example = text.replace("{user}", "user").replace("{domain}", "domain")
    if "{user}" not in text or "{" in example or "}" in example:
        raise ValueError("must have {user}, may have {domain}, and no other braces")
    check("user", example)
    return text


def _addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ADDRESSES:
        raise ValueError(f"must be a list of 1 to {MAX_ADDRESSES} IPv4 addresses")
    return tuple(check_server_address(ipaddress.IPv4Address(_text(item))) for item in value)


def _prefixes(value: object) -> tuple[str, ...]:
    if type(value) is not list:
        raise ValueError("must be a list of IPv4 prefixes")
    return cast("tuple[str, ...]", check("route", value))


def _plain(value: Value) -> str | int | bool | list[str]:
    return list(value) if isinstance(value, tuple) else value


def _citation(key: str, fact: Fact) -> str:
    return f"{key}: {fact.source} ({fact.year}{', unverified' if fact.unverified else ''})"


_FACTS: Final[Mapping[str, Callable[[object], Value]]] = {
    "protocols": _protocols,
    **{f"server_{protocol}": partial(_server, protocol) for protocol in PROTOCOLS},
    "login": _login,
    "authentication": partial(check, "authentication"),
    "encryption": partial(check, "encryption"),
    "vlan": partial(check, "vlan"),
    "mtu": partial(check, "mtu"),
    "redial_minimum": _interval,
    "peer_is_server": _flag,
    "needs_option_121": _flag,
    "dns": _addresses,
    "cable_routes": _prefixes,
    "known_addresses": _addresses,
    "remarks": _text,
}
