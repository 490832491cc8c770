"""The search for hyper-parameters: Optuna's TPE on the training rows, judged by validation rows.

The held-out rows take no part. Trials are kept in a file, from which another run goes on: each
trial's random numbers depend on the seed and its number alone, so that a search that was stopped
finds what it would have found in one go.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import optuna
from optuna import Study
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from model.cli import Exit
from model.regno.dataset.rows import LabelledRows
from model.regno.dataset.split import Split
from model.regno.evaluation.report import Search, Trial
from model.regno.features import TEXT
from model.regno.training.learner import Learner
from model.regno.training.parameters import CatBoostParameters

# Trees between two looks at whether a trial is worse than the median of the others.
_EVERY: Final = 10
# Trials, and trees of a trial, before any is pruned.
_FIRST_TRIALS: Final = 5
_FIRST_TREES: Final = 30
# With these, CatBoost takes no subsample.
_WITHOUT_SUBSAMPLE: Final = ("Bayesian", "No")
# A prime, so that the trials of different seeds share no random numbers.
_STRIDE: Final = 10_007


def search(
    split: Split, learner: Learner, trials: int, file: Path, source: str
) -> tuple[CatBoostParameters, Search]:
    """The parameters of the best of so many trials, and how they were found.

    `file` holds the trials, maybe some already; `source` is the SHA-256 of the rows.
    Raises Exit after a signal, or if the file is that of another search.
    """
    tune, signals = learner.parameters.tune, learner.run.signals
    rows = _newest(split.train, tune.rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    disable = None if learner.run.progress else True
    # An Exit amid Optuna's reading or writing would leave its state or its file half changed.
    with signals.deferred():
        study = _opened(file, _fingerprint(learner, source))
    with (
        _kept(study, trials, file),
        signals.deferred(),
        tqdm(total=trials, desc="Tuning", unit="trial", disable=disable) as bar,
    ):
        while (done := len(_done(study))) < trials:
            signals.check()
            bar.update(done - bar.n)
            _try(study, learner, rows, split.validation)
            bar.set_postfix_str(f"log loss {study.best_value:.4f}")
        bar.update(trials - bar.n)
    ended = _done(study)
    result = Search(
        trials=len(ended),
        pruned=sum(trial.state == TrialState.PRUNED for trial in ended),
        rows=len(rows.labels),
        trees=tune.iterations,
        usual=float(ended[0].value or 0.0),
        best=float(study.best_value),
        chosen=study.best_params,
        history=[Trial(_log_loss(trial), trial.params) for trial in ended],
    )
    return msgspec.structs.replace(learner.parameters.catboost, **study.best_params), result


def _log_loss(trial: FrozenTrial) -> float | None:
    """That of the validation rows, None for a pruned trial: it has that of too few trees."""
    return trial.value if trial.state == TrialState.COMPLETE else None


def _newest(rows: LabelledRows, most: int) -> LabelledRows:
    count = len(rows.labels)
    return rows.at(np.arange(max(0, count - most), count))


def _fingerprint(learner: Learner, source: str) -> str:
    """What a search depends on: trials of another one are no use."""
    settings = msgspec.json.encode((source, learner.seed, learner.parameters))
    return hashlib.sha256(settings).hexdigest()


def _opened(file: Path, fingerprint: str) -> Study:
    """The study in a file. Raises Exit if it is of other rows, parameters, or another seed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))),
        study_name="regno",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(_FIRST_TRIALS, _FIRST_TREES),
    )
    if study.user_attrs.get("search", fingerprint) != fingerprint:
        raise Exit(
            73,
            f"{file} is the search of other rows, parameters, or another seed; "
            "name another --out, or remove it",
        )
    study.set_user_attr("search", fingerprint)
    return study


def _done(study: Study) -> list[FrozenTrial]:
    """The trials that ended by themselves."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


@contextmanager
def _kept(study: Study, trials: int, file: Path) -> Iterator[None]:
    """Adds to the message of a stop where the trials are kept."""
    try:
        yield
    except Exit as error:
        kept = f"{len(_done(study))} of {trials} trials are kept in {file}"
        message = f"{error}: {kept}; the same command goes on from there"
        raise Exit(error.status, message) from error


def _try(study: Study, learner: Learner, rows: LabelledRows, validation: LabelledRows) -> None:
    """One more trial; the first has the parameters as they are, or at the end of their range."""
    ranges = _ranges(learner)
    # A trial that failed, since a signal ended it, does not count; one that waits is the first.
    if not _done(study) and not study.get_trials(states=(TrialState.WAITING,)):
        usual = msgspec.structs.asdict(learner.parameters.catboost)
        given = {name: usual[name] for name in ranges if usual[name] is not None}
        study.enqueue_trial(
            {
                name: min(max(value, ranges[name][0]), ranges[name][1])
                for name, value in given.items()
            }
        )
    study.sampler = TPESampler(seed=learner.seed * _STRIDE + len(_done(study)))
    trial = study.ask()
    watch = _Watch(trial)
    try:
        quick = _quick(learner, _suggested(trial, ranges), watch)
        fitted = quick.fit_until_best(rows, validation)
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise
    if watch.pruned:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, fitted.get_best_score()["validation"]["Logloss"])


class _Watch:
    """Reports the log loss of a trial to the study, which may prune it."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self.pruned = False

    def __call__(self, info: Any) -> bool:
        """Whether to go on after a tree."""
        if info.iteration % _EVERY == 0:
            self._trial.report(info.metrics["validation"]["Logloss"][-1], info.iteration)
            self.pruned = self._trial.should_prune()
        return not self.pruned


def _ranges(learner: Learner) -> dict[str, tuple[float, float]]:
    """The least and the greatest value of each parameter that is searched."""
    ranges: dict[str, tuple[float, float]] = msgspec.structs.asdict(learner.parameters.tune.ranges)
    if learner.parameters.catboost.bootstrap_type in _WITHOUT_SUBSAMPLE:
        del ranges["subsample"]
    return ranges


def _suggested(trial: optuna.Trial, ranges: dict[str, tuple[float, float]]) -> dict[str, float]:
    """The trial's value for each parameter; those that span more than a factor by its logarithm."""
    values: dict[str, float] = {}
    for name, (low, high) in ranges.items():
        if isinstance(low, int) and isinstance(high, int):
            values[name] = trial.suggest_int(name, low, high)
        else:
            values[name] = trial.suggest_float(name, low, high, log=low > 0 and high > 4 * low)
    return values


def _quick(learner: Learner, values: dict[str, float], watch: _Watch) -> Learner:
    """A learner with a trial's parameters and less to do, which stops when it is pruned."""
    usual, trees = learner.parameters.catboost, learner.parameters.tune.iterations
    catboost = msgspec.structs.replace(usual, iterations=min(usual.iterations, trees), **values)
    features = learner.parameters.features
    if not learner.parameters.tune.texts:
        without_texts = msgspec.structs.replace(features, without=(*features.without, *TEXT))
        features = without_texts if without_texts.names else features
    parameters = msgspec.structs.replace(learner.parameters, catboost=catboost, features=features)
    run = learner.run._replace(progress=False, watch=watch)
    return learner._replace(parameters=parameters, run=run)
