"""How often values of many numbers occur, in bins of equal width; small enough to be written down."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Histogram:
    """Counts between two values; bin i holds what lies in [edges[i], edges[i + 1]), the last one its upper edge too."""

    counts: tuple[int, ...]
    low: float
    """The least value; the lower edge of the first bin."""
    high: float
    """The greatest value; where it equals `low` there is one bin."""
    total: float
    """Sum of all values."""
    total_squares: float
    """Sum of their squares."""

    @property
    def edges(self) -> list[float]:
        """One more than there are bins."""
        bins = len(self.counts)
        return [self.low + (self.high - self.low) * at / bins for at in range(bins)] + [self.high]
