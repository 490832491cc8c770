"""Stores for analysis of decisions: whether they are there, of this version, and up to the log."""

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from service.config.settings import Settings
from service.decisions.log import DecisionLog
from service.decisions.stores.configured import PACKAGES, opened_by_name
from service.decisions.stores.exporter import lag_behind
from service.decisions.stores.store import AnalysisStore, StoreRefused
from service.doctor.finding import Finding, fail, ok, warn
from service.doctor.jobs import without_password

_INSTALL: Final = "pip install '.[decisions]', or requirements-decisions.lock"
# As long as the alert waits.
_LATE_SECONDS: Final = 600.0


def stores(settings: Settings) -> Iterator[Finding]:
    """A finding for each store that the settings name, if there is a log."""
    folder = Path(settings.decisions_dir)
    if not settings.decisions_dir:
        for name in PACKAGES:
            if getattr(settings, name):
                state = f"SCORING_{name.upper()} without SCORING_DECISIONS_DIR: no sink starts"
                yield fail(f"store {name}", state, "set both, or neither")
        return
    if not (folder / "log.sqlite").exists():
        return
    with closing(DecisionLog(folder)) as log:
        for name, open_store in opened_by_name(settings).items():
            where = without_password(getattr(settings, name)) if name in PACKAGES else str(folder)
            if name in PACKAGES and not find_spec(PACKAGES[name]):
                yield fail(f"store {name}", f"not installed: {PACKAGES[name]}", _INSTALL)
                continue
            try:
                with closing(open_store(log)) as store:
                    yield _position(store, log, where)
            except StoreRefused as reason:
                yield fail(f"store {name}", f"{where}: {reason}", "see DecisionStoreLags")
            except Exception as error:  # noqa: BLE001 - of any of three libraries
                state = f"{where} can't be used ({type(error).__name__})"
                remedy = "start it, or correct its address, user and password; it lags meanwhile"
                yield fail(f"store {name}", state, remedy)


def _position(store: AnalysisStore, log: DecisionLog, where: str) -> Finding:
    """How far the store is behind the log."""
    entries, removals, seconds = lag_behind(log, store.position())
    state = f"{where} lacks {entries:,} entries and {removals:,} removals"
    if seconds > _LATE_SECONDS:
        state = f"{state}, the oldest for {seconds / 60:,.0f} min"
        return warn(f"store {store.name}", state, "does the sink run? its log has the failures")
    return ok(f"store {store.name}", state)
