"""`python -m monitoring.grafana`: write the dashboards' JSON, or check that it is current."""

import argparse
import sys

from monitoring import slo
from monitoring.grafana import files


def main() -> int:
    """Write the files; with --check compare them, and return 1 if one is not current."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    made = files.make(slo.load())
    if not check:
        files.write(made)
        sys.stdout.write(f"Written: {', '.join(sorted(made))} in {files.FOLDER}\n")
        return 0
    stale = files.stale(made)
    if stale:
        sys.stderr.write(f"Not current: {', '.join(stale)}. Run python -m monitoring.grafana\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
