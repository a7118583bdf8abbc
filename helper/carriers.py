"""The carriers that there are, by the value of the setting `protocol`: the one place that knows all of them."""

from collections.abc import Mapping
from typing import Final

from cablecar.helper.carrier import Carrier
from cablecar.helper.l2tp import L2TP
from cablecar.helper.pppoe import PPPOE
from cablecar.helper.pptp import PPTP

BY_PROTOCOL: Final[Mapping[str, Carrier]] = {"pptp": PPTP, "l2tp": L2TP, "pppoe": PPPOE}
PROTOCOLS: Final = tuple(BY_PROTOCOL)
