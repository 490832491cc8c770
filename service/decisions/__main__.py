"""The decision log from the command line: `python -m service.decisions --help`."""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from getpass import getuser
from math import inf
from pathlib import Path
from time import sleep, time
from typing import Final

import msgspec

from model import DataRefused, ModelRefused, catalog
from model.cli import (
    Exit,
    SignalFlag,
    command_parser,
    exit_status,
    os_errors_exit,
    program,
    require,
    stop_signals,
)
from model.registry import RegistryError, Unavailable
from service.config.settings import Settings, SettingsError, load, refuse_start, variable
from service.decisions import feedback, proof, quality_report, recalibrate, training_set
from service.decisions.choice import Condition, condition, moment
from service.decisions.groups import Groups
from service.decisions.log import (
    CHECKPOINT,
    LOCK_PAUSE,
    STORE,
    Busy,
    Damaged,
    DecisionLog,
    Forgotten,
    Unknown,
)
from service.decisions.merkle.note import BadNote, Verifier, is_name, verifier_of
from service.decisions.merkle.tiles import DamagedTile
from service.decisions.quality_report import Measured, Measurement
from service.decisions.recalibrate import Recalibration
from service.decisions.recorder import SPOOL
from service.decisions.replay import Replayed, registry_of
from service.decisions.replay_processes import replay_all
from service.decisions.review import Figures, ReviewQueue
from service.decisions.sink import Shipped, Sink
from service.decisions.sink_process import exporting
from service.decisions.store import UNUSABLE, Row
from service.decisions.training_set import LABEL, Known
from service.decisions.witness import Inconsistent, Witness
from service.telemetry.log_lines import log_to_stdout
from service.telemetry.metrics.decision_sink import SinkMetrics

log = logging.getLogger("scoring")

_PROGRAM: Final = program("python -m service.decisions")
_DESCRIPTION: Final = """\
Keep, show, prove and forget decisions. The log is in SCORING_DECISIONS_DIR.
"""
_EPILOG: Final = """\
An ID is that of a request, with `:ROW` for a row of an array, or # and the place in the log.
exit status: 0 done, 1 something does not hold, differs or is damaged, 2 wrong usage, 65 a model or
a file is refused, 66 there is no such decision or log, 73 the log can't be written, 78 a setting
can't be used.
"""
_NOTHING_FORGOTTEN: Final = "forgotten: 0; no decision is about this plate, or all are forgotten"
_TICK_SECONDS: Final = 1.0
_DAY_SECONDS: Final = 86_400


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load()
    except SettingsError as error:
        refuse_start(error)
    if not settings.decisions_dir and options.run not in {_verify, _cosign}:
        refuse_start(SettingsError(variable("decisions_dir"), "it names no folder"))
    return exit_status(_PROGRAM, lambda: _run(settings, options))


def _run(settings: Settings, options: argparse.Namespace) -> None:
    folder = Path(settings.decisions_dir)
    # In a mistyped folder a command would make an empty log, and call it sound.
    needs_log = options.run not in {_verify, _cosign, _sink, _key}
    if needs_log and not any((folder / name).exists() for name in (STORE, SPOOL)):
        raise Exit(66, f"{folder}: there is no log of decisions; the sink makes it")
    options.run(settings, options)


@contextmanager
def _opened(settings: Settings) -> Iterator[DecisionLog]:
    """The log. Raises Exit when it can't be read or written, or is damaged."""
    try:
        opened = DecisionLog(Path(settings.decisions_dir))
        try:
            yield opened
        finally:
            opened.close()
    except BrokenPipeError:  # of standard output
        raise
    except UNUSABLE as error:
        raise Exit(73, f"the log can't be written: {error}") from error
    except (DamagedTile, BadNote, Damaged) as error:
        raise Exit(1, f"the log is damaged: {error}") from error


def _sink(settings: Settings, _options: argparse.Namespace) -> None:
    """Ship segments until a signal ends it."""
    log_to_stdout(settings)
    try:
        with _opened(settings) as opened, stop_signals() as stopped, exporting(settings) as metrics:
            log.info("Decisions go from the spool into the log; its key is %s", opened.verifier_key)
            _take(settings, opened, stopped, metrics)
    except SettingsError as error:
        refuse_start(error)


def _take(
    settings: Settings, opened: DecisionLog, stopped: SignalFlag, metrics: SinkMetrics
) -> None:
    retained = 0.0
    while True:
        batches = Sink(opened).ship()
        # Locked for a batch at a time: after a long stop, those who ask would wait for minutes.
        while _take_batch(opened, stopped, batches, metrics):
            sleep(LOCK_PAUSE)  # those who wait look for the lock as often
            stopped.check()
        metrics.synced()
        if time() - retained > _DAY_SECONDS:
            retained = time()
            with opened.locked(), stopped.deferred():
                opened.retain(settings.decisions_days * _DAY_SECONDS)
        sleep(_TICK_SECONDS)
        stopped.check()


