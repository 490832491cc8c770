"""Scores, explanations, models and pictures from the command line: `python -m client --help`."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from client.client import Client
from client.command_line import (
    FAILED,
    Parser,
    Usage,
    add_everywhere,
    exit_status,
    key_of,
    progress_bar,
    url_of_environment,
)
from client.transport import Refused

_HOST: Final = "localhost"
_PORT: Final = 8085
_BATCH_ROWS: Final = 500
_EPILOG: Final = """\
`jobs` has commands of its own: jobs --help.
The address and the key may be in the environment instead: CLIENT_URL, CLIENT_KEY.
exit status: 0 done, 1 the service refused something, 2 wrong usage or an unreadable file, 69 the
service can't be reached, 130 Ctrl-C.
"""


def main(arguments: Sequence[str]) -> int:
    """Run a command. Returns the exit status."""
    options = _parser().parse_args(arguments)

    def run() -> int:
        with _client(options) as client:
            status: int = options.run(client, options)
            return status

    return exit_status("plate-scoring", run)


def _client(options: argparse.Namespace) -> Client:
    try:
        return Client(key_of(options), options.url or _address(options.host, options.port))
    except ValueError as reason:
        raise Usage(str(reason)) from None


def _address(host: str | None, port: int | None) -> str:
    """What --host and --port say; without both, what the environment says."""
    if host is None and port is None and (url := url_of_environment()):
        return url
    host = _HOST if host is None else host
    return f"http://{f'[{host}]' if ':' in host else host}:{_PORT if port is None else port}"


def _score(client: Client, options: argparse.Namespace) -> int:
    columns = ["row", "negative", "positive", *(["decision"] if options.detail else []), "error"]
    failed = False

    def scored() -> Iterator[dict[str, Any]]:
        nonlocal failed
        number = 0
        with progress_bar(options, "rows") as bar:
            for rows in _batches(_rows(options.file)):
                for score in client.score(rows, detail=options.detail):
                    number += 1
                    failed = failed or "error" in score
                    yield {"row": number, **score}
                bar.update(len(rows))

    _show(scored(), columns, options)
    return FAILED if failed else 0


def _explain(client: Client, options: argparse.Namespace) -> int:
    explained = client.explain(_json(options.file))
    sys.stdout.write(
        f"{json.dumps(explained, ensure_ascii=False, indent=None if options.json else 2)}\n"
    )
    return 0


def _models(client: Client, options: argparse.Namespace) -> int:
    models = (one._asdict() for one in client.models())
    _show(models, ["name", "version", "state"], options)
    return 0


def _send(client: Client, options: argparse.Namespace) -> int:
    failed = False

    def answers() -> Iterator[dict[str, Any]]:
        nonlocal failed
        with progress_bar(options, "files", len(options.filepath)) as bar:
            for path in options.filepath:
                content = Path(path).read_bytes()
                try:
                    if options.query:
                        found = client.query(content, options.query, path)
                    else:
                        found = client.classify(content, path)
                except Refused as refused:
                    failed = True
                    found = {"error": f"{refused.status}: {refused.reason}"}
                # A name may hold bytes that are not text.
                yield {"file": os.fsencode(path).decode("utf-8", "replace"), **found}
                bar.update()

    answer = ["answer", "probability"] if options.query else ["prediction", "confidence"]
    _show(answers(), ["file", *answer, "error"], options)
    return FAILED if failed else 0


def _list(client: Client, options: argparse.Namespace) -> int:
    _show(client.classified(options.limit), ["img_url", "prediction", "confidence"], options)
    return 0


def _show(found: Iterable[dict[str, Any]], columns: list[str], options: argparse.Namespace) -> None:
    """Print rows: as JSON, one a line; as a table on a terminal; else as CSV."""
    if options.json:
        for row in found:
            sys.stdout.write(f"{json.dumps(row, ensure_ascii=False)}\n")
        return
    if not sys.stdout.isatty():
        writer = csv.DictWriter(sys.stdout, columns, "", "ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
        return
    cells = [columns, *([str(row.get(name, "")) for name in columns] for row in found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(f"{padded.rstrip()}\n")


def _rows(path: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with a header, or of standard input."""
    try:
        if path == "-":
            yield from _checked(csv.DictReader(sys.stdin))
            return
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield from _checked(csv.DictReader(file))
    except UnicodeError:
        raise Usage(f"{path} is not UTF-8") from None
    except csv.Error as fault:
        raise Usage(f"{path} can't be read as CSV: {fault}") from None


def _checked(reader: "csv.DictReader[str]") -> Iterator[dict[str, str]]:
    """Rows that have a cell for each column, and no more."""
    for number, row in enumerate(reader, start=1):
        if None in row or None in row.values():
            raise Usage(f"row {number} has not as many cells as the header")
        yield row


def _batches(rows: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    while batch := list(islice(rows, _BATCH_ROWS)):
        yield batch


def _json(path: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if path == "-" else Path(path).read_text("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Usage(f"{path} is not JSON in UTF-8") from None


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=getattr(sys.modules["__main__"], "PROGRAM", "python -m client"),
        description="Send requests to the service over HTTP.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everywhere = Parser(add_help=False)
    add = everywhere.add_argument
    add("-s", "--host", help=f"host of the service (default: {_HOST})")
    add("-p", "--port", type=int, help=f"its port (default: {_PORT})")
    add_everywhere(everywhere, "", "in their place: the whole address")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, help_text: str, run: Callable[[Client, argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help_text, description=help_text, parents=[everywhere]
        )
        made.set_defaults(run=run)
        return made

    score = command("score", "score the rows of a CSV file; - is standard input", _score)
    score.add_argument("file")
    score.add_argument("--detail", action="store_true", help="decisions, too")
    explain = command("explain", "show the contribution of each feature to a score; JSON", _explain)
    explain.add_argument("file")
    command("models", "list the models and their live versions", _models)
    send = command("send", "classify pictures, or answer a query about them", _send)
    send.add_argument("-f", "--filepath", action="append", required=True, help="may be repeated")
    send.add_argument("--query", default="", help='such as "cat?"; without: which digit it is')
    listed = command("list", "list the classified pictures, oldest first", _list)
    listed.add_argument("--limit", type=_count, help="at most this many")
    return parser
