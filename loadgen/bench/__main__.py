"""`python -m loadgen.bench`: measure the targets, print the tables, write JSON and a picture.

Exit codes: 0 measured without errors, 1 a target had errors or scores differ, 2 something is
missing.
"""

import signal
import sys
from types import FrameType

from loadgen.bench import options, picture, report, run
from loadgen.common import machine
from loadgen.common.errors import CannotStart, WrongAnswers


def main() -> int:
    """Run the benchmark that the command line describes."""
    signal.signal(signal.SIGTERM, _exit)
    try:
        return _bench(options.parse())
    except CannotStart as error:
        sys.stderr.write(f"Not measured. {error}\n")
        return 2
    except WrongAnswers as error:
        sys.stderr.write(f"Not measured: the answers are wrong. {error}\n")
        return 1


def _bench(chosen: options.Options) -> int:
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"{chosen.out}: {error.strerror}") from error
    about = machine.describe()
    results = run.run(chosen)
    about["load_average_after"] = machine.load_average()
    content = report.as_json(chosen, about, results)
    sys.stdout.write(report.as_text(content))
    report.write(content, chosen.out / "bench.json")
    picture.draw(content, chosen.out / "bench.png")
    sys.stdout.write(f"\nWritten: {chosen.out / 'bench.json'}, {chosen.out / 'bench.png'}\n")
    return 1 if content["errors"] else 0


def _exit(_signal: int, _frame: FrameType | None) -> None:
    # An exception, so that every server's `finally` stops it.
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