def _take_batch(
    opened: DecisionLog, stopped: SignalFlag, batches: Iterator[Shipped], metrics: SinkMetrics
) -> bool:
    """Take the next batch into the log; False if there is none."""
    with opened.locked(), stopped.deferred():
        shipped = next(batches, None)
    if shipped is None:
        return False
    metrics.taken(*shipped)
    _log_damage(shipped)
    return True


def _ship(opened: DecisionLog) -> int:
    """Take the spool into the log, which is locked: how many entries."""
    entries = 0
    for shipped in Sink(opened).ship():
        entries += shipped.entries
        _log_damage(shipped)
    return entries


def _log_damage(shipped: Shipped) -> None:
    if shipped.damaged_bytes or shipped.unreadable:
        log.error(
            "A segment is damaged: %d bytes and %d entries can't be read",
            shipped.damaged_bytes,
            shipped.unreadable,
        )


def _list(settings: Settings, options: argparse.Namespace) -> None:
    chosen, values = _chosen(options)
    with _opened(settings) as opened:
        for row in opened.store.rows(chosen, *values):
            _write(_line(row))


def _stats(settings: Settings, options: argparse.Namespace) -> None:
    chosen, values = _chosen(options)
    with _opened(settings) as opened:
        counts = Counter(
            (row.kind, row.version, row.decision, row.salt is None)
            for row in opened.store.rows(chosen, *values)
        )
    for (kind, version, decision, forgotten), number in sorted(counts.items()):
        state = "forgotten" if forgotten else ""
        _write(f"{number:>10}  {kind:10}  {version:24}  {decision:8}  {state}".rstrip())


def _show(settings: Settings, options: argparse.Namespace) -> None:
    with _opened(settings) as opened:
        row = _found(opened, options.id)
        canonical = _readable(opened, row)
        with opened.locked():
            opened.note("access", user=getuser(), index=str(row.entry))
    _write(msgspec.json.format(canonical).decode())


def _export(settings: Settings, options: argparse.Namespace) -> None:
    chosen, values = _chosen(options)
    forgotten = exported = 0
    with _opened(settings) as opened:
        chosen, values = f"{chosen} AND idx < ?", [*values, opened.store.size]
        readable = sum(row.salt is not None for row in opened.store.rows(chosen, *values))
        # At first: who ends it half-way has seen some, too.
        with opened.locked():
            opened.note("access", user=getuser(), exported=str(readable))
        for row in opened.store.rows(chosen, *values):
            try:
                sys.stdout.buffer.write(opened.canonical(row) + b"\n")
                exported += 1
            except Forgotten:
                forgotten += 1
        sys.stdout.flush()
    sys.stderr.write(f"exported: {exported}; forgotten: {forgotten}\n")


def _prove(settings: Settings, options: argparse.Namespace) -> None:
    with _opened(settings) as opened:
        row = _found(opened, options.id)
        _readable(opened, row)
        made = proof.of(opened, row)
        with opened.locked():
            opened.note("access", user=getuser(), index=str(row.entry))
    sys.stdout.write(proof.encode(made).decode())


def _verify(_settings: Settings, options: argparse.Namespace) -> None:
    try:
        path = Path(options.file)
        content = sys.stdin.buffer.read() if options.file == "-" else path.read_bytes()
    except OSError as error:
        raise Exit(66, f"{options.file}: {error.strerror}") from error
    try:
        found = proof.verified(content, _key(options.key), list(map(_key, options.witness)))
    except proof.WrongProof as error:
        raise Exit(1, f"the proof does not hold: {error}") from error
    _write(f"the proof holds: entry {found.index} of the log is\n{found.entry}")


def _check(settings: Settings, _options: argparse.Namespace) -> None:
    with _opened(settings) as opened:
        is_new = not opened.store.head and not (opened.folder / CHECKPOINT).exists()
        faults = [] if is_new else list(opened.check())
        size = opened.store.size
    for fault in faults:
        _write(fault)
    if faults:
        raise Exit(1, f"{len(faults)} faults in {size} entries")
    _write(f"{size} entries are as they were logged")


