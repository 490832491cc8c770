"""Jobs from the command line: `python -m client.jobs --help`."""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

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
from client.job_calls import DEFAULT_URL, Job
from client.job_client import JobClient

_STEP_SECONDS: Final = 1
_STATES: Final = (
    *("accepted", "queued", "running"),
    *("succeeded", "failed", "cancelled", "expired", "dead"),
)
_EPILOG: Final = """\
The address and the key may be in the environment instead: CLIENT_URL, CLIENT_KEY.
`plate-scoring jobs dead list|show|requeue|drop` is for operators, who can reach the records.
exit status: 0 done, 1 the service refused it or the job did not succeed, 2 wrong usage, 69 the
service can't be reached, 130 Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status."""
    options = _parser().parse_args(arguments)

    def run() -> int:
        status: int = options.run(_client(options), options)
        return status

    return exit_status("plate-scoring jobs", run)


def _client(options: argparse.Namespace) -> JobClient:
    try:
        return JobClient(key_of(options), options.url)
    except ValueError as reason:
        raise Usage(str(reason)) from None


def _submit(client: JobClient, options: argparse.Namespace) -> int:
    arguments = {
        name: value
        for name in ("format", "sep", "encoding", "decimal", "dates", "sheet", "webhook")
        if (value := getattr(options, name))
    }
    with _input(options.file) as file:
        if _is_json(options.file):
            job = client.submit(
                _decoded(file),
                options.model,
                detail=options.detail,
                webhook=options.webhook,
                idempotency_key=options.idempotency_key,
            )
        else:
            with progress_bar(options, "B", file.seek(0, 2)) as bar:
                job = client.submit_file(
                    file,
                    Path(options.file).name,
                    options.model,
                    idempotency_key=options.idempotency_key,
                    note=bar.update,
                    **({"detail": "1"} if options.detail else {}),
                    **arguments,
                )
    if not options.wait:
        _show(job, options)
        return 0
    # With the id, a caller that stops waiting can look at the job later.
    sys.stderr.write(f"submitted: {job.id}\n")
    job = _waited(client, job, options)
    if job.state != "succeeded" or not options.output:
        _show(job, options)
    return _fetched(client, job, options)


def _status(client: JobClient, options: argparse.Namespace) -> int:
    job = client.job(options.id)
    if options.wait:
        job = _waited(client, job, options)
    _show(job, options)
    return FAILED if job.has_ended and job.state != "succeeded" else 0


def _result(client: JobClient, options: argparse.Namespace) -> int:
    if options.wait:
        job = _waited(client, client.job(options.id), options)
        if job.state != "succeeded":
            _show(job, options)
            return FAILED
    with client.open_result(options.id) as response:
        _write(response, options.output)
    return 0


def _cancel(client: JobClient, options: argparse.Namespace) -> int:
    _show(client.cancel(options.id), options)
    return 0


def _list(client: JobClient, options: argparse.Namespace) -> int:
    for job in client.jobs(options.state, options.limit):
        _show(job, options)
    return 0


def _waited(client: JobClient, job: Job, options: argparse.Namespace) -> Job:
    """The job when it has ended; a bar shows its rows until then."""
    with progress_bar(options, "rows") as bar:

        def note(found: Job) -> None:
            bar.total = found.total or None
            bar.set_description(found.state, refresh=False)
            bar.update(found.done - bar.n)
            bar.refresh()

        return client.wait(job.id, note=note, step=_STEP_SECONDS)


def _fetched(client: JobClient, job: Job, options: argparse.Namespace) -> int:
    if job.state != "succeeded":
        return FAILED
    if options.output:
        with client.open_result(job.id) as response:
            _write(response, options.output)
    return 0


def _show(job: Job, options: argparse.Namespace) -> None:
    """Print a job: a line for people, or the service's own words in JSON."""
    if options.json:
        sys.stdout.write(f"{json.dumps(job.shown, ensure_ascii=False)}\n")
        return
    rows = f"{job.done} of {job.total} rows" if job.total else ""
    parts = (job.id, f"{job.state:9}", job.shown["created"], job.model, rows, job.error)
    line = "  ".join(filter(None, parts))
    sys.stdout.write(f"{line.rstrip()}\n")


def _write(source: Any, path: str) -> None:
    """Write a result: to standard output, or to a file that appears when it is whole."""
    if path in {"", "-"}:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            shutil.copyfileobj(source, file)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _input(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
    else:
        with Path(path).open("rb") as file:
            yield file


def _is_json(path: str) -> bool:
    return path == "-" or Path(path).suffix.lower() == ".json"


def _decoded(file: BinaryIO) -> Any:
    try:
        return json.load(file)
    except ValueError:
        raise Usage("the input is not JSON: other files are known by their suffix") from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=getattr(sys.modules["__main__"], "PROGRAM", "python -m client.jobs"),
        description="Submit jobs to the web processes over HTTP, show them, fetch results.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everywhere = Parser(add_help=False)
    address = "address of the web processes, or of the edge in front of them (default: %(default)s)"
    add_everywhere(everywhere, url_of_environment() or DEFAULT_URL, address)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, help_text: str, run: Callable[[JobClient, argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help_text, description=help_text, parents=[everywhere]
        )
        made.set_defaults(run=run)
        return made

    _add_submit(command("submit", "submit a job, and print it", _submit))
    for name, help_text, run in (
        ("status", "print a job; exit status 1 if it did not succeed", _status),
        ("result", "write the result of a job", _result),
        ("cancel", "cancel a job", _cancel),
    ):
        made = command(name, help_text, run)
        made.add_argument("id", help="id of the job")
        if name != "cancel":
            _add_wait(made)
        if name == "result":
            _add_output(made)
    listed = command("list", "print the jobs of this key, newest first", _list)
    listed.add_argument("--state", choices=_STATES, default="", help="of one state only")
    listed.add_argument("--limit", type=int, help="at most this many")
    return parser


def _add_submit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "file",
        help="a table (.csv, .tsv, .jsonl, .parquet, .xlsx, .gz), or .json with the body of the "
        "model's own route; - is such JSON on standard input",
    )
    add("--model", default="regno", help="name of the model (default: %(default)s)")
    add("--detail", action="store_true", help="decisions, margins and warnings, too")
    add("--format", default="", help="form of a table's result: csv, jsonl, parquet, xlsx")
    add("--sep", default="", help="separator of the cells of a CSV file")
    add("--encoding", default="", help="encoding of a text file")
    add("--decimal", default="", help="decimal sign of a text file")
    add("--dates", default="", help="dmy or mdy: which comes first in dates of a text file")
    add("--sheet", default="", help="name of a sheet of an Excel file")
    add("--webhook", default="", help="name of the registered endpoint to notify at the end")
    add("--idempotency-key", default="", help="the same key and input make one job")
    _add_wait(parser)
    _add_output(parser)


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="wait for the end of the job")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", default="", help="file for the result; - is standard output"
    )


if __name__ == "__main__":
    sys.exit(main())
