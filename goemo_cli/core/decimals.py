"""How numbers look in tables and sentences."""


def decimal(value: float, places: int = 4, *, sign: str = "") -> str:
    """A number with `places` decimals; one that would be shown as 0 and is not has two significant digits: 2e-05.

    Args:
        value: finite.
        places: after the point.
        sign: "+" to show it before positive numbers too.
    """
    rounded = f"{value:{sign}.{places}f}"
    return f"{value:{sign}.2g}" if value and not float(rounded) else rounded


def span(low: float, high: float, places: int = 3) -> str:
    """An interval, `0.497–0.547`."""
    return f"{decimal(low, places)}–{decimal(high, places)}"