def _forget(settings: Settings, options: argparse.Namespace) -> None:
    mark = catalog.entry(catalog.DEFAULT).load().mark(options.plate)
    with _opened(settings) as opened, opened.locked():
        _ship(opened)
        Sink(opened).overwrite()
        try:
            forgotten = opened.forget(mark)
            _write(f"forgotten: {forgotten}" if forgotten else _NOTHING_FORGOTTEN)
        except Busy:
            reason = "it is forgotten, but still on disk, since another process reads the log"
            raise Exit(73, f"{reason}: forget it again when that has ended") from None


def _replay(settings: Settings, options: argparse.Namespace) -> None:
    with _opened(settings) as opened:
        try:
            found = replay_all(settings, opened, _chosen(options), options.model, options.processes)
        except ModelRefused as error:
            raise Exit(65, str(error)) from error
    _write(_replayed(found))
    if found.differ and not options.model:
        raise Exit(1, f"{found.differ} scores are not those that were logged")
    if found.features:
        raise Exit(1, f"{found.features} rows have other features than were logged")


def _replayed(found: Replayed) -> str:
    changes: Counter[tuple[str, str]] = Counter()
    classes: Counter[str] = Counter()
    for (group, before, after), number in found.flips.items():
        changes[before, after] += number
        classes[group] += number
    what = (
        f"replayed: {found.same + found.differ}; equal to the last bit: {found.same}; "
        f"forgotten: {found.counts['forgotten']}; "
        f"of versions that are not there: {found.counts['unavailable']}; "
        f"with other features than were scored: {found.features}"
    )
    lines = [what, f"decisions that change: {changes.total()}"]
    lines += [f"  {before} to {after}: {number}" for (before, after), number in changes.items()]
    lines += [
        f"  class {group}: {number} of {found.rows[group]}, {number / found.rows[group]:.2%}"
        for group, number in classes.most_common()
    ]
    return "\n".join(lines)


def _feedback(settings: Settings, options: argparse.Namespace) -> None:
    with _opened(settings) as opened, opened.locked():
        _ship(opened)
        try:
            taken = feedback.take(opened, options.file, options.source or options.file.name)
        except feedback.Unusable as error:
            raise Exit(65, f"{options.file}: {error}") from error
    _write(
        f"labelled: {taken.labelled}; said before: {taken.repeated}; unknown: {taken.unknown}; "
        f"forgotten: {taken.forgotten}"
    )


def _quality(settings: Settings, options: argparse.Namespace) -> None:
    chosen, values = _chosen(options)
    with _opened(settings) as opened:
        limit = settings.quality_limit if options.limit is None else options.limit
        how = Measurement(settings.costs, limit, Groups())
        found = quality_report.measured(opened, chosen, values, how)
    _write(quality_report.text(found))
    if options.html:
        with os_errors_exit(73, options.html):
            options.html.write_text(_page(found, options), encoding="utf-8")
    if found.evidence.is_broken:
        raise Exit(1, f"more than {limit:.2%} of the automatic decisions are wrong")


def _training_set(settings: Settings, options: argparse.Namespace) -> None:
    if options.held_out and options.cut is None:
        raise Exit(2, "--held-out needs --cut")
    if options.held_out and options.held_out.resolve() == options.out.resolve():
        raise Exit(2, "--held-out: must be another file than OUT")
    known = Known(inf if options.labels_until is None else options.labels_until, options.cut)
    with _opened(settings) as opened:
        found, left_out = training_set.examples(opened, _chosen(options), known)
        parts = {options.out: [one for one in found if known.is_early(one.time)]}
        if options.held_out:
            parts[options.held_out] = [one for one in found if not known.is_early(one.time)]
        for path, rows in parts.items():
            if not rows:
                raise Exit(65, f"{path}: there is no labelled decision for it")
        with opened.locked():
            opened.note("access", user=getuser(), exported=str(sum(map(len, parts.values()))))
    for path, rows in parts.items():
        with os_errors_exit(73, path):
            training_set.write(path, rows)
        ones = sum(one.cells[LABEL] for one in rows)
        _write(f"{path}: {len(rows)} rows, {ones} of them with the label 1")
    for reason, number in sorted(left_out.items()):
        _write(f"left out, {reason}: {number}")


def _calibrate(settings: Settings, options: argparse.Namespace) -> None:
    require({"sklearn": "scikit-learn", "scipy": "SciPy"})
    if not settings.registry:
        raise Exit(78, f"{variable('registry')}: it names no registry")
    with _opened(settings) as opened:
        found, _ = training_set.examples(opened, _chosen(options), Known())
    try:
        registry = registry_of(settings)
        old = registry.named(options.of)
        path = registry.fetch(old)
        name = recalibrate.version_of(old, options.method, time())
        made = recalibrate.fitted(path, found, options.method, name)
        _write(_recalibrated(made))
        if not made.is_better:
            raise Exit(1, f"no version is added: it would be no better than {old}")
        _write(f"added, not promoted: {recalibrate.add(registry, path, made)}")
    except (ModelRefused, DataRefused) as error:
        raise Exit(65, str(error)) from error
    except RegistryError as error:
        raise Exit(69 if isinstance(error, Unavailable) else 1, str(error)) from error


