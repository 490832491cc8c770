"""The callers' keys and the metrics' token: whether they hold, and could be guessed."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from model.utf8 import file_text
from service.config.addresses import is_loopback
from service.config.settings import EXAMPLE_KEY, Settings, SettingsError
from service.doctor.finding import Finding, fail, ok, warn
from service.http.api_keys import ApiKeys, entries, entries_of_file

_LENGTH: Final = 16
_VARIETY: Final = 8
_MAKE_ONE: Final = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def keys(settings: Settings) -> Iterator[Finding]:
    """Whether the server would start with these keys."""
    try:
        names = ApiKeys(settings).names
    except SettingsError as error:
        yield fail("keys", str(error), f"give every caller a key of its own; {_MAKE_ONE}")
        return
    if EXAMPLE_KEY in [key for _, key in _all(settings)]:
        found = "the example key is in force, and everybody knows it"
        yield warn("keys", found, f"before anybody else can reach this, {_MAKE_ONE}")
    else:
        yield ok("keys", f"{len(names)} callers have keys")


def key_strength(settings: Settings) -> Iterator[Finding]:
    """Whether any key is easily guessed. The example key has a line of its own."""
    weak = sorted({name for name, key in _all(settings) if key != EXAMPLE_KEY and is_weak(key)})
    if not weak:
        yield ok("key strength", "no key is short or regular")
        return
    tell = warn if is_loopback(settings.host) else fail
    found = f"easily guessed, the keys of: {', '.join(weak)}"
    yield tell("key strength", found, f"{_LENGTH} random characters at least; {_MAKE_ONE}")


def key_names(settings: Settings) -> Iterator[Finding]:
    """Whether each caller can be told apart, and a key that was taken back is really gone."""
    every = _all(settings)
    shared = _repeated([key for _, key in every])
    both = sorted({name for name, key in every if key in shared})
    twice = sorted(_repeated([name for name, _ in every]))
    if both:
        found = f"one key stands more than once, under: {', '.join(both)}"
        mend = "one key for each caller, in one place: taken back in one, it would still hold"
        yield warn("key names", found, mend)
    elif twice:
        found = f"more than one key: {', '.join(twice)}"
        mend = "take the old key out once the caller has changed; two callers need two names"
        yield warn("key names", found, mend)
    else:
        yield ok("key names", "each key has its own caller")


def metrics(settings: Settings) -> Iterator[Finding]:
    """Whether metrics are kept, and who may read them."""
    token, address = settings.metrics_token, settings.metrics_address
    open_address = not is_loopback(address[0] if address else settings.host)
    if not settings.metrics_kept:
        mend = "set SCORING_METRICS_TOKEN or SCORING_METRICS_BIND"
        yield warn("metrics", "none are kept: dashboards and alerts see nothing", mend)
    elif token in {key for _, key in _all(settings)}:
        mend = "a token of its own: whoever may look may not therefore score"
        yield warn("metrics", "their token is also a caller's key", mend)
    elif token and is_weak(token):
        tell = fail if open_address else warn
        yield tell("metrics", "their token is easily guessed", _MAKE_ONE)
    elif not token and open_address:
        mend = "set SCORING_METRICS_TOKEN, or let only Prometheus reach the address"
        yield warn("metrics", f"open to all who reach {settings.metrics_bind}", mend)
    else:
        guard = "a token" if token else f"the loopback address {settings.metrics_bind}"
        yield ok("metrics", f"kept, and guarded by {guard}")


def is_weak(key: str) -> bool:
    """Whether a key is short, or made of few characters, or by counting or repeating."""
    steps = {ord(second) - ord(first) for first, second in pairwise(key)}
    return len(key) < _LENGTH or min(len(set(key)), len(steps)) < _VARIETY


def _all(settings: Settings) -> list[tuple[str, str]]:
    """All names and keys that can be read; what can't be is told by `keys`."""
    found: list[tuple[str, str]] = []
    with suppress(ValueError):
        found += entries(settings.api_keys)
    with suppress(OSError, ValueError):
        if settings.api_keys_file:
            found += entries_of_file(file_text(Path(settings.api_keys_file).read_bytes()))
    return found


def _repeated(texts: list[str]) -> set[str]:
    return {text for text, times in Counter(texts).items() if times > 1}
