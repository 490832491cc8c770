"""Scores golden rows from four threads at once. Says nothing on stdout; exits 1 on a wrong score.

Arguments: a model file, loaded into a CatBoost object as notebooks do it; then `unlocked` to
take the lock around CatBoost's predict away first.
"""

import sys
from contextlib import nullcontext
from threading import Barrier, Thread

from catboost import CatBoost

from model.regno import RegnoScorer
from model.regno.model_file import catboost_file
from model.regno.model_file.catboost_file import BinaryModel
from model.regno.request import from_fields
from tests.support.paths import GOLDEN, lines

_THREADS = 4
_ROUNDS = 6
_ROWS = 100


def main() -> None:
    if "unlocked" in sys.argv:
        catboost_file._one_predict_at_a_time = nullcontext()  # type: ignore[misc, assignment]
    scorer = RegnoScorer(BinaryModel(CatBoost().load_model(sys.argv[1])))
    readings = [from_fields(**line["request"]) for line in lines(GOLDEN)[:_ROWS]]
    expected = [scorer.score([reading])[0] for reading in readings]
    together = Barrier(_THREADS)
    wrong: list[int] = []

    def score_all() -> None:
        together.wait()
        for _ in range(_ROUNDS):
            for number, reading in enumerate(readings):
                if scorer.score([reading])[0] != expected[number]:
                    wrong.append(number)

    threads = [Thread(target=score_all) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stderr.write(f"{_THREADS * _ROUNDS * _ROWS} scores, {len(wrong)} wrong\n")
    # An ordinary exit: it flushes what C++ may still hold of stdout.
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