def _recalibrated(made: Recalibration) -> str:
    lines = [f"{made.labels} labels; of the newest quarter, by a calibration of the others:"]
    for name in ("log_loss", "calibration_error"):
        before, after = getattr(made.before, name), getattr(made.after, name)
        lines.append(f"  {name}: {before:.4f} before, {after:.4f} after")
    return "\n".join(lines)


def _review(settings: Settings, _options: argparse.Namespace) -> None:
    with _opened(settings) as opened:
        queue = ReviewQueue(opened)
        try:
            while queue.take_in():
                pass
            found = queue.figures()
        finally:
            queue.close()
    _write(_reviewed(found))


def _reviewed(found: Figures) -> str:
    oldest = f", the oldest of {_time(found.oldest)}" if found.oldest else ""
    lines = [f"waiting: {found.waiting}{oldest}; for a second answer: {found.again}"]
    lines += [f"{number:>10}  {reviewer}" for reviewer, number in found.answered.items()]
    if agreed := found.agreement:
        alpha = "-" if agreed.alpha is None else f"{agreed.alpha:.3f}"
        lines.append(
            f"equal answers: {agreed.share:.1%} of {agreed.cases} cases "
            f"(95 % interval {agreed.low:.1%} to {agreed.high:.1%}); alpha {alpha}"
        )
    return "\n".join(lines)


def _page(found: Measured, options: argparse.Namespace) -> str:
    stated = {"since": options.since, "until": options.until}
    times = [f"{name} {_time(moment)}" for name, moment in stated.items() if moment is not None]
    chosen = filter(None, (options.version, options.decision))
    about = ", ".join(("Decisions", *times, *chosen, f"measured at {_time(time())}"))
    require({"scipy": "SciPy", "matplotlib": "matplotlib"})
    return catalog.entry(catalog.DEFAULT).load().decision_page(found, about)


def _query(settings: Settings, options: argparse.Namespace) -> None:
    require({"duckdb": "duckdb"}, "decisions")
    from service.decisions import query  # noqa: PLC0415 - of an extra

    write = {"csv": query.write_csv, "json": query.write_json, "table": query.write_table}
    try:
        with query.answered(Path(settings.decisions_dir), options.sql) as answer:
            write[options.form](answer, sys.stdout)
    except query.BadQuery as error:
        raise Exit(65, str(error)) from None


def _cosign(_settings: Settings, options: argparse.Namespace) -> None:
    witness = Witness(options.name, options.state)
    _write_error(f"the key of this witness is {witness.verifier.text}\n")
    try:
        signed = (options.log / CHECKPOINT).read_text(encoding="utf-8")
        cosigned = witness.cosign(signed, _key(options.key), options.log)
    except OSError as error:
        raise Exit(66, f"{options.log}: {error.strerror}") from error
    except (BadNote, DamagedTile, Inconsistent) as error:
        raise Exit(1, f"not cosigned: {error}") from error
    sys.stdout.write(cosigned)


def _key_of_log(settings: Settings, _options: argparse.Namespace) -> None:
    with _opened(settings) as opened:
        _write(opened.verifier_key)


def _found(opened: DecisionLog, name: str) -> Row:
    try:
        return opened.find(name)
    except Unknown:
        raise Exit(66, "there is no such decision") from None


def _readable(opened: DecisionLog, row: Row) -> bytes:
    try:
        return opened.canonical(row)
    except Forgotten:
        raise Exit(66, f"entry {row.entry} was forgotten") from None


def _key(text: str) -> Verifier:
    with suppress(OSError):
        text = Path(text).read_text(encoding="utf-8")
    try:
        return verifier_of(text)
    except BadNote as error:
        raise Exit(2, f"not a key of a log or a witness: {error}") from error


def _chosen(options: argparse.Namespace) -> Condition:
    return condition(
        options.since, options.until, options.version, options.decision, audited=options.audited
    )


