"""PPPoE (RFC 2516): pppd's own plugin finds an access concentrator on the cable's Ethernet, the kernel carries PPP."""

from typing import TYPE_CHECKING, Final

from cablecar.helper import reasons
from cablecar.helper.carrier import Carrier
from cablecar.helper.words import quote

if TYPE_CHECKING:
    from cablecar.helper.settings import Settings

# pppd doubles the first wait at each try: 7 s for a concentrator, 7 s for its session, well within the limit of a dial.
DISCOVERY_WAIT: Final = 1  # seconds
DISCOVERY_TRIES: Final = 3


def _options(settings: "Settings", target: str) -> list[str]:
    return [
        "plugin pppoe.so",  # since 2.4.9 under this name
        *([f"pppoe-service {quote(settings.service.encode())}"] if settings.service else []),
        *([f"pppoe-ac {quote(settings.server.encode())}"] if settings.server else []),
        f"pppoe-padi-timeout {DISCOVERY_WAIT}",
        f"pppoe-padi-attempts {DISCOVERY_TRIES}",
        f"nic-{target}",  # the last one: the plugin looks at its options when it is given the interface
    ]


PPPOE: Final = Carrier(
    title="PPPoE",
    unit="cablecar-link",
    programs=(),
    over_ip=False,
    mtu=1500,  # pppd makes it 1492 unless both the cable and the concentrator allow more (RFC 4638)
    options=_options,
    silence=reasons.PATH_LOST,
    own_settings=frozenset({"service", "vlan"}),
    kernel="pppoe",
)
