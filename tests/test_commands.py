"""The commands: they start with what is installed, and as the pages print them."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from model.regno import BUNDLED
from tests.support import packages
from tests.support.commands import environment
from tests.support.labelled import TINY, labelled, write
from tests.support.messages import mentions, states
from tests.support.paths import ROOT
from tests.support.tables import as_csv, read, samples

ROOMS = ("model", "service", "monitoring", "loadgen")
# Made by a command, and not there to be worked from.
_CARD = "MODEL_CARD.md"
_NAMED = re.compile(r'(?:prog=|command_parser\(|program\(|"PROGRAM", )"python -m ([\w.]+)"')
_IN_A_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_IN_A_LINE = re.compile(r"`(?:\.venv/bin/)?(python\s+-m\s[^`]+)`")
PAGES = [
    page
    for page in sorted({*ROOT.glob("*.md"), *ROOT.glob("[!.]*/**/*.md")})
    if not {"node_modules", "build"} & set(page.relative_to(ROOT).parts)
    # It lists what was, too.
    and page.name != "CHANGELOG.md"
]


def _commands(room: str) -> list[str]:
    """What a person starts of a room by `python -m`."""
    files = (ROOT / room).rglob("*.py")
    return sorted({name for path in files for name in _NAMED.findall(path.read_text("utf-8"))})


def test_there_are_commands_to_look_at() -> None:
    assert {"model.registry", "model.score", "model.train"} <= set(_commands("model"))
    assert {"service", "service.doctor", "service.edge"} <= set(_commands("service"))


@pytest.mark.parametrize("command", [*_commands("model"), *_commands("service")])
def test_help_needs_no_more_than_the_image_has(command: str, tmp_path: Path) -> None:
    done = packages.run(tmp_path, packages.in_the_image(), command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m {command} ")


def test_the_image_scores_files(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(as_csv(samples(3)))
    arguments = ("model.score", tmp_path / "in.csv", tmp_path / "out.csv")
    done = packages.run(tmp_path, packages.in_the_image(), *arguments)
    assert done.returncode == 0, done.stderr
    assert [row["error"] for row in read((tmp_path / "out.csv").read_bytes())] == [""] * 3


def _train(folder: Path, installed: set[str]) -> subprocess.CompletedProcess[str]:
    write(folder / "rows.csv", labelled())
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    given = ("--data", folder / "rows.csv", "--parameters", folder / "tiny.toml")
    return packages.run(folder, installed, "model.train", *given, "--out", folder / "out")


@pytest.mark.parametrize(
    ("installed", "missing"),
    [
        (packages.locked(), "scikit-learn"),
        (packages.in_the_image(), "scikit-learn and matplotlib"),
    ],
    ids=["make run", "image"],
)
def test_training_names_the_packages_that_it_lacks(
    installed: set[str], missing: str, tmp_path: Path
) -> None:
    done = _train(tmp_path, installed)
    assert (done.returncode, done.stdout) == (69, "")
    remedies = ("make setup", "pip install 'plate-scoring[train]'")
    assert states(done.stderr, f"python -m model.train: {missing} ", "not installed", *remedies)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("module", "path"), [("model.simulate", "none/rows.csv"), ("model.golden", "none/golden.jsonl")]
)
def test_what_cannot_be_written_ends_in_a_line(module: str, path: str, tmp_path: Path) -> None:
    done = packages.run(tmp_path, packages.locked(), module, path)
    assert (done.returncode, done.stdout) == (73, "")
    (line,) = done.stderr.splitlines()
    assert states(line, f"python -m {module}: {path}: ", "No such file or directory")


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--rows", "-1"), ("--rows", "negative")),
        (("--seed", "-1"), ("--seed", "negative")),
        (("--label", "direction"), ("direction", "field", "label")),
    ],
)
def test_simulating_refuses_what_makes_no_sense(
    options: tuple[str, str], facts: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "rows.csv"
    done = packages.run(tmp_path, packages.locked(), "model.simulate", out, *options)
    assert done.returncode == 2
    assert mentions(done.stderr, *facts)
    assert not out.exists()


_DATA: Final = ("--data", "rows.csv")
_ODD: Final[dict[str, list[tuple[str, ...]]]] = {
    "train": [
        *((*_DATA, "--folds", number) for number in ("-1", "0", "1", "1.5", "nan")),
        *((*_DATA, "--out", "out", "--tune", number) for number in ("-1", "0", "0.5", "inf")),
        *(("--seed", number) for number in ("-1", "nan", "1e3", str(2**32))),
        *(("--rows", number) for number in ("-1", "0", "1", "nan")),
    ],
    "evaluate": [
        *(("rows.csv", "--seed", number) for number in ("-1", "nan", str(2**32))),
        *(("rows.csv", "--min-auc", number) for number in ("-1", "0", "nan", "2")),
        *(("rows.csv", "--max-ece", number) for number in ("-1", "0", "nan", "2")),
        *(("rows.csv", "--max-log-loss", number) for number in ("-1", "nan", "inf")),
        *(("rows.csv", "--max-cost", number) for number in ("-1", "nan", "inf")),
        *(("rows.csv", "--cost-manual", number) for number in ("-1", "nan", "inf", "1e99")),
        *(("rows.csv", "--cost-camera-wrong", number) for number in ("0", "-1", "nan")),
        *(("rows.csv", "--confidence", number) for number in ("0", "1", "nan")),
    ],
    "score": [
        *(("in", "out", "--cost-manual", number) for number in ("-1", "nan", "inf")),
        *(("in", "out", "--cost-network-wrong", number) for number in ("0", "-1")),
        *(("in", "out", "--max-bad", number) for number in ("-1", "nan", "2")),
    ],
    "drift": [
        *(("rows.csv", "--max-psi", number) for number in ("-1", "nan", "inf")),
        *(("rows.csv", "--max-bad", number) for number in ("-1", "nan", "2")),
    ],
    "registry": [
        ("promote", "v", option, number)
        for option in ("--max-flips", "--max-flips-in-class", "--max-difference", "--max-slowdown")
        for number in ("-1", "nan", "inf")
    ],
}


@pytest.mark.parametrize(
    ("command", "options"), [(name, odd) for name, rows in _ODD.items() for odd in rows]
)
def test_a_number_that_makes_no_sense_is_wrong_usage(
    command: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    is_package = (ROOT / "model" / command).is_dir()
    module = import_module(f"model.{command}" + ".__main__" * is_package)
    with pytest.raises(SystemExit) as stop:
        module.main(options)
    assert stop.value.code == 2
    assert options[-2] in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", ["out.xls", "out.ODS", "out.zip"])
@pytest.mark.parametrize("module", ["score", "simulate"])
def test_an_output_of_a_form_that_is_not_written_is_wrong_usage(
    module: str, name: str, tmp_path: Path
) -> None:
    out = tmp_path / name
    rows = () if module == "simulate" else (tmp_path / "none.csv",)
    done = subprocess.run(
        [sys.executable, "-m", f"model.{module}", *rows, out],
        env=environment(tmp_path, {"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert mentions(done.stderr, name, ".csv", ".xlsx")
    assert not out.exists()


_READS_ROWS: Final[dict[str, tuple[object, ...]]] = {
    "score": ("FILE", "out.csv", "--processes", 1),
    "evaluate": ("FILE",),
    "evaluate --join": (BUNDLED.with_name("golden.jsonl"), "--join", "FILE", "--on", "id"),
    "train": ("--data", "FILE"),
    "drift": ("FILE", "FILE"),
    "registry add --vocabulary-from": (
        *("--models", "models", "add", BUNDLED),
        *("--vocabulary-from", "FILE"),
    ),
    "registry add --reference-from": (
        *("--models", "models", "add", BUNDLED),
        *("--reference-from", "FILE"),
    ),
    "registry promote": ("--models", "models", "promote", "v", "--rows", "FILE"),
    "registry compare": ("--models", "models", "compare", "v", "v", "--rows", "FILE"),
}
_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_UNREADABLE: Final[dict[str, tuple[bytes | None, int, str]]] = {
    "rows.png": (_PNG, 65, "PNG"),
    "empty.csv": (b"", 65, "is empty"),
    "other.csv": (b"a,b\n1,2\n", 65, "lacks"),
    "missing.csv": (None, 66, "No such file"),
    ".": (None, 66, "Is a directory"),
}


@pytest.mark.parametrize("name", _UNREADABLE)
@pytest.mark.parametrize("command", _READS_ROWS)
def test_files_that_hold_no_rows_end_each_command_with_the_same_status(
    command: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    content, status, message = _UNREADABLE[name]
    if content is not None:
        Path(name).write_bytes(content)
    module = command.split(maxsplit=1)[0]
    is_package = (ROOT / "model" / module).is_dir()
    main = import_module(f"model.{module}" + ".__main__" * is_package).main
    given = [name if each == "FILE" else str(each) for each in _READS_ROWS[command]]
    assert main(given) == status
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("model.score", "rows.csv", "-", "--no-progress"),
        ("model.simulate", "-", "--rows", "500"),
        ("model.registry", "list", "--models", "models"),
    ],
)
def test_commands_end_silently_when_nobody_reads_their_output(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    write(tmp_path / "rows.csv", labelled(5))
    (tmp_path / "models").mkdir()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env=environment(tmp_path, {"PYTHONPATH": str(ROOT)}),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def _printed(page: Path) -> list[list[str]]:
    """The arguments of each `python -m` command of a page, in its blocks and in its lines."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line
        for block in _IN_A_BLOCK.findall(text)
        for line in block.replace("\\\n", " ").splitlines()
        if "python -m " in line
    ]
    lines += [
        " ".join(example.split()) for example in _IN_A_LINE.findall(_IN_A_BLOCK.sub("", text))
    ]
    return [shlex.split(line.partition("python -m ")[2], comments=True) for line in lines]


