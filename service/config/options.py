"""What can be set: each setting's name, type, bounds, default and meaning.

`service.config.settings` reads them from the environment.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from service import VERSION
from service.config import addresses
from service.config.guard_policies import Policy
from service.config.variables import Variables

PREFIX: Final = "SCORING_"
# What Sentry takes as the name of an environment or a release.
_NAME: Final = r"^[A-Za-z0-9._+@-]{0,64}\Z"
# What a header can carry.
PRINTABLE: Final = r"^[!-~]*\Z"
# Above any real cost, below infinity.
_HIGHEST_COST: Final = 1e9
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
            description="The class of SCORING_MODEL that means that the network is right; "
            "required if its classes are not 0 and 1 or equivalent and its manifest does not "
            "name it."
        ),
    ] = ""
    extra_models: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._, -]*\Z",
            description="Picture models that this process also serves, such as digits, separated "
            "by commas; they need the extra `images`, and slow down a process that scores "
            "plates.",
        ),
    ] = ""
    registry: Annotated[
        str,
        Meta(
            description="Model registry whose live version is served and followed: a folder or "
            "s3://bucket/prefix (see python -m model.registry); empty: SCORING_MODEL is "
            "served."
        ),
    ] = ""
    registry_cache: Annotated[
        str,
        Meta(description="Folder for local copies of models from S3; empty: in the home folder."),
    ] = ""
    registry_poll_seconds: Annotated[
        float,
        Meta(ge=0.1, le=3600, description="How often each worker polls the registry, in seconds."),
    ] = 1.0
    max_slowdown: Annotated[
        float,
        Meta(
            gt=0,
            description="A candidate that takes more than this many times as long as the "
            "live model is refused.",
        ),
    ] = 3.0
    parity_rows: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Newest readings that each worker keeps in memory, at most 4 KiB "
            "each, for the parity check before a promotion; none are kept without "
            "SCORING_REGISTRY and SCORING_ADMINS.",
        ),
    ] = 1000
    parity_max_flips: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Greatest share of these readings whose decision at 0.5 may change.",
        ),
    ] = 0.02
    parity_max_flips_in_class: Annotated[
        float, Meta(ge=0, le=1, description="The same among the readings of one camera class.")
    ] = 0.1
    parity_max_difference: Annotated[
        float, Meta(ge=0, le=1, description="Greatest mean difference of their scores.")
    ] = 0.05
    admins: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._, -]*\Z",
            description="Names of the keys that may read and change the versions at /model, "
            "separated by commas.",
        ),
    ] = ""
    api_keys: Annotated[
        str,
        Meta(description="Keys of callers, separated by commas: name:key pairs or bare keys."),
    ] = ""
    api_keys_file: Annotated[
        str, Meta(description="File of such keys, one a line; it is reloaded when it changes.")
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
            description="A category that was not in the training data: accept (with a warning), "
            "normalise (use the known one that differs only by case, spaces or look-alike "
            "letters) or reject (400); weekdays and months are always accepted."
        ),
    ] = "accept"
    guards: Annotated[
        str,
        Meta(
            description="Warnings with a policy of their own, by their name in "
            "X-Score-Warnings or by their field, such as camera_type=reject,"
            "regno_recognize=normalise,afts_regno_ai_char_scores=reject,"
            "readings-agree=reject; for a plate field the policy is about Latin letters in "
            "place of Cyrillic ones. Other warnings are accepted."
        ),
    ] = ""
    cost_network_wrong: Annotated[
        float,
        Meta(
            gt=0,
            le=_HIGHEST_COST,
            description="Cost of using the network's reading when it is wrong; the three "
            "costs, in any one unit, determine the decisions in /reg/?detail=1 and in the "
            "metrics.",
        ),
    ] = 1.0
    cost_camera_wrong: Annotated[
        float,
        Meta(
            gt=0,
            le=_HIGHEST_COST,
            description="Cost of using the camera's reading when the network was right.",
        ),
    ] = 1.0
    cost_manual: Annotated[
        float, Meta(ge=0, le=_HIGHEST_COST, description="Cost of a manual review.")
    ] = 0.3
    thresholds: Annotated[
        Literal["manifest", "costs"],
        Meta(
            description="Which thresholds decide: manifest, those that risk control wrote into "
            "the live version's manifest, if it has any, else those of SCORING_COST_*; or costs, "
            "always those of SCORING_COST_*."
        ),
    ] = "manifest"
    max_waiting: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Requests that may wait in each worker; more are rejected with 429.",
        ),
    ] = 128
    max_wait_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=600_000,
            description="Longest expected wait, in ms, with which a request is admitted; "
            "otherwise it is rejected with 429. A request's own X-Request-Timeout-Ms takes "
            "precedence.",
        ),
    ] = 150
    explain_rows: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Greatest number of rows that POST /reg/explain accepts at once.",
        ),
    ] = 10
    metrics_token: Annotated[
        str,
        Meta(
            pattern=PRINTABLE,
            description="Bearer token for GET /metrics. Empty: there is no such page, or it "
            "is open to everyone who can reach SCORING_METRICS_BIND.",
        ),
    ] = ""
    metrics_token_file: Annotated[
        str,
        Meta(description="File that holds this token, as containers receive secrets; read once."),
    ] = ""
    metrics_bind: Annotated[
        str,
        Meta(
            description="Separate address for GET /metrics, such as 127.0.0.1:9100; empty: "
            "the public address, if there is a token."
        ),
    ] = ""
    keepalive: Annotated[
        int,
        Meta(
            ge=1,
            description="Seconds an idle connection stays open; must exceed the balancer's own.",
        ),
    ] = 75
    drain_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=300,
            description="Seconds from the start of a stop, when /readyz turns 503, to the last "
            "new connection: the time that balancers need to react.",
        ),
    ] = 0
    graceful_timeout: Annotated[
        int, Meta(ge=1, description="Seconds that requests in flight have to finish on a stop.")
    ] = 30
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least severe level that is logged."),
    ] = "info"
    log_form: Annotated[
        Literal["auto", "json", "human"],
        Meta(description="Form of the log; auto: human on a terminal, else json."),
    ] = "auto"
    log_sample: Annotated[
        float,
        Meta(
            ge=0, le=1, description="Share of the 2xx lines that is logged; other lines always are."
        ),
    ] = 1.0
    sentry_dsn: Annotated[
        str, Meta(description="DSN of the Sentry project that receives errors; empty: no reports.")
    ] = ""
    otlp_endpoint: Annotated[
        str,
        Meta(
            description="OTLP/HTTP collector that receives traces, http://host:4318; empty: "
            "no traces."
        ),
    ] = ""
    environment: Annotated[
        str,
        Meta(pattern=_NAME, description="Name of this installation in Sentry and traces."),
    ] = "production"
    release: Annotated[
        str,
        Meta(
            pattern=_NAME,
            description="Name of this version in Sentry and traces; empty: the project's own.",
        ),
    ] = ""

    shadow_share: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of the rows that the shadow model scores too."),
    ] = 1.0
    shadow_queue_rows: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Rows that may wait for the shadow model in each worker; more are dropped.",
        ),
    ] = 1000
    capture: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the scored rows that are written to SCORING_CAPTURE_DIR as "
            "Parquet, to train on; 0: none.",
        ),
    ] = 0.0
    capture_dir: Annotated[
        str, Meta(description="Folder of these files, for this user alone (mode 0700).")
    ] = ""
    capture_plates: Annotated[
        Literal["no", "yes"],
        Meta(
            description="Whether they contain the plates; no: digits and letters are replaced by "
            "random ones, different in each row."
        ),
    ] = "no"
    capture_mb: Annotated[
        int,
        Meta(
            ge=1, description="Greatest size of these files, in MiB; the oldest ones are removed."
        ),
    ] = 1024
    capture_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days after which these files are removed.")
    ] = 30

    decisions: Annotated[
        Literal["off", "best-effort", "required"],
        Meta(
            description="Whether each decision is kept in the decision log. If its spool can't be "
            "written or is full: best-effort scores and drops, required rejects requests."
        ),
    ] = "off"
    decisions_dir: Annotated[
        str, Meta(description="Folder of the decision log, for this user alone (mode 0700).")
    ] = ""
    decisions_spool_mb: Annotated[
        int, Meta(ge=1, description="Greatest size of the spool, in MiB, until the sink ships it.")
    ] = 1024
    decisions_days: Annotated[
        int,
        Meta(ge=1, le=36500, description="Days after which decisions are forgotten, keys and all."),
    ] = 200
    decisions_audit: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Chance of each decision, whatever its score, to be drawn for review.",
        ),
    ] = 0.01

    quality_limit: Annotated[
        float,
        Meta(
            gt=0,
            lt=1,
            description="Share of wrong automatic decisions that is promised not to be exceeded.",
        ),
    ] = 0.01
    quality_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days of decisions whose quality is measured.")
    ] = 28

    web_host: Annotated[
        str, Meta(description="Address on which the web processes listen (python -m service.web).")
    ] = "127.0.0.1"
    web_port: Annotated[int, Meta(ge=1, le=65535, description="Their TCP port.")] = 5001
    web_workers: Annotated[int, Meta(ge=1, le=64, description="Number of web processes.")] = 1
    web_threads: Annotated[
        int, Meta(ge=2, le=256, description="Threads of each; half of them may wait for jobs.")
    ] = 32
    web_metrics_bind: Annotated[
        str, Meta(description="IP:PORT at which the web processes show their metrics; empty: none.")
    ] = ""
    web_dashboards: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[!-~]+)?\Z",
            description="URL of Grafana, to which the page of the web processes links; empty: no "
            "link.",
        ),
    ] = ""
    images_workers: Annotated[
        int,
        Meta(
            ge=1,
            le=16,
            description="Processes that score pictures, of one core each, with the extra `images`.",
        ),
    ] = 1
    image_url_hosts: Annotated[
        str,
        Meta(
            description="Hosts from which pictures may be fetched by URL, separated by commas; "
            "*: all with public addresses; empty: none."
        ),
    ] = ""
    image_url_private_hosts: Annotated[
        str,
        Meta(
            description="The same for hosts that may have private addresses, separated by commas."
        ),
    ] = ""
    digits_data: Annotated[
        str,
        Meta(
            description="Folder of the pictures that image_path may name, and of the data sets of "
            "POST /digits/train; empty: none."
        ),
    ] = ""
    reviewers: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._, -]*\Z",
            description="Names of the keys that may see decisions with their plates and give "
            "feedback, separated by commas; empty: none.",
        ),
    ] = ""
    trainers: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._, -]*\Z",
            description="Names of the keys that may train at POST /digits/train, separated by "
            "commas; empty: none. Job workers with this setting do trainings, and need the extra "
            "`train-images`.",
        ),
    ] = ""
    train_seconds: Annotated[
        float,
        Meta(gt=0, le=86_400, description="Greatest time that a training may take, in seconds."),
    ] = 1200.0
    history_entries: Annotated[
        int, Meta(ge=1, description="Answers about pictures that are kept for each key.")
    ] = 1000
    history_key_mb: Annotated[
        int, Meta(ge=1, description="Greatest size of the pictures kept for each key, in MiB.")
    ] = 64
    history_mb: Annotated[
        int,
        Meta(
            ge=1,
            description="Greatest size of all pictures that are kept, in MiB; the key that keeps "
            "the most loses its oldest first.",
        ),
    ] = 256
    worker_metrics_bind: Annotated[
        str, Meta(description="IP:PORT at which a worker process shows its metrics; empty: none.")
    ] = ""
    amqp_models: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._, -]*\Z",
            description="Models whose AMQP requests these processes answer, separated by commas; "
            "empty: all that they serve.",
        ),
    ] = ""
    broker: Annotated[
        str,
        Meta(
            description="URL of RabbitMQ, amqp(s)://USER:PASSWORD@HOST:PORT/VHOST, for jobs and "
            "AMQP requests; empty: the web processes start a process that does the jobs."
        ),
    ] = ""
    broker_file: Annotated[str, Meta(description="File that holds that URL.")] = ""
    records: Annotated[
        str,
        Meta(
            description="URL of the Redis that keeps the records of jobs, "
            "redis(s)://USER:PASSWORD@HOST:PORT/DB; empty: SQLite in SCORING_JOBS_DIR. Set it and "
            "SCORING_BROKER both, or neither."
        ),
    ] = ""
    records_file: Annotated[str, Meta(description="File that holds that URL.")] = ""
    cache: Annotated[
        str,
        Meta(
            description="URL of a Redis that caches explanations and results of small jobs, "
            "redis(s)://USER:PASSWORD@HOST:PORT/DB; empty: nothing is cached. Not the database of "
            "SCORING_RECORDS: a cache is full at times, and may be emptied."
        ),
    ] = ""
    cache_file: Annotated[str, Meta(description="File that holds that URL.")] = ""
    cache_secret: Annotated[
        str,
        Meta(
            pattern=PRINTABLE,
            description="Secret that signs the keys and values of the cache, at least 32 "
            "characters, the same on all machines that share it.",
        ),
    ] = ""
    cache_secret_file: Annotated[str, Meta(description="File that holds that secret.")] = ""
    cache_seconds: Annotated[
        float,
        Meta(ge=1, le=30 * 86_400, description="How long a result stays in the cache, in seconds."),
    ] = 3600.0
    jobs_dir: Annotated[
        str,
        Meta(
            description="Folder for inputs and results of jobs, shared by web processes and job "
            "workers; empty: ~/.local/state/plate-scoring/jobs."
        ),
    ] = ""
    job_max_mb: Annotated[
        int, Meta(ge=1, le=10_240, description="Greatest input of a job, in MiB.")
    ] = 256
    jobs_max_waiting: Annotated[
        int, Meta(ge=1, description="Jobs of a kind that may wait; more are rejected with 429.")
    ] = 10_000
    job_memory_mb: Annotated[
        int,
        Meta(
            ge=64,
            le=1_048_576,
            description="Memory that a job may take beyond that of its idle process, in MiB; one "
            "that needs more fails.",
        ),
    ] = 768
    job_keep_hours: Annotated[
        float, Meta(gt=0, le=8760, description="How long records and results are kept, in hours.")
    ] = 24.0
    job_attempts: Annotated[
        int, Meta(ge=1, le=20, description="Attempts after which a job is given up as dead.")
    ] = 3
    job_lease_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Seconds without progress after which a worker loses its job.",
        ),
    ] = 30.0
    job_checkpoint_rows: Annotated[
        int,
        Meta(ge=100, description="Rows after which a job saves its work; it resumes from there."),
    ] = 10_000
    job_workers: Annotated[
        int, Meta(ge=1, le=64, description="Processes of a job worker, one job each.")
    ] = 1
    webhooks_file: Annotated[
        str,
        Meta(description="File of webhook endpoints: KEY_NAME NAME URL SECRET…, one a line."),
    ] = ""
    webhook_allowed_hosts: Annotated[
        str,
        Meta(description="Hosts of webhooks that may have private addresses, separated by commas."),
    ] = ""
    decisions_parquet: Annotated[
        Literal["on", "off"],
        Meta(
            description="Whether the sink also writes rows of decisions, without plates, as "
            "Parquet files into SCORING_DECISIONS_DIR, for python -m service.decisions query."
        ),
    ] = "on"
    clickhouse: Annotated[
        str,
        Meta(
            description="URL of a ClickHouse that gets these rows too, "
            "http(s)://USER:PASSWORD@HOST:PORT/DATABASE; empty: none."
        ),
    ] = ""
    clickhouse_file: Annotated[str, Meta(description="File that holds that URL.")] = ""
    mongodb: Annotated[
        str,
        Meta(
            description="URL of a MongoDB that gets the confidences of each decision as vectors, "
            "mongodb(+srv)://USER:PASSWORD@HOST:PORT/DATABASE; empty: none."
        ),
    ] = ""
    mongodb_file: Annotated[str, Meta(description="File that holds that URL.")] = ""
    sink_metrics_bind: Annotated[
        str, Meta(description="IP:PORT at which the sink shows its metrics; empty: none.")
    ] = ""

    def __repr__(self) -> str:
        """Names and values, secrets masked."""
        secret = (
            *("api_keys", "metrics_token", "sentry_dsn"),
            *("broker", "records", "cache", "cache_secret", "clickhouse", "mongodb"),
        )
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
    def trainer_names(self) -> frozenset[str]:
        """The names in `trainers`."""
        return frozenset(self.trainers.replace(",", " ").split())

    @property
    def reviewer_names(self) -> frozenset[str]:
        """The names in `reviewers`."""
        return frozenset(self.reviewers.replace(",", " ").split())

    @property
    def extra_names(self) -> frozenset[str]:
        """The names in `extra_models`."""
        return frozenset(self.extra_models.replace(",", " ").split())

    @property
    def amqp_names(self) -> frozenset[str]:
        """The names in `amqp_models`."""
        return frozenset(self.amqp_models.replace(",", " ").split())

    @property
    def kept_readings(self) -> int:
        """How many of the newest readings are kept: only a promotion over HTTP uses them."""
        return self.parity_rows if self.registry and self.admin_names else 0

    @property
    def costs(self) -> dict[str, float]:
        """What each decision costs, as a model takes it."""
        return {
            "network_wrong": self.cost_network_wrong,
            "camera_wrong": self.cost_camera_wrong,
            "manual": self.cost_manual,
        }

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
# Former names, accepted for one release: each use is logged with the name that replaces it.
_FORMER: Final = {
    "shadow_queue_rows": "SCORING_SHADOW_ROOM",
    "registry": "SCORING_MODELS",
    "registry_cache": "SCORING_MODELS_CACHE",
    "registry_poll_seconds": "SCORING_MODELS_POLL_SECONDS",
}
VARIABLES: Final = Variables(PREFIX, Settings, _FORMER)
variable: Final = VARIABLES.name
