"""Whether the addresses among the settings can be used. Reasons are raised as ValueError."""

import re
import socket
from collections.abc import Collection, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

# The headers in which proxies name the client of a request.
_CLIENTS: Final = (
    *(b"x-forwarded-for", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
    *(b"cf-connecting-ip", b"true-client-ip", b"fly-client-ip", b"x-envoy-external-address"),
)
# The prefix of other headers of proxies: x-forwarded-proto, x-forwarded-host and so on.
FORWARDED: Final = b"x-forwarded"
# All headers that show where a request begins, except those that begin with FORWARDED.
ORIGIN_HEADERS: Final = (*_CLIENTS, b"forwarded", b"via", b"host")


def check_host(host: str) -> None:
    """An address to listen on: of an interface, or unix:/path."""
    if host.startswith("unix:"):
        if host == "unix:":
            raise ValueError("unix: is followed by no path")
        return
    try:
        socket.getaddrinfo(host.strip("[]"), None)
    except OSError as error:
        raise ValueError(f"{host}: {error.strerror}") from error


def ip_and_port(text: str) -> tuple[str, int]:
    """The IP address, in its usual spelling, and the port of `127.0.0.1:9100` or `[::1]:9100`."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        known, number = ip_address(bare), int(port)
    except ValueError:
        known, number = None, 0
    if known is None or host != (f"[{bare}]" if known.version == 6 else bare):
        reason = "its form is an IP address and a port, 127.0.0.1:9100 or [::1]:9100"
        raise ValueError(reason)
    if not 1 <= number <= 65535:
        raise ValueError("the port must be 1 to 65535")
    return known.compressed, number


def joined(host: str, port: int) -> str:
    """An address and a port as one text, in gunicorn's form."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a Unix socket counts as such."""
    if host.startswith("unix:") or host == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_forwarded_from_elsewhere(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a proxy passed a request on for another machine, or does not say for which.

    A proxy on this machine connects from loopback for every client. Each proxy appends the address
    that it sees: the last entry of a list is true even if the client made up the first ones. Where
    no header names a client, other headers or a public Host may still show that there is a proxy.
    """
    if b"forwarded" in headers:  # a grammar of its own, which the edge never sends
        return True
    lists = [headers[name] for name in _CLIENTS if name in headers]
    if lists:
        clients = (client.strip() for text in lists for client in text.split(b","))
        return not all(is_loopback(client.decode("latin-1")) for client in clients)
    shown = b"via" in headers or any(name.startswith(FORWARDED) for name in headers)
    return shown or _is_public(headers.get(b"host", b""))


# Clients use the same few.
@lru_cache(maxsize=256)
def _is_public(host: bytes) -> bool:
    """Whether a Host may be known outside: a name without a dot is a local one."""
    try:
        name = urlsplit(f"//{host.decode('latin-1')}").hostname or ""
        name = name.rstrip(".")
    except ValueError:  # brackets that do not close
        return True
    is_local_name = not {".", ":"} & set(name) or name.endswith(".localhost")
    return not (is_local_name or is_loopback(name))


def check_sentry_dsn(dsn: str) -> None:
    """Its form only, as the SDK reads it, without the SDK: that takes a while to import."""
    parts = _web_address(dsn)
    project = parts.path.rpartition("/")[2]
    if dsn and not (parts.username and re.fullmatch("[0-9]+", project)):
        raise ValueError("its form is https://key@host/project-number")


def check_otlp_endpoint(endpoint: str) -> None:
    """The base address of a collector."""
    parts = _web_address(endpoint)
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("its form is http://host:port")


def check_broker(url: str) -> None:
    """The URL of RabbitMQ."""
    _check_url(url, ("amqp", "amqps"), "amqp(s)://USER:PASSWORD@HOST:PORT/VHOST")


def check_redis(url: str) -> None:
    """The URL of Redis, whose path is the number of a database."""
    form = "redis(s)://USER:PASSWORD@HOST:PORT/DB"
    _check_url(url, ("redis", "rediss"), form)
    if not re.fullmatch("/?|/[0-9]{1,5}", urlsplit(url).path):
        raise ValueError(f"its form is {form}, DB a number")


def check_clickhouse(url: str) -> None:
    """The URL of ClickHouse's HTTP interface, whose path is a database."""
    form = "http(s)://USER:PASSWORD@HOST:PORT/DATABASE"
    _check_url(url, ("http", "https"), form)
    if url and not urlsplit(url).path.strip("/"):
        raise ValueError(f"its form is {form}")


def check_mongodb(url: str) -> None:
    """The URL of MongoDB, which may name several hosts; its path is a database."""
    if url and not _is_mongodb(url):
        raise ValueError("its form is mongodb(+srv)://USER:PASSWORD@HOST:PORT/DATABASE")


_is_mongodb: Final = re.compile(
    r"mongodb(\+srv)?://([^@/]+@)?[A-Za-z0-9.:,\[\]_-]+/[^/?]+(\?.*)?"
).fullmatch


def _check_url(url: str, schemes: Collection[str], form: str) -> None:
    """The reason does not repeat the URL, which holds a password."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a port, brackets that do not close
        usable = False
    if url and not usable:
        raise ValueError(f"its form is {form}")


def _web_address(text: str) -> SplitResult:
    """The parts of an address. The reason does not repeat the text: a DSN holds a key."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a port, brackets that do not close
        raise ValueError("it is not a web address") from None
    if text and not usable:
        raise ValueError("it is not an http:// or https:// address")
    return parts
