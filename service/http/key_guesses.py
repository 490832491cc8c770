"""Guessing of keys: wrong keys by address, and the refusal of addresses that try many."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Final

# An address may send so many wrong keys at once, and one more every so many seconds.
BURST: Final = 20
SECONDS_FOR_ONE: Final = 1.0
# Of so many addresses wrong keys are known, of so many addresses and names good ones.
_ADDRESSES: Final = 10_000
_PAIRS: Final = 10_000
# The longest address, with a port and a zone; clients that bypass the edge may send more.
_LONGEST: Final = 64


class KeyGuesses:
    """Slows down addresses that send many wrong keys, in the memory of this process.

    Beyond its allowance an address is admitted for callers only that were admitted from it before:
    several clients may share the address.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._known: set[tuple[str, str]] = set()

    def refuses(self, address: str, name: str | None) -> bool:
        """Whether a request is to be refused, whatever its key; `name` is that of a known key."""
        address = address[:_LONGEST]
        if name is not None and (address, name) in self._known:
            return False
        network = _network(address)
        spent = self._spent_by(network)
        if spent > BURST - 1:
            return True
        if name is None:
            self._note(network, spent + 1)
        else:
            self._know(address, name)
        return False

    def _spent_by(self, network: str) -> float:
        """How much of its allowance is used up now."""
        spent, since = self._spent.get(network, (0.0, 0.0))
        return max(0.0, spent - (self._now() - since) / SECONDS_FOR_ONE)

    def _note(self, network: str, spent: float) -> None:
        self._spent[network] = spent, self._now()
        self._spent.move_to_end(network)
        if len(self._spent) > _ADDRESSES:
            self._spent.popitem(last=False)

    def _know(self, address: str, name: str) -> None:
        if len(self._known) >= _PAIRS:
            self._known.clear()
        self._known.add((address, name))


def _network(address: str) -> str:
    """The address; of IPv6 the part that a customer of a provider has all of."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a proxy may use any names for its clients
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address
