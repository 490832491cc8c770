"""The files that are scored and written: their ends, links, changes while they are read."""

from pathlib import Path

import pytest

from model.bulk.output import whole_file
from model.bulk.workers import Work, workers
from model.regno import BUNDLED, RegnoScorer
from model.regno.request import FIELDS
from model.tables.csv_cells import _END
from model.tables.output import Renderer
from model.tables.table import open_table
from tests.support.tables import as_csv, assert_scored, read, run, samples, scored


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
    with open_table(path, FIELDS) as table, workers("regno", 1, detail=False) as pool:
        layout = table.layout
        renderer = Renderer(layout, layout.format, ["negative", "positive", "error"])
        work = Work("regno", str(BUNDLED), layout, renderer)
        (tmp_path / "new.csv").write_bytes(as_csv(rows[::-1]))
        (tmp_path / "new.csv").replace(path)
        done = list(pool.scored(work, table.parcels(10)))
    assert len(done) >= 5
    text = renderer.header + b"".join(one.outcome.content for one in done)
    assert_scored(scorer, rows, read(text))


def test_a_descriptor_of_this_process_is_read_by_it(scorer: RegnoScorer, tmp_path: Path) -> None:
    rows = samples(20)
    (tmp_path / "in.csv").write_bytes(as_csv(rows))
    done = run("/dev/stdin", tmp_path / "out.csv", given=as_csv(rows))
    assert done.returncode == 0, done.stderr
    assert_scored(scorer, rows, read((tmp_path / "out.csv").read_bytes()))
