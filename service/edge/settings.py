"""How the edge serves, from the environment over a `.env` file.

Each setting is the variable `EDGE_` plus the field's name in capitals. An empty value counts as
not set. Paths are as nginx sees them: it may run elsewhere, so whether they exist is not checked.
Whatever gets here is written into nginx's configuration: nothing may pass that could end a word.
"""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from service.config.variables import SettingsError, Variables

__all__ = [
    "FIELDS",
    "PREFIX",
    "VARIABLES",
    "Settings",
    "SettingsError",
    "load",
    "unknown_variables",
    "variable",
]

PREFIX: Final = "EDGE_"
_ADDRESS: Final = re.compile(
    r"(?:(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):)?(?P<port>[0-9]{1,5})", re.ASCII
)
_EVERYBODY: Final = {"all": 1, "none": 0}
_PATH: Final = re.compile(r"/[\w./@+-]*")

# Of a reply that its client is slow to take: what the edge keeps in a file. The scores of 10,000
# rows fit into memory, their details into this.
REPLY_BYTES: Final = 8 * 1024 * 1024
# The script of the documentation's page has 1.7 MB, and so many may be slow to take it at once.
DOCS_BYTES: Final = 2 * 1024 * 1024
DOCS_REQUESTS: Final = 16


class Settings(Struct, frozen=True):
    """What the template is filled with. `load` makes one."""

    listen: Annotated[
        str,
        Meta(
            description="Address:port that clients connect to, or a port of all addresses of this "
            "machine."
        ),
    ] = "127.0.0.1:8443"
    status_listen: Annotated[
        str,
        Meta(
            description="Address:port of the edge's own /healthz and /status (nginx's counts): "
            "for this machine only."
        ),
    ] = "127.0.0.1:8444"
    upstreams: Annotated[
        str, Meta(description="The service's addresses, host:port, separated by commas.")
    ] = "127.0.0.1:5000"
    web_upstreams: Annotated[
        str,
        Meta(
            description="Addresses of the web processes, host:port, separated by commas, to which "
            "/jobs and the pages are passed on; empty: there are no such addresses."
        ),
    ] = ""
    web_max_body: Annotated[
        int,
        Meta(
            ge=1024,
            description="Greatest body of POST /jobs in bytes; above that of SCORING_JOB_MAX_MB, "
            "since a form has more than its file.",
        ),
    ] = 257 * 1024 * 1024
    certificate: Annotated[
        str,
        Meta(
            description="Certificate chain in PEM; empty: plain HTTP, for behind a balancer "
            "that ends TLS."
        ),
    ] = ""
    certificate_key: Annotated[str, Meta(description="Its private key in PEM.")] = ""
    client_certificates: Annotated[
        Literal["off", "optional", "required"],
        Meta(
            description="Certificates of clients: off, optional (in addition to keys) or required."
        ),
    ] = "off"
    client_ca: Annotated[
        str, Meta(description="Authority that signs clients' certificates, in PEM.")
    ] = ""
    client_keys_file: Annotated[
        str,
        Meta(
            description='Lines of `name "key";`: a client whose certificate has this common name '
            "needs no key, the edge sends this one."
        ),
    ] = ""
    rate_per_key: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Requests a second for each key; 0: no limit.")
    ] = 0
    rate_per_address: Annotated[
        int,
        Meta(ge=0, le=1_000_000, description="Requests a second for each address; 0: no limit."),
    ] = 0
    burst_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="How many seconds' worth of requests may come at once above a rate.",
        ),
    ] = 1.0
    connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=65_535,
            description="Requests in progress for each address, slow ones among them; 0: no limit.",
        ),
    ] = 512
    max_body: Annotated[
        int,
        Meta(
            ge=1024,
            description="Greatest body in bytes; not below SCORING_MAX_ARRAY_BODY.",
        ),
    ] = 16 * 1024 * 1024
    large_requests: Annotated[
        int,
        Meta(
            ge=2,
            le=10_000,
            description="Requests in progress whose body has 100,000 bytes or more, and half as "
            "many of one key or address: their bodies and replies must fit EDGE_WORKDIR_BYTES.",
        ),
    ] = 16
    header_timeout: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds for the whole head of a request to come.")
    ] = 10
    body_timeout: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds between two pieces of a body.")
    ] = 10
    send_timeout: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds between two pieces that a client takes.")
    ] = 10
    reply_timeout: Annotated[
        int, Meta(ge=5, le=3600, description="Seconds that the service may take to answer.")
    ] = 30
    keepalive: Annotated[
        int,
        Meta(
            ge=1,
            le=3600,
            description="Seconds an idle connection of a client stays open; above those of a "
            "balancer in front.",
        ),
    ] = 75
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses or networks of balancers in front, separated by commas, whose "
            "X-Forwarded-For is trusted: each must add the address of its client."
        ),
    ] = ""
    admin_addresses: Annotated[
        str,
        Meta(
            description="Addresses or networks from which /model can be reached, separated by "
            "commas; all or none. An admin's key is needed besides."
        ),
    ] = "127.0.0.0/8,::1"
    docs_addresses: Annotated[
        str, Meta(description="The same for /docs/ and /openapi.json, which need no key.")
    ] = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
    workers: Annotated[int, Meta(ge=1, le=64, description="Processes of nginx that serve.")] = 2
    workdir: Annotated[
        str,
        Meta(description="Folder for all that nginx writes: its pid, what is too long for memory."),
    ] = "/run/edge"
    workdir_bytes: Annotated[int, Meta(ge=1, description="Room in that folder.")] = (
        512 * 1024 * 1024
    )
    log: Annotated[
        str,
        Meta(
            description="Log of the requests that the edge answered itself or the service refused "
            "for their key, in JSON lines."
        ),
    ] = "/dev/stdout"

    @property
    def tls(self) -> bool:
        """Whether clients speak TLS with the edge itself."""
        return bool(self.certificate)

    @property
    def servers(self) -> list[str]:
        """The service's addresses, one by one."""
        return _items(self.upstreams)

    @property
    def web_servers(self) -> list[str]:
        """The addresses of the web processes, one by one."""
        return _items(self.web_upstreams)

    @property
    def proxies(self) -> list[str]:
        """The balancers in front, one by one."""
        return _items(self.trusted_proxies)

    @property
    def admins(self) -> list[str]:
        """Who reaches /model, as lines of nginx's `geo`."""
        return _allowed(self.admin_addresses)

    @property
    def readers(self) -> list[str]:
        """Who reaches the documentation, likewise."""
        return _allowed(self.docs_addresses)

    @property
    def large_share(self) -> int:
        """How many large requests one key or address may have in progress."""
        return (self.large_requests + 1) // 2

    @property
    def bytes_needed(self) -> int:
        """The room that bodies and replies beyond memory take at most."""
        large = self.large_requests * (self.max_body + REPLY_BYTES)
        return large + DOCS_REQUESTS * DOCS_BYTES

    def burst(self, rate: int) -> int:
        """How many requests may come at once above a rate."""
        return max(1, round(rate * self.burst_seconds))


