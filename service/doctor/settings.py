"""The settings and the keys: values that do not fit together, unknown variables, weak keys."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from model.utf8 import file_text
from service.config.addresses import is_loopback
from service.config.settings import EXAMPLE_KEY, FIELDS, PREFIX, Settings, SettingsError, variable
from service.doctor.finding import Finding, fail, ok, unknown, warn
from service.doctor.machine import Machine
from service.http.api_keys import ApiKeys
from service.http.key_sources import entries, entries_of_file

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
_LENGTH: Final = 16
_VARIETY: Final = 8
_MAKE_A_KEY: Final = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def unknown_settings(names: list[str], renamed: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like settings and are none, and former names of settings."""
    for old, new in renamed.items():
        yield warn("names", f"{old} is a former name", f"rename it: {new}")
    if renamed and not names:
        return
    if not names:
        yield ok("names", "every SCORING_ variable is a setting")
        return
    bare = [name.removeprefix(PREFIX).lower() for name in names]
    close = [difflib.get_close_matches(name, FIELDS, 1) for name in bare]
    meant = [f"{n}: {variable(best[0])}?" for n, best in zip(names, close, strict=True) if best]
    all_names = "python -m service --help lists all"
    remedy = f"did you mean: {', '.join(meant)}" if meant else all_names
    yield warn("names", f"nothing reads {', '.join(names)}", remedy)


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
        state = f"quotation marks are part of the value of {', '.join(quoted)}"
        yield warn("quotes", state, "leave them out: docker's --env-file keeps what .env strips")
    else:
        yield ok("quotes", "no value is in quotation marks")


