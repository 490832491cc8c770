"""`plate-scoring COMMAND …`: the commands of all packages as one program.

`plate-scoring train …` is `python -m model.train …`. A command's module is imported only when it
runs: serving needs none of what training or load tests install.
"""

import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final, NamedTuple


class Command(NamedTuple):
    """The module that `python -m` runs, what it does, and a package that only an extra installs.

    `arguments` come before those of the command line.
    """

    module: str
    description: str
    package: str | None = None
    extra: str | None = None
    arguments: tuple[str, ...] = ()


COMMANDS: Final = {
    "serve": Command("service", "serve POST /reg/"),
    "train": Command("model.train", "train a model", "sklearn", "train"),
    "evaluate": Command("model.evaluate", "measure a model on labelled rows", "sklearn", "train"),
    "score": Command("model.score", "score a file without a server"),
    "drift": Command("model.drift", "compare the readings of two files"),
    "simulate": Command("model.simulate", "write a CSV file of simulated readings"),
    "registry": Command("model.registry", "add, promote and roll back versions of models"),
    "web": Command("service.web", "serve jobs over HTTP"),
    "client": Command("client", "score, explain, send pictures over HTTP"),
    "send": Command("client", "classify pictures over HTTP", arguments=("send",)),
    "list": Command("client", "list the pictures that were classified", arguments=("list",)),
    "explain": Command("client", "explain a score over HTTP", arguments=("explain",)),
    "models": Command("client", "list the models and their live versions", arguments=("models",)),
    "jobs": Command("client.jobs", "submit jobs over HTTP and fetch results"),
    "decisions": Command("service.decisions", "show, prove, replay and forget decisions"),
    "doctor": Command("service.doctor", "check this machine and the settings"),
    "edge": Command("service.edge", "print nginx's configuration"),
    "load": Command("loadgen.load", "load a service and evaluate the result", "locust", "load"),
}
# For operators: it works on the records themselves, not over HTTP.
_DEAD_JOBS: Final = Command("service.jobs", "list, requeue and drop dead jobs")
_USAGE: Final = "usage: plate-scoring [--help | --version] COMMAND [--help] …\n"


def main() -> None:
    """Run the command that the command line names. Exits with its status."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(help_text())
    elif name == "--version":
        sys.stdout.write(f"plate-scoring {version('plate-scoring')}\n")
    elif name not in COMMANDS:
        sys.exit(_usage_error(f"{name!r} is not a command; the commands are {', '.join(COMMANDS)}"))
    else:
        of_operators = name == "jobs" and arguments[:1] == ["dead"]
        _run(name, _DEAD_JOBS if of_operators else COMMANDS[name], arguments)


def _run(name: str, command: Command, arguments: Sequence[str]) -> None:
    if command.package and find_spec(command.package) is None:
        extra = f"plate-scoring[{command.extra}]"
        sys.exit(_usage_error(f"{name} needs more packages: pip install '{extra}'"))
    sys.argv = [name, *command.arguments, *arguments]
    # Its help and messages name it as it was called.
    called = {"PROGRAM": f"plate-scoring {'client' if command.arguments else name}"}
    runpy.run_module(command.module, called, run_name="__main__", alter_sys=True)


def help_text() -> str:
    """The usage, and one line for each command."""
    width = max(len(of.description) for of in COMMANDS.values()) + 2
    lines = (f"  {name:10}{of.description:{width}}{of.module}\n" for name, of in COMMANDS.items())
    return f"{_USAGE}\ncommands, and the module that `python -m` runs instead:\n{''.join(lines)}"


def _usage_error(message: str) -> int:
    sys.stderr.write(f"{_USAGE}plate-scoring: {message}\n")
    return 2


if __name__ == "__main__":
    main()
