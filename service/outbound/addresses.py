"""Which network addresses a request may go to: public ones alone.

Nobody who names an address may reach what only this machine or its network can.

Texts are not judged, since `2130706433` and `127.1` are 127.0.0.1 too: what they resolve to is.
"""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

# IPv4 addresses within IPv6 ones, which a gateway translates: RFC 6052.
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Global by `ipaddress`, but no host of the Internet: protocol assignments, and relays of 6to4.
_SPECIAL: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("168.63.129.16/32"),  # what each virtual machine of Azure reaches of its host
    IPv6Network("3fff::/20"),  # documentation: RFC 9637
    IPv6Network("64:ff9b:1::/48"),  # translated within a network, by its own rules: RFC 8215
)


class NotAllowed(Exception):
    """An address that no request may go to, or a name that has none. The text is for the log."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is that of a host on the Internet, by all ways to write it."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one may end at."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def resolve(host: str, port: int, *, private: bool) -> tuple[str, ...]:
    """The addresses of a host, of which all must be public unless `private` ones may be reached.

    Raises NotAllowed. A mixture is refused: the owner of the name could choose.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotAllowed(f"{host} has no address: {type(error).__name__}") from None
    addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for text in addresses:
        if not private and not is_public(ip_address(text.partition("%")[0])):
            raise NotAllowed(f"{host} has an address that is not public")
    return addresses
