"""When to dial again: at once after a drop, then ever more slowly, with jitter. Pure.

The helper paces redials itself because pppd's `persist` skips its holdoff after a hangup since 2.5.2, and providers
block a line that dials too fast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BASE: Final = 2.0  # seconds before the second try, on the average
CAP: Final = 300.0  # seconds at the most
SPREAD: Final = 0.1  # of a pause that is asked for: as much may come on top
STABLE: Final = 120.0  # seconds up, after which a drop counts as the first


@dataclass(slots=True)
class Redial:
    """The pacing of one link.

    Attributes:
        uniform: Returns a random number between its two arguments; a test passes its own.
        attempt: Tries since the link was last stable or first wanted.
        minimum: Seconds between two dials that the provider asks for (its preset).
    """

    uniform: Callable[[float, float], float]
    attempt: int = 0
    minimum: float = 0.0
    _delay: float = 0.0

    def reset(self) -> None:
        """Begin anew: the user asked, or the link has been stable."""
        self.attempt = 0
        self._delay = 0.0

    def after_drop(self, seconds_up: float, pause: float = 0.0) -> float:
        """Return how long to wait after a link that was up is up no longer, in seconds; at least `pause`."""
        if seconds_up >= STABLE:
            self.reset()
        self.attempt += 1
        least = max(pause, self.minimum - seconds_up)
        return self._longer(least) if self.attempt > 1 else self._spread(least)

    def after_failure(self, pause: float = 0.0) -> float:
        """Return how long to wait after a dial that failed, in seconds; at least `pause`."""
        self.attempt += 1
        return self._longer(max(pause, self.minimum))

    # Many customers whom the same server dropped dial at once, which is the soonest for each of them; those whom it
    # refuses then do not come back in step.

    def _longer(self, least: float) -> float:
        # Decorrelated jitter.
        low, high = (BASE, self._delay * 3) if self._delay else (BASE / 2, BASE * 3 / 2)
        self._delay = min(CAP, self.uniform(low, high))
        return max(self._delay, self._spread(least))

    def _spread(self, least: float) -> float:
        return least + self.uniform(0.0, least * SPREAD) if least > 0 else 0.0
