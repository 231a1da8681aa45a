"""How far a viewer's clock is from this machine's, from messages that it acknowledges."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

_SAMPLES = 100  # the clocks of two machines drift by a millisecond in some ten seconds


class Exchange(NamedTuple):
    """A message and its acknowledgement, in ms: sent and answered by this clock, received and done by the viewer's."""

    sent: float
    received: float
    done: float
    answered: float

    @property
    def round_trip(self) -> float:
        """What the network took, both ways together."""
        return (self.answered - self.sent) - (self.done - self.received)

    @property
    def offset(self) -> float:
        """The viewer's clock less this one, if both ways took equally long."""
        return ((self.received - self.sent) + (self.done - self.answered)) / 2


class ViewerClock:
    """Estimates the offset of a viewer's clock as NTP's clock filter does: the quickest exchange of the last ones.

    A picture takes longer to come than its acknowledgement to go, and half of that round trip would make it younger
    than it is. The quickest exchange is a small message's: its offset holds for all, within half of its round trip.

    RFC 5905, section 10.
    """

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=_SAMPLES)

    def add(self, exchange: Exchange) -> None:
        """Take an exchange; one that cannot be is left out."""
        if all(map(math.isfinite, exchange)) and exchange.round_trip >= 0 and exchange.done >= exchange.received:
            self._exchanges.append(exchange)

    def estimate(self) -> dict[str, float] | None:
        """Return offset and round trip in ms; None before the first exchange."""
        if not self._exchanges:
            return None
        best = min(self._exchanges, key=lambda each: each.round_trip)
        return {"offset": round(best.offset, 3), "round_trip": round(best.round_trip, 3)}
