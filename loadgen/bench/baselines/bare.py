"""Bare CatBoost on a table in memory: no reading, no validation, no features.

Prints the scores of the sample, and `ready` once the table is built. For each line on standard
input, a number of threads (-1: CatBoost's own choice), it predicts the whole table and prints the
seconds.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

import pandas as pd
from catboost import CatBoostClassifier, Pool

from loadgen.bench.baselines.features import features, reading_of
from loadgen.common import rows


def main() -> None:
    """Serve the lines of standard input to its end."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.bench.baselines.bare")
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path, help="CSV of sample rows")
    parser.add_argument("times", type=int, help="repetitions of the sample in the table")
    given = parser.parse_args()
    model = CatBoostClassifier().load_model(given.model)
    sample = _table(model, given.rows)
    _print(list(map(float, model.predict_proba(_pool(model, sample))[:, 1])))
    table = _pool(model, pd.concat([sample] * given.times, ignore_index=True))
    _print("ready")
    for line in sys.stdin:
        began = perf_counter()
        model.predict_proba(table, thread_count=int(line))
        _print(perf_counter() - began)


def _table(model: CatBoostClassifier, path: Path) -> pd.DataFrame:
    made = [features(reading_of(row)) for row in rows.read(path)]
    table = pd.DataFrame(made)[model.feature_names_]
    categorical = [model.feature_names_[at] for at in model.get_cat_feature_indices()]
    typed: pd.DataFrame = table.astype(dict.fromkeys(categorical, "category"))
    return typed


def _pool(model: CatBoostClassifier, table: pd.DataFrame) -> Pool:
    return Pool(
        table,
        cat_features=model.get_cat_feature_indices(),
        text_features=model.get_text_feature_indices(),
    )


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
