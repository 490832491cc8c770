"""Selectors and functions that queries share."""

from typing import Final

# The instances chosen above the dashboard.
CHOSEN: Final = 'instance=~"$instance"'
# The requests that the objectives count.
REG: Final = f'route="/reg",method="POST",{CHOSEN}'
# Contains at least two scrapes at any zoom.
WINDOW: Final = "[$__rate_interval]"


def rate(counter: str, selector: str = CHOSEN) -> str:
    """The rate of a counter per second."""
    return f"rate({counter}{{{selector}}}{WINDOW})"


def quantile(share: float, histogram: str, selector: str = CHOSEN) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({share}, sum by (le) ({rate(f'{histogram}_bucket', selector)}))"


def mean(histogram: str, selector: str = CHOSEN) -> str:
    """The mean of a histogram's observations."""
    total, count = (rate(f"{histogram}_{part}", selector) for part in ("sum", "count"))
    return f"sum({total}) / sum({count})"


def happened(counter: str, label: str) -> str:
    """The events in each interval by a label: whole numbers, unlike increase()."""
    added, chosen = f"sum by ({label})", f"{counter}{{{CHOSEN}}}"
    return f"clamp_min({added} ({chosen}) - {added} ({chosen} offset $__interval), 0)"
