"""`python -m monitoring.rules [--check]`: write the rule files, or check that they are current."""

import argparse
import sys

from monitoring import rules, slo


def main() -> int:
    """Returns 0; 1 if a file is not current with `--check`; 78 for an invalid `slo.toml`."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.rules", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    try:
        files = rules.render(slo.load())
    except slo.SloError as error:
        sys.stderr.write(f"{error}\n")
        return 78
    outdated = rules.stale(files)
    if not check:
        rules.write(files)
    for name in outdated:
        sys.stdout.write(f"{name}: {'is not current' if check else 'written'}\n")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
