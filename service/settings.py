"""The one typed settings object, and the only reader of the environment.

Each setting is the environment variable `SCORING_` plus the field's name in capitals. A
`.env` file in the working directory fills in what the environment does not set. An empty
value counts as not set. A bad value stops the start and names the variable.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn

import msgspec
from dotenv import dotenv_values
from msgspec import Meta, Struct

from service import VERSION, addresses

PREFIX: Final = "SCORING_"
# What Sentry takes as the name of an environment or a release.
_NAME: Final = r"^[A-Za-z0-9._+@-]{0,64}\Z"
# What a header can carry.
_PRINTABLE: Final = r"^[!-~]*\Z"
EXAMPLE_KEY: Final = "123321"


class SettingsError(Exception):
    """A setting that can't be used: `variable` is its name in the environment."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable = variable


class Settings(Struct, frozen=True):
    """How this process serves. `service.settings.load` makes one."""

    host: Annotated[str, Meta(description="Address to listen on, or unix:/path of a socket.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port to listen on.")] = 5000
    workers: Annotated[
        int, Meta(ge=0, le=64, description="Worker processes; 0: one for each CPU of the quota.")
    ] = 0
    model: Annotated[str, Meta(description="The .cbm file to serve; empty: the bundled one.")] = ""
    api_keys: Annotated[
        str,
        Meta(description="Keys of callers, separated by commas: name:key pairs or bare keys."),
    ] = ""
    api_keys_file: Annotated[
        str, Meta(description="File of such keys, one a line; read again when it changes.")
    ] = ""
    max_body: Annotated[
        int, Meta(ge=1024, description="Greatest body of a single request, in bytes.")
    ] = 64 * 1024
    max_array_body: Annotated[
        int, Meta(ge=1024, description="Greatest body of an array of requests, in bytes.")
    ] = 16 * 1024 * 1024
    max_rows: Annotated[int, Meta(ge=1, description="Greatest number of rows in an array.")] = (
        10_000
    )
    unseen: Annotated[
        Literal["accept", "reject"],
        Meta(description="A category the model never saw: accept (and say so) or reject (400)."),
    ] = "accept"
    max_waiting: Annotated[
        int,
        Meta(ge=0, le=10_000, description="Requests that may wait in each worker; more get 429."),
    ] = 128
    max_wait_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=600_000,
            description="Longest expected wait, in ms, with which a request is let in; else it "
            "gets 429. Who is in may wait as long as its own X-Request-Timeout-Ms.",
        ),
    ] = 150
    metrics_token: Annotated[
        str,
        Meta(
            pattern=_PRINTABLE,
            description="Bearer token that GET /metrics asks for. Empty: there is no such page, "
            "or it is open to all who reach SCORING_METRICS_BIND.",
        ),
    ] = ""
    metrics_token_file: Annotated[
        str, Meta(description="File with that token instead, as containers get it; read once.")
    ] = ""
    metrics_bind: Annotated[
        str,
        Meta(
            description="Address of its own for GET /metrics, such as 127.0.0.1:9100; empty: it "
            "is at the public one, if there is a token."
        ),
    ] = ""
    keepalive: Annotated[
        int,
        Meta(ge=1, description="Seconds an idle connection stays open; above the balancer's own."),
    ] = 75
    drain_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=300,
            description="Seconds from a stop's begin, when /readyz turns 503, to the end of "
            "accepting: what balancers need to see it.",
        ),
    ] = 0
    graceful_timeout: Annotated[
        int, Meta(ge=1, description="Seconds that requests in flight get to end on a stop.")
    ] = 30
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least severe line that is logged."),
    ] = "info"
    log_form: Annotated[
        Literal["auto", "json", "human"],
        Meta(description="Form of the log; auto: human on a terminal, else json."),
    ] = "auto"
    log_sample: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of the 2xx lines that is logged; others always are."),
    ] = 1.0
    sentry_dsn: Annotated[
        str, Meta(description="DSN of the Sentry project that gets errors; empty: none does.")
    ] = ""
    otlp_endpoint: Annotated[
        str,
        Meta(description="OTLP/HTTP collector that gets traces, http://host:4318; empty: none."),
    ] = ""
    environment: Annotated[
        str,
        Meta(pattern=_NAME, description="What Sentry and traces call this installation."),
    ] = "production"
    release: Annotated[
        str,
        Meta(pattern=_NAME, description="What they call this version; empty: the project's own."),
    ] = ""

    def __repr__(self) -> str:
        """Names and values, secrets masked."""
        secret = ("api_keys", "metrics_token", "sentry_dsn")
        shown = (
            f"{name}={'***' if name in secret and value else repr(value)}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"

    @property
    def version(self) -> str:
        """What reports and traces call this version."""
        return self.release or VERSION

    @property
    def metrics_kept(self) -> bool:
        """Whether there is a place where metrics can be read; without one none are kept."""
        return bool(self.metrics_token or self.metrics_bind)

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """The IP address and the port of `metrics_bind`."""
        return addresses.ip_and_port(self.metrics_bind) if self.metrics_bind else None

    @property
    def binds(self) -> list[str]:
        """The addresses to listen on in gunicorn's form: the public one, that of the metrics."""
        host = self.host.strip("[]")
        public = host if host.startswith("unix:") else addresses.joined(host, self.port)
        metrics = self.metrics_address
        return [public, addresses.joined(*metrics)] if metrics else [public]


FIELDS: Final[tuple[str, ...]] = Settings.__struct_fields__


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def load(environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings from an environment (this process's own by default) over a `.env` file.

    Raises SettingsError.
    """
    given = _given(os.environ if environ is None else environ, dotenv)
    try:
        settings = msgspec.convert(
            {field: given[variable(field)] for field in FIELDS if variable(field) in given},
            Settings,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise _explain(error) from None  # the text of the cause may hold a secret
    settings = _with_metrics_token(settings)
    _check_addresses(settings)
    if not settings.api_keys and not settings.api_keys_file:
        settings = msgspec.structs.replace(settings, api_keys=f"example:{EXAMPLE_KEY}")
    return settings


@cache
def of_this_server() -> Settings:
    """The settings that the server started with: a reload replaces its workers, not these.

    The app is loaded once, before the workers. Were a reload to read settings anew, half of
    them would be new, and a bad value would end a server that serves.
    Raises SettingsError.
    """
    return load()


def unknown_variables(
    environ: Mapping[str, str] | None = None, dotenv: Path = Path(".env")
) -> list[str]:
    """Variables that carry the prefix and set nothing: misspelt, or of another version."""
    known = {variable(field) for field in FIELDS}
    return sorted(_given(os.environ if environ is None else environ, dotenv).keys() - known)


def of_others(*names: str) -> dict[str, str]:
    """Those of these variables that are set: other programs' own, which matter here too."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _with_metrics_token(settings: Settings) -> Settings:
    """With the token of the file, if one is named."""
    path, name = settings.metrics_token_file, variable("metrics_token_file")
    if not path:
        return settings
    if settings.metrics_token:
        raise SettingsError(name, f"{variable('metrics_token')} is set too")
    try:
        token = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(name, f"{path} can't be read as text") from error
    if not re.fullmatch(_PRINTABLE, token) or not token:
        raise SettingsError(name, f"{path} must hold one token of printable ASCII")
    return msgspec.structs.replace(settings, metrics_token=token)


def _check_addresses(settings: Settings) -> None:
    checks: dict[str, Callable[[str], object]] = {
        "host": addresses.check_host,
        "metrics_bind": lambda text: text and addresses.ip_and_port(text),
        "sentry_dsn": addresses.check_sentry_dsn,
        "otlp_endpoint": addresses.check_otlp_endpoint,
    }
    for field, check in checks.items():
        try:
            check(getattr(settings, field))
        except ValueError as reason:
            raise SettingsError(variable(field), str(reason)) from None
    metrics, public = settings.metrics_address, settings.host
    if metrics and metrics[1] == settings.port and not public.startswith("unix:"):
        raise SettingsError(variable("metrics_bind"), "it needs a port other than SCORING_PORT")


def _given(environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    try:
        sources = (dotenv_values(dotenv), environ)
    except (OSError, UnicodeError) as error:
        raise SettingsError(str(dotenv), "it can't be read as UTF-8 text") from error
    # An empty value is none: it does not hide that of the file either.
    return {
        name: value
        for source in sources
        for name, value in source.items()
        if name.startswith(PREFIX) and value
    }


def _explain(error: msgspec.ValidationError) -> SettingsError:
    reason, _, path = str(error).partition(" - at `$.")
    return SettingsError(variable(path.rstrip("`")), reason.replace("`", ""))


def export_for_libraries(metrics_dir: Path) -> None:
    """Set what libraries read from the environment themselves, before they are imported.

    prometheus_client chooses its multi-process storage at import. The numeric libraries
    start a thread for each core at import: threads that a fork would cut off, and that
    a worker which scores on one core has no use for.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_dir)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def stop(error: SettingsError) -> NoReturn:
    """End the process before it serves, saying which setting is at fault."""
    sys.stderr.write(f"Not started. {error}\n")
    sys.exit(os.EX_CONFIG)