FIELDS: Final[tuple[str, ...]] = Settings.__struct_fields__
VARIABLES: Final = Variables(PREFIX, Settings)
variable: Final = VARIABLES.name


def _bad(field: str, reason: str) -> SettingsError:
    return SettingsError(variable(field), reason)


def load(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings, checked one by one and together. Raises SettingsError."""
    settings = VARIABLES.read(_environment(environ), dotenv)
    _check_each(settings)
    _check_certificates(settings)
    return settings


def unknown_variables(
    environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")
) -> list[str]:
    """Variables that carry the prefix and set nothing: misspelt, most likely."""
    return VARIABLES.unknown(_environment(environ), dotenv)


def _environment(given: Mapping[str, str] | None) -> Mapping[str, str]:
    # The one place of this room that reads it.
    return os.environ if given is None else given  # noqa: TID251


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")] if text else []


def _allowed(text: str) -> list[str]:
    if text in _EVERYBODY:
        return [f"default {_EVERYBODY[text]};"]
    return ["default 0;", *(f"{network} 1;" for network in _items(text))]


def _check_each(settings: Settings) -> None:
    checks: dict[str, Callable[[str], str]] = {
        "listen": _address_or_port,
        "status_listen": _address,
        "upstreams": _address,
        "web_upstreams": _address,
        "trusted_proxies": _network,
        "admin_addresses": _network,
        "docs_addresses": _network,
        **dict.fromkeys(("certificate", "certificate_key", "client_ca"), _path),
        **dict.fromkeys(("client_keys_file", "workdir", "log"), _path),
    }
    lists = ("upstreams", "web_upstreams", "trusted_proxies", "admin_addresses", "docs_addresses")
    for field, complaint in checks.items():
        text = getattr(settings, field)
        if field in ("admin_addresses", "docs_addresses") and text in _EVERYBODY:
            continue
        for item in _items(text) if field in lists else [text] * bool(text):
            if reason := complaint(item):
                raise _bad(field, reason)
    if settings.listen.rpartition(":")[2] == settings.status_listen.rpartition(":")[2]:
        raise _bad("status_listen", f"it needs a port other than {variable('listen')}")
    if settings.bytes_needed > settings.workdir_bytes:
        others = f"{variable('large_requests')} or {variable('max_body')}"
        reason = (
            f"{settings.bytes_needed} bytes may be needed: give it as much, or less to {others}"
        )
        raise _bad("workdir_bytes", reason)


def _address_or_port(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    usable = match and 1 <= int(match["port"]) <= 65535
    return "" if usable else "is neither a port nor address:port"


def _address(text: str) -> str:
    usable = ":" in text and not _address_or_port(text)
    return "" if usable else "its form is host:port, such as 127.0.0.1:5000"


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        return "its form is an address or a network, such as 10.0.0.0/8"
    return ""


def _path(text: str) -> str:
    return "" if _PATH.fullmatch(text) else "is not an absolute path of letters, digits and ._@+-"


def _check_certificates(settings: Settings) -> None:
    for one, other in (
        ("certificate", "certificate_key"),
        ("certificate_key", "certificate"),
    ):
        if getattr(settings, one) and not getattr(settings, other):
            raise _bad(other, f"is missing, though {variable(one)} is set")
    if settings.client_certificates == "off":
        for field in ("client_ca", "client_keys_file"):
            if getattr(settings, field):
                raise _bad(field, f"is set, but {variable('client_certificates')} is off")
        return
    for field in ("certificate", "client_ca"):
        if not getattr(settings, field):
            reason = f"is missing: {variable('client_certificates')} asks for clients' certificates"
            raise _bad(field, reason)