def _line(row: Row) -> str:
    name = row.kind if row.kind != "decision" else f"{row.request_id}:{row.row}"
    score = "" if row.positive is None else repr(row.positive)
    forgotten = "" if row.salt else "forgotten"
    parts = (f"#{row.entry}", _time(row.time), name, row.version, row.decision, score, forgotten)
    return "  ".join(filter(None, parts))


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _moment(text: str) -> float:
    try:
        return moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _rate(text: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < 1:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")


def _processes(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) >= 1:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number of processes, 1 or more")


def _name(text: str) -> str:
    if is_name(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: must be a name without blanks and +")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _write_error(text: str) -> None:
    sys.stderr.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(_PROGRAM, _DESCRIPTION, _EPILOG)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, help_text: str, run: Callable[..., None]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help_text, description=help_text)
        made.set_defaults(run=run)
        return made

    command("sink", "take decisions from the spool into the log, until a signal", _sink)
    for name, help_text, run in (
        ("list", "a line for each entry", _list),
        ("stats", "entries by kind, version and decision", _stats),
        ("export", "entries as JSON lines, with their plates; is itself an entry", _export),
    ):
        _add_choice(command(name, help_text, run))
    replayed = command("replay", "score stored requests again, and compare", _replay)
    _add_choice(replayed)
    replayed.add_argument("--model", type=Path, help="by this file (default: as they were scored)")
    replayed.add_argument(
        "--processes", type=_processes, default=0, help="so many (default: of all cores)"
    )
    for name, help_text, run in (
        ("show", "one decision with its plates, as JSON; is itself an entry", _show),
        ("prove", "the proof of a decision, as JSON", _prove),
    ):
        command(name, help_text, run).add_argument("id")
    verify = command("verify", "check a proof; needs nothing of the log but its key", _verify)
    verify.add_argument("file", help="- is standard input")
    verify.add_argument("--key", required=True, help="the log's, or a file with it")
    verify.add_argument("--witness", action="append", default=[], help="must have cosigned it")
    labels = command("feedback", "add labels that came later, from a CSV file", _feedback)
    labels.add_argument("file", type=Path, help="request_id, row, and outcome or true_reading")
    labels.add_argument("--source", default="", help="who says so (default: the file's name)")
    measure = command("quality", "the errors of automatic decisions, by audited labels", _quality)
    _add_choice(measure)
    measure.add_argument(
        "--limit", type=_rate, help="share of errors that is promised (SCORING_QUALITY_LIMIT)"
    )
    measure.add_argument("--html", type=Path, help="also write this page, with charts")
    train = command("training-set", "write labelled decisions for model.train", _training_set)
    _add_choice(train)
    _add_training_set(train)
    calibrated = command("calibrate", "add a version with a new calibration", _calibrate)
    _add_choice(calibrated)
    calibrated.add_argument("--of", default="live", help="of this version or alias (live)")
    calibrated.add_argument("--method", choices=recalibrate.METHODS, default="platt")
    command("review", "what waits for reviewers, who has answered, and how they agree", _review)
    ask = command("query", "a question in SQL to the rows for analysis, by DuckDB", _query)
    ask.add_argument("sql", help="one SELECT; the view is `decisions`")
    ask.add_argument("--form", choices=("table", "csv", "json"), default="table")
    command("check", "check every entry against the tree and its checkpoint", _check)
    command("key", "print the public key of the log", _key_of_log)
    forget = command("forget", "forget all decisions about a plate, for good", _forget)
    forget.add_argument("plate")
    cosign = command("cosign", "as a witness, cosign the log's checkpoint", _cosign)
    cosign.add_argument("log", type=Path, help="folder with the log's tiles and checkpoint")
    cosign.add_argument("--key", required=True, help="the log's, or a file with it")
    cosign.add_argument("--name", type=_name, required=True, help="of this witness")
    cosign.add_argument("--state", type=Path, required=True, help="folder of this witness")
    return parser


def _add_training_set(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("out", type=_table, metavar="OUT", help="new file, .csv or .parquet; it has plates")
    add("--labels-until", type=_moment, metavar="TIME", help="labels that were given before it")
    add("--cut", type=_moment, metavar="TIME", help="only decisions and labels before it; see next")
    add("--held-out", type=_table, metavar="FILE", help="those from --cut on, to measure with")


def _table(text: str) -> Path:
    path = Path(text)
    if path.suffix in training_set.SUFFIXES:
        return path
    raise argparse.ArgumentTypeError(f"must end in {' or '.join(training_set.SUFFIXES)}")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--since", type=_moment, metavar="TIME", help="2026-11-30, 2026-11-30T12:00Z, or 12h ago")
    add("--until", type=_moment, metavar="TIME", help="the same")
    add("--version", help="scored by this version")
    add("--decision", help="such as manual")
    add("--audited", action="store_true", help="drawn for review")


if __name__ == "__main__":
    sys.exit(main())
