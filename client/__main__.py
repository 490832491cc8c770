"""`python -m client COMMAND …`."""

import sys

from client import command, jobs

if __name__ == "__main__":
    chosen = sys.argv[1:]
    sys.exit(jobs.main(chosen[1:]) if chosen[:1] == ["jobs"] else command.main(chosen))
