"""Write simulated readings: `python -m model.simulate --help`."""

import sys

from model.regno.training.simulate import main

if __name__ == "__main__":
    sys.exit(main())
