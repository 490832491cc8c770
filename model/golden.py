"""Write the golden rows with their scores: `python -m model.golden --help`."""

import sys

from model.regno.golden_command import main

if __name__ == "__main__":
    sys.exit(main())
