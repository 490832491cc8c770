"""The files that are scored and written: their ends, links, changes while they are read."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from model.bulk.output import whole_file
from model.bulk.workers import Work, workers
from model.regno import BUNDLED, RegnoScorer
from model.regno.request import FIELDS
from model.tables.csv_cells import _END
from model.tables.output import Renderer
from model.tables.table import open_table
from tests.support.paths import ROOT
from tests.support.server import eventually
from tests.support.tables import HEADER, as_csv, assert_scored, read, run, samples, scored


def test_the_output_may_replace_the_input_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for path in (tmp_path / "link", Path("/dev/null")):
        with whole_file(path) as file:
            file.write(b"text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"text"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("rows_at_a_time", [1, 2, 3, 5000])
def test_a_stray_quote_is_no_matter_wherever_blocks_end(
    scorer: RegnoScorer, tmp_path: Path, rows_at_a_time: int
) -> None:
    rows = samples(6)
    rows[0]["camera_class"] = "Стрелка"
    rows[1]["regno_recognize"] = "x\ny"
    text = as_csv(rows).replace("Стрелка".encode(), 'Стрелка5"'.encode(), 1)
    rows[0]["camera_class"] = 'Стрелка5"'
    (tmp_path / "in.csv").write_bytes(text)
    arguments = (tmp_path / "in.csv", tmp_path / "out.csv", "--chunk-rows", rows_at_a_time)
    done = run(*arguments, "--processes", 1)
    assert "6 rows in " in done.stderr.decode(), done.stderr.decode()
    assert_scored(scorer, rows, read((tmp_path / "out.csv").read_bytes()))


def test_a_row_that_reads_like_the_end_of_a_block_is_a_bad_row() -> None:
    lines = as_csv(samples(4)).splitlines(keepends=True)
    lines.insert(2, f"{_END}\n".encode())
    _, outcomes = scored(b"".join(lines))
    assert (outcomes[0].rows, sum(outcomes[0].faults.values())) == (5, 1)


def test_a_file_that_is_replaced_while_it_is_read_is_scored_as_it_was(
    scorer: RegnoScorer, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    rows = samples(50)
    path.write_bytes(as_csv(rows))
    with open_table(path, FIELDS) as table, workers("regno", 1) as pool:
        layout = table.layout
        renderer = Renderer(layout, layout.format, ["negative", "positive", "error"])
        work = Work("regno", str(BUNDLED), layout, renderer)
        (tmp_path / "new.csv").write_bytes(as_csv(rows[::-1]))
        (tmp_path / "new.csv").replace(path)
        done = [bytes(one.outcome.content) for one in pool.scored(work, table.parcels(10))]
    assert len(done) >= 5
    text = renderer.header + b"".join(done)
    assert_scored(scorer, rows, read(text))


def test_a_descriptor_of_this_process_is_read_by_it(scorer: RegnoScorer, tmp_path: Path) -> None:
    rows = samples(20)
    (tmp_path / "in.csv").write_bytes(as_csv(rows))
    done = run("/dev/stdin", tmp_path / "out.csv", given=as_csv(rows))
    assert done.returncode == 0, done.stderr
    assert_scored(scorer, rows, read((tmp_path / "out.csv").read_bytes()))


def _large(path: Path) -> Path:
    rows = as_csv(samples(200)).partition(b"\n")[2]
    path.write_bytes(HEADER + rows * 1000)
    return path


def _under_way(folder: Path) -> "tuple[subprocess.Popen[bytes], list[int]]":
    """A run that has written some output, and its workers."""
    source = _large(folder / "in.csv")
    command = [sys.executable, "-m", "model.score", str(source), str(folder / "out.csv")]
    command += ["--processes", "2", "--no-progress"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    eventually(lambda: any(path.stat().st_size for path in folder.glob(".out*")), "some output")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return process, list(map(int, children.split()))


def _is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_a_worker_that_dies_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    process, workers = _under_way(tmp_path)
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 70
    assert errors == (b"python -m model.score: a worker process died; was there memory enough?\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_no_worker_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    process, workers = _under_way(tmp_path)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=60)
    eventually(lambda: not any(map(_is_running, workers)), "the end of the workers")


def test_a_parcel_beyond_the_shared_memory_is_scored_as_any(
    scorer: RegnoScorer, tmp_path: Path
) -> None:
    rows = samples(40)
    path = tmp_path / "in.csv"
    path.write_bytes(as_csv(rows))
    with open_table(path, FIELDS) as table, workers("regno", 1, shared=1 << 12) as pool:
        layout = table.layout
        renderer = Renderer(layout, layout.format, ["negative", "positive", "error"])
        work = Work("regno", str(BUNDLED), layout, renderer)
        done = [bytes(one.outcome.content) for one in pool.scored(work, table.parcels(7))]
    assert max(map(len, done)) > 1 << 12 > min(map(len, done))
    assert_scored(scorer, rows, read(renderer.header + b"".join(done)))
