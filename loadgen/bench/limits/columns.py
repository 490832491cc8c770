"""Arrays in one process without a server: decoded, scored as a table, encoded.

Processes the bodies of a file in turn for some seconds, and prints the number of arrays, the
seconds and the processor seconds.
"""

import argparse
import json
import sys
from itertools import cycle
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec

from model.regno import RegnoScorer


def main() -> None:
    """Score the bodies that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.bench.limits.columns")
    parser.add_argument("model", type=Path)
    parser.add_argument("bodies", type=Path, help="one array on each line")
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    scorer = RegnoScorer.load(given.model)
    scorer.warm()
    decode = RegnoScorer.decoder(1_000_000)
    encode = msgspec.json.Encoder().encode
    bodies = given.bodies.read_bytes().splitlines()
    scored, began, ended, cpu = 0, perf_counter(), 0.0, process_time()
    for body in cycle(bodies):
        readings: Any = decode(body)
        scores = scorer.score_table(scorer.table.of_readings(readings))
        encode({"body": scores, "status": "ok"})
        scored, ended = scored + 1, perf_counter()
        if ended - began > given.seconds:
            break
    cpu = process_time() - cpu
    sys.stdout.write(json.dumps({"arrays": scored, "seconds": ended - began, "cpu": cpu}))


if __name__ == "__main__":
    main()