def reach(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Whether the server can be reached from outside its container."""
    metrics = settings.metrics_address
    inner = {"SCORING_HOST": settings.host} if not settings.host.startswith("unix:") else {}
    inner |= {"SCORING_METRICS_BIND": metrics[0]} if metrics else {}
    lonely = [name for name, host in inner.items() if is_loopback(host)]
    if lonely and machine.in_container:
        names = " and ".join(lonely)
        state = f"{names}: loopback, which nothing reaches from outside a container, if this is one"
        yield warn("reach", state, "0.0.0.0, and publish only the ports that are meant")
    else:
        where = "loopback only" if is_loopback(settings.host) else "other machines too"
        yield ok("reach", f"served to {where}")


def arrays(settings: Settings) -> Iterator[Finding]:
    """Whether an array of as many rows as are allowed also fits."""
    fit = settings.max_array_body // _ROW_BYTES
    if fit < settings.max_rows:
        state = (
            f"SCORING_MAX_ARRAY_BODY holds about {fit:,} of SCORING_MAX_ROWS={settings.max_rows}"
        )
        yield warn("arrays", state, f"SCORING_MAX_ARRAY_BODY={settings.max_rows * _ROW_BYTES}")
    else:
        yield ok("arrays", f"{settings.max_rows:,} rows fit")


def log(settings: Settings, *, terminal: bool) -> Iterator[Finding]:
    """Whether the log's form fits its reader, and requests can be observed at all."""
    if settings.log_form == "human" and not terminal:
        state = "lines for people, though no terminal reads them"
        yield warn("log", state, "SCORING_LOG_FORM=auto: collectors want JSON")
    elif not settings.metrics_kept and (not settings.log_sample or settings.log_level != "info"):
        state = "good requests leave no line, and no metrics are kept either"
        yield warn("log", state, "keep metrics, or SCORING_LOG_LEVEL=info with a sample above 0")
    else:
        yield ok("log", f"form {settings.log_form}, level {settings.log_level}")


def stop_period(machine: Machine, settings: Settings) -> Iterator[Finding]:
    """Whether a supervisor waits as long as the drain and requests in flight are given."""
    needed = settings.drain_seconds + settings.graceful_timeout + _FAREWELL
    usual = _POD if machine.in_pod else _DOCKER
    if machine.in_container and needed > usual:
        key = "terminationGracePeriodSeconds" if machine.in_pod else "stop_grace_period"
        state = f"a stop may take {needed} s; by default a supervisor waits {usual} s"
        less = "or less SCORING_DRAIN_SECONDS and SCORING_GRACEFUL_TIMEOUT"
        remedy = f"{key}: {needed}{'' if machine.in_pod else 's'}, {less}"
        yield unknown("stop", state, remedy)
    else:
        yield ok("stop", f"a stop may take {needed} s: a supervisor must wait so long")


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def keys(settings: Settings) -> Iterator[Finding]:
    """Whether the server would start with these keys."""
    try:
        names = ApiKeys(settings).names
    except SettingsError as error:
        yield fail("keys", str(error), f"give every caller a key of its own; {_MAKE_A_KEY}")
        return
    if EXAMPLE_KEY in [key for _, key in _all(settings)]:
        state = "the example key is in force, which is public"
        yield warn("keys", state, f"before others can reach this, {_MAKE_A_KEY}")
    else:
        yield ok("keys", f"{len(names)} callers have keys")


def key_strength(settings: Settings) -> Iterator[Finding]:
    """Whether any key is easily guessed. The example key has a line of its own."""
    weak = sorted({name for name, key in _all(settings) if key != EXAMPLE_KEY and is_weak(key)})
    if not weak:
        yield ok("key strength", "no key is short or regular")
        return
    result = warn if is_loopback(settings.host) else fail
    state = f"easily guessed, the keys of: {', '.join(weak)}"
    yield result("key strength", state, f"{_LENGTH} random characters at least; {_MAKE_A_KEY}")


def key_names(settings: Settings) -> Iterator[Finding]:
    """Whether callers can be distinguished, and a revoked key is revoked everywhere."""
    every = _all(settings)
    shared = _repeated([key for _, key in every])
    both = sorted({name for name, key in every if key in shared})
    twice = sorted(_repeated([name for name, _ in every]))
    if both:
        state = f"one key stands more than once, under: {', '.join(both)}"
        remedy = "one key for each caller, in one place: taken back in one, it would still hold"
        yield warn("key names", state, remedy)
    elif twice:
        state = f"more than one key: {', '.join(twice)}"
        remedy = "take the old key out once the caller has changed; two callers need two names"
        yield warn("key names", state, remedy)
    else:
        yield ok("key names", "each key has its own caller")


def metrics(settings: Settings) -> Iterator[Finding]:
    """Whether metrics are kept, and who may read them."""
    token, address = settings.metrics_token, settings.metrics_address
    open_address = not is_loopback(address[0] if address else settings.host)
    if not settings.metrics_kept:
        remedy = "set SCORING_METRICS_TOKEN or SCORING_METRICS_BIND"
        yield warn("metrics", "none are kept: dashboards and alerts see nothing", remedy)
    elif token in {key for _, key in _all(settings)}:
        remedy = "use a separate token: reading metrics must not allow scoring"
        yield warn("metrics", "their token is also a caller's key", remedy)
    elif token and is_weak(token):
        result = fail if open_address else warn
        yield result("metrics", "their token is easily guessed", _MAKE_A_KEY)
    elif not token and open_address:
        remedy = "set SCORING_METRICS_TOKEN, or let only Prometheus reach the address"
        yield warn("metrics", f"open to all who reach {settings.metrics_bind}", remedy)
    else:
        guard = "a token" if token else f"the loopback address {settings.metrics_bind}"
        yield ok("metrics", f"kept, and guarded by {guard}")


def is_weak(key: str) -> bool:
    """Whether a key is short, or made of few characters, or by counting or repeating."""
    steps = {ord(second) - ord(first) for first, second in pairwise(key)}
    return len(key) < _LENGTH or min(len(set(key)), len(steps)) < _VARIETY


def _all(settings: Settings) -> list[tuple[str, str]]:
    """All names and keys that can be read; `keys` reports the others."""
    pairs: list[tuple[str, str]] = []
    with suppress(ValueError):
        pairs += entries(settings.api_keys)
    with suppress(OSError, ValueError):
        if settings.api_keys_file:
            pairs += entries_of_file(file_text(Path(settings.api_keys_file).read_bytes()))
    return pairs


def _repeated(texts: list[str]) -> set[str]:
    return {text for text, times in Counter(texts).items() if times > 1}
