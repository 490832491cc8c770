"""What can be set: each setting's name, type, bounds, default and meaning, and nothing else.

`service.config.settings` reads them; this module looks at no environment.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from service import VERSION
from service.config import addresses
from service.config.variables import Variables
from service.scoring.policies import Policy

PREFIX: Final = "SCORING_"
# What Sentry takes as the name of an environment or a release.
_NAME: Final = r"^[A-Za-z0-9._+@-]{0,64}\Z"
# What a header can carry.
PRINTABLE: Final = r"^[!-~]*\Z"
# Above all costs there are, and below infinity.
_DEAREST: Final = 1e9
EXAMPLE_KEY: Final = "123321"


class Settings(Struct, frozen=True):
    """How this process serves. `service.config.settings.load` makes one."""

    host: Annotated[str, Meta(description="Address to listen on, or unix:/path of a socket.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port to listen on.")] = 5000
    workers: Annotated[
        int, Meta(ge=0, le=64, description="Worker processes; 0: one for each CPU of the quota.")
    ] = 0
    model: Annotated[str, Meta(description="The .cbm file to serve; empty: the bundled one.")] = ""
    positive_class: Annotated[
        str,
        Meta(
            description="The class of SCORING_MODEL that means that the network is right; needed "
            "if its classes are not 0 and 1 or their like, and its manifest does not say."
        ),
    ] = ""
    models: Annotated[
        str,
        Meta(
            description="Registry whose live version is served and followed: a folder or "
            "s3://bucket/prefix (see python -m model.registry); empty: SCORING_MODEL is served."
        ),
    ] = ""
    models_cache: Annotated[
        str, Meta(description="Folder for copies of models that lie in S3; empty: in the home.")
    ] = ""
    models_poll_seconds: Annotated[
        float, Meta(ge=0.1, le=3600, description="How often each worker looks at the registry.")
    ] = 1.0
    max_slowdown: Annotated[
        float,
        Meta(gt=0, description="How many times as long as the live model another may take."),
    ] = 3.0
    parity_rows: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Newest readings that each worker keeps in memory, 4 KiB of each at most, "
            "to try a version on them before it is promoted; none without SCORING_MODELS and "
            "SCORING_ADMINS.",
        ),
    ] = 1000
    parity_max_flips: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of them whose decision at 0.5 may turn round."),
    ] = 0.02
    parity_max_flips_in_class: Annotated[
        float, Meta(ge=0, le=1, description="The same among the rows of one camera class.")
    ] = 0.1
    parity_max_difference: Annotated[
        float, Meta(ge=0, le=1, description="How far their scores may move, on average.")
    ] = 0.05
    admins: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._, -]*\Z",
            description="Names of the keys that may see and change the model, at /model; commas "
            "between.",
        ),
    ] = ""
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
        Policy,
        Meta(
            description="A category the model never saw: accept (and say so), normalise (take the "
            "known one that differs by case, spaces or look-alike letters only) or reject (400); "
            "weekdays and months are always accepted."
        ),
    ] = "accept"
    guards: Annotated[
        str,
        Meta(
            description="Warnings with a policy of their own, by their name in X-Score-Warnings "
            "or by what they are about, such as "
            "camera_type=reject,regno_recognize=normalise,afts_regno_ai_char_scores=reject,"
            "readings-agree=reject; a plate's name is for Latin letters in place of Cyrillic ones. "
            "Others are accepted."
        ),
    ] = ""
    cost_network_wrong: Annotated[
        float,
        Meta(
            gt=0,
            le=_DEAREST,
            description="What it costs to take the network's reading when it is wrong; with the "
            "other two, in any one unit, it makes the decisions of /reg/?detail=1 and the metrics.",
        ),
    ] = 1.0
    cost_camera_wrong: Annotated[
        float,
        Meta(
            gt=0,
            le=_DEAREST,
            description="What it costs to take the camera's reading when the network was right.",
        ),
    ] = 1.0
    cost_manual: Annotated[
        float, Meta(ge=0, le=_DEAREST, description="What it costs to have a person look.")
    ] = 0.3
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
    explain_rows: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Greatest number of rows that POST /reg/explain takes at once.",
        ),
    ] = 10
    metrics_token: Annotated[
        str,
        Meta(
            pattern=PRINTABLE,
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

    shadow_share: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of the rows that the shadow model scores too."),
    ] = 1.0
    shadow_room: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Rows that may wait for the shadow model in each worker; more are dropped.",
        ),
    ] = 1000

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
    def admin_names(self) -> frozenset[str]:
        """The names in `admins`."""
        return frozenset(self.admins.replace(",", " ").split())

    @property
    def kept_readings(self) -> int:
        """How many of the newest readings are kept: only a promotion over HTTP uses them."""
        return self.parity_rows if self.models and self.admin_names else 0

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
VARIABLES: Final = Variables(PREFIX, Settings)
variable: Final = VARIABLES.name
