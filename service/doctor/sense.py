"""Settings that are each allowed and together make no sense, and variables that are none."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from service.config.addresses import is_loopback
from service.config.settings import FIELDS, PREFIX, Settings, variable
from service.doctor.finding import Finding, ok, unknown, warn
from service.doctor.machine import Machine

# Other programs' variables that change this server.
FOREIGN: Final = {
    "GUNICORN_CMD_ARGS": "it overrides settings of this project: unset it",
    "OMP_NUM_THREADS": "unset it, or 1: each worker scores on one core",
    "OPENBLAS_NUM_THREADS": "unset it, or 1: threads do not survive the fork of a worker",
    "MKL_NUM_THREADS": "unset it, or 1: threads do not survive the fork of a worker",
}
# After the last request: reports, spans and counts that wait are sent.
_FAREWELL: Final = 5
_DOCKER: Final = 10
_POD: Final = 30
# A usual request, in an array.
_ROW_BYTES: Final = 900


def unknown_settings(names: list[str]) -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    if not names:
        yield ok("names", "every SCORING_ variable is a setting")
        return
    bare = [name.removeprefix(PREFIX).lower() for name in names]
    close = [difflib.get_close_matches(name, FIELDS, 1) for name in bare]
    meant = [f"{n}: {variable(best[0])}?" for n, best in zip(names, close, strict=True) if best]
    mend = f"is it meant so? {', '.join(meant)}" if meant else "python -m service --help lists all"
    yield warn("names", f"nothing reads {', '.join(names)}", mend)


def foreign_settings(given: Mapping[str, str]) -> Iterator[Finding]:
    """Other programs' variables, of those in `FOREIGN` that are set."""
    harmful = [n for n, value in given.items() if n == "GUNICORN_CMD_ARGS" or value != "1"]
    for name in harmful:
        yield warn("environment", f"{name} is set", FOREIGN[name])
    if not harmful:
        yield ok("environment", "no other program's variable interferes")


def quotes(settings: Settings) -> Iterator[Finding]:
    """Quotation marks that became part of a value: docker's --env-file keeps them."""
    texts = {variable(n): v for n, v in msgspec.structs.asdict(settings).items() if v}
    quoted = [n for n, v in texts.items() if isinstance(v, str) and _is_quoted(v)]
    if quoted:
        found = f"quotation marks are part of the value of {', '.join(quoted)}"
        yield warn("quotes", found, "leave them out: docker's --env-file keeps what .env strips")
    else:
        yield ok("quotes", "no value is in quotation marks")


def reach(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Whether anybody outside of a container can reach what listens in it."""
    metrics = settings.metrics_address
    inner = {"SCORING_HOST": settings.host} if not settings.host.startswith("unix:") else {}
    inner |= {"SCORING_METRICS_BIND": metrics[0]} if metrics else {}
    lonely = [name for name, host in inner.items() if is_loopback(host)]
    if lonely and machine.in_container:
        names = " and ".join(lonely)
        found = f"{names}: loopback, which nothing reaches from outside a container, if this is one"
        yield warn("reach", found, "0.0.0.0, and publish only the ports that are meant")
    else:
        where = "loopback only" if is_loopback(settings.host) else "other machines too"
        yield ok("reach", f"served to {where}")


def arrays(settings: Settings) -> Iterator[Finding]:
    """Whether an array of as many rows as are allowed also fits."""
    fit = settings.max_array_body // _ROW_BYTES
    if fit < settings.max_rows:
        found = (
            f"SCORING_MAX_ARRAY_BODY holds about {fit:,} of SCORING_MAX_ROWS={settings.max_rows}"
        )
        yield warn("arrays", found, f"SCORING_MAX_ARRAY_BODY={settings.max_rows * _ROW_BYTES}")
    else:
        yield ok("arrays", f"{settings.max_rows:,} rows fit")


def log(settings: Settings, *, terminal: bool) -> Iterator[Finding]:
    """Whether whoever reads the log can read it."""
    if settings.log_form == "human" and not terminal:
        found = "lines for people, though no terminal reads them"
        yield warn("log", found, "SCORING_LOG_FORM=auto: collectors want JSON")
    elif not settings.metrics_kept and (not settings.log_sample or settings.log_level != "info"):
        found = "good requests leave no line, and no metrics are kept either"
        yield warn("log", found, "keep metrics, or SCORING_LOG_LEVEL=info with a sample above 0")
    else:
        yield ok("log", f"form {settings.log_form}, level {settings.log_level}")


def stop_period(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Whether a supervisor waits as long as the drain and requests in flight are given."""
    needed = settings.drain_seconds + settings.graceful_timeout + _FAREWELL
    usual = _POD if machine.in_pod else _DOCKER
    if machine.in_container and needed > usual:
        key = "terminationGracePeriodSeconds" if machine.in_pod else "stop_grace_period"
        found = f"a stop may take {needed} s; by default {usual} are given, and no more can be told"
        less = "or less SCORING_DRAIN_SECONDS and SCORING_GRACEFUL_TIMEOUT"
        mend = f"{key}: {needed}{'' if machine.in_pod else 's'}, {less}"
        yield unknown("stop", found, mend)
    else:
        yield ok("stop", f"a stop may take {needed} s: a supervisor must wait so long")


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