_PRINTED = sorted(
    {
        (page.relative_to(ROOT).as_posix(), shlex.join(arguments))
        for page in PAGES
        for arguments in _printed(page)
        if arguments[0].partition(".")[0] in ROOMS
    }
)


@cache
def _help(*command: str) -> set[str]:
    """The options that a command's help names."""
    done = subprocess.run(
        [sys.executable, "-m", *command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", done.stdout))


def _options(arguments: list[str]) -> set[str]:
    return {each for each in arguments if re.match("--?[a-z]", each)}


def test_there_are_printed_commands_to_look_at() -> None:
    assert len(_PRINTED) > 15
    assert ("model/README.md", "model.registry list") in _PRINTED


@pytest.mark.parametrize(("page", "command"), _PRINTED)
def test_printed_commands_exist_with_their_options(page: str, command: str) -> None:
    command, _, for_gunicorn = command.partition(" -- ")
    module, *arguments = shlex.split(command)
    known = _help(module)
    if module in {"model.registry", "service.decisions"} and arguments:
        known = _help(module, arguments[0])
    assert _options(arguments) <= known, page
    assert _options(shlex.split(for_gunicorn)) <= _help("gunicorn"), page


@pytest.mark.parametrize("page", sorted({page for page, _ in _PRINTED if not page.endswith(_CARD)}))
def test_a_page_with_commands_says_which_python_is_meant(page: str) -> None:
    assert ".venv/bin/" in (ROOT / page).read_text(encoding="utf-8")


def _block(page: str, beginning: str) -> str:
    """The block of a page whose first line begins so."""
    blocks = _IN_A_BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    (example,) = [block for block in blocks if block.startswith(beginning)]
    return str(example)


def _line(page: str, beginning: str) -> str:
    """The command of a page's text that begins so."""
    lines = _IN_A_LINE.findall((ROOT / page).read_text(encoding="utf-8"))
    (example,) = [line for line in lines if line.startswith(beginning)]
    return str(example)


def _typed(folder: Path, commands: str) -> str:
    """What commands print that are typed as a page says, from a folder with the rooms in it."""
    for room in (*ROOMS, ".venv"):
        if not (folder / room).exists():
            (folder / room).symlink_to(ROOT / room)
    done = subprocess.run(
        ["bash", "-euc", f". .venv/bin/activate\n{commands}"],
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": ""}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_page_on_the_model_can_be_typed_from_its_first_command_to_its_last(
    tmp_path: Path,
) -> None:
    page = "model/README.md"
    for name in ("live.cbm", "yours.cbm"):
        (tmp_path / name).write_bytes(BUNDLED.read_bytes())
    _typed(tmp_path, _line(page, "python -m model.simulate"))
    trained = _typed(tmp_path, _block(page, "python -m model.train"))
    assert trained.startswith("regno-")
    assert (tmp_path / "build/mine/REPORT.md").is_file()
    # The page rolls back, so some version must have been live before.
    _typed(tmp_path, "python -m model.registry add live.cbm --version before")
    _typed(tmp_path, "python -m model.registry promote before")
    moved = _typed(tmp_path, _block(page, "python -m model.registry"))
    assert moved.endswith(
        "live: 2026-11 -> before\nprevious: before -> 2026-11\ngeneration: 2 -> 3\n"
    )


@pytest.mark.slow
def test_scoring_a_file_can_be_typed_as_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(as_csv(samples(3)))
    _typed(tmp_path, _line("README.md", "python -m model.score"))
    assert len(read((tmp_path / "out.csv").read_bytes())) == 3


@pytest.mark.parametrize(
    ("settings", "dotenv", "line"),
    [
        ({}, "", "Serving on http://127.0.0.1:5000, key 123321. Ctrl-C stops it.\n"),
        ({"SCORING_PORT": "5001"}, "", "Serving on http://127.0.0.1:5001, key 123321. "),
        ({}, "SCORING_PORT=5002\n", "Serving on http://127.0.0.1:5002, key 123321. "),
        ({"SCORING_PORT": "5001"}, "SCORING_PORT=5002\n", "Serving on http://127.0.0.1:5001, "),
        ({"SCORING_HOST": "::1"}, "", "Serving on http://[::1]:5000, key 123321. "),
        ({"SCORING_HOST": "unix:/tmp/s"}, "", "Serving on unix:/tmp/s, key 123321. "),
        ({"SCORING_API_KEYS": "a:of-the-tests"}, "", "Serving on http://127.0.0.1:5000. Ctrl-C"),
    ],
)
def test_make_run_says_where_it_serves(
    settings: dict[str, str], dotenv: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(dotenv)
    plan = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "-C", ROOT, "run"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "5000" not in plan.stdout
    announce, serve = plan.stdout.splitlines()[-2:]
    assert serve == "exec .venv/bin/python -m service"
    done = subprocess.run(
        [sys.executable, *shlex.split(announce)[1:]],
        cwd=tmp_path,
        env=environment(tmp_path, settings),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(line)


def test_make_run_stops_at_a_bad_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service.config.announce"],
        cwd=tmp_path,
        env=environment(tmp_path, {"SCORING_PORT": "0"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("Not started. SCORING_PORT: ")


def test_what_training_makes_in_the_working_folder_is_ignored_by_git() -> None:
    made = "regno-0123456789ab/regno.cbm"
    subprocess.run(["git", "check-ignore", "--quiet", "--no-index", made], cwd=ROOT, check=True)
