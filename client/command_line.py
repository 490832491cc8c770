"""What the commands of this package share: errors as exit statuses, the key, progress bars."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tqdm import tqdm

from client.transport import Refused, Unreachable

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = os.EX_UNAVAILABLE
_INTERRUPTED: Final = 130


class Usage(Exception):
    """The command can't be done."""


class Parser(argparse.ArgumentParser):
    """Names no argument in its errors: it may be a key or hold a plate."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        known = message.partition(": '")[0]
        if message.startswith("unrecognized arguments"):
            known = "there are arguments that no option takes"
        super().error(known)


def exit_status(program: str, run: Callable[[], int]) -> int:
    """What `run` returns, or the status of its error, which is printed in words."""
    try:
        return run()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of standard output has gone
        return FAILED
    except (Usage, Refused, Unreachable, OSError) as error:
        reason, status = _described(error)
    sys.stderr.write(f"{program}: {reason}\n")
    return status


def _described(error: Exception) -> tuple[str, int]:
    """What went wrong in words, and the exit status."""
    if isinstance(error, Refused):
        return f"refused with {error.status}: {error.reason}", FAILED
    if isinstance(error, Unreachable):
        return f"the service can't be reached: {error}", UNREACHABLE
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror}", USAGE
    return str(error), USAGE


def add_everywhere(parser: argparse.ArgumentParser, url: str, url_help: str) -> None:
    """Add the options of all commands: the address (`url` by default), the key, JSON."""
    add = parser.add_argument
    add("--url", default=url, help=url_help)
    add("--key", default=_environment("CLIENT_KEY"), help="the x-api-key")
    add("--json", action="store_true", help="print JSON, one object a line")


def url_of_environment() -> str:
    """The address that the environment states, "" if it states none."""
    return _environment("CLIENT_URL")


def _environment(name: str) -> str:
    return os.environ.get(name, "")  # noqa: TID251 - the client's own


def key_of(options: argparse.Namespace) -> str:
    """The key to send. Raises Usage without one."""
    if not options.key:
        raise Usage("there is no key: --key or CLIENT_KEY")
    key: str = options.key
    return key


def progress_bar(options: argparse.Namespace, unit: str, total: int | None = None) -> Any:
    """A bar on a terminal, but for output in JSON."""
    hidden = options.json or not sys.stderr.isatty()
    return tqdm(total=total, unit=unit, unit_scale=unit == "B", disable=hidden, leave=False)
