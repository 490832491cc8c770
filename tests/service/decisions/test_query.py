"""`decisions query`: questions in SQL to the Parquet files, and to nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.decisions import query
from service.decisions.decision import Feedback
from tests.support.analysis_stores import ParquetCase
from tests.support.commands import Done, prefixed, run_module
from tests.support.decisions import decision, filled, opened
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log with 21 decisions, two of them labelled, that are in Parquet files."""
    log = filled(tmp_path_factory.mktemp("query") / "lo'g", 20)
    log.append([opened(log, decision(20, decision="camera", audited=True))])
    for number in (3, 20):
        log.record([Feedback(1.8e9, f"request-{number}", 0, "camera", "court")])
    ParquetCase().export(log)
    yield log.folder
    log.close()


def ask(folder: Path, *arguments: str) -> Done:
    """The command as a process."""
    settings = prefixed("SCORING", {"decisions_dir": str(folder)})
    return run_module(folder, "service.decisions", "query", *arguments, settings=settings, cwd=ROOT)


def test_the_answer_is_a_table_csv_or_json(folder: Path) -> None:
    sql = (
        "SELECT decision, outcome, count(*) AS number, any_value(limits) AS limits FROM decisions "
        "GROUP BY ALL ORDER BY number, decision DESC"
    )
    table = ask(folder, sql)
    assert (table.returncode, table.stderr) == (0, "")
    assert table.stdout.splitlines() == [
        "decision  outcome  number  limits",
        'manual    camera   1       {"camera":0.2,"network":0.8}',
        'camera    camera   1       {"camera":0.2,"network":0.8}',
        'manual             19      {"camera":0.2,"network":0.8}',
    ]
    assert ask(folder, sql, "--form", "csv").stdout.splitlines() == [
        "decision,outcome,number,limits",
        'manual,camera,1,"{""camera"":0.2,""network"":0.8}"',
        'camera,camera,1,"{""camera"":0.2,""network"":0.8}"',
        'manual,,19,"{""camera"":0.2,""network"":0.8}"',
    ]
    first = json.loads(ask(folder, sql, "--form", "json").stdout.splitlines()[0])
    limits = {"camera": 0.2, "network": 0.8}
    assert first == {"decision": "manual", "outcome": "camera", "number": 1, "limits": limits}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "DROP VIEW decisions",
        "COPY (SELECT 1) TO 'analysis/x.csv'",
        "SET enable_external_access = true",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_blob('{folder}/secrets/log.key')",
        "SELECT * FROM read_csv('{folder}/analysis/../log.sqlite')",
        "SELECT * FROM '{folder}/log.sqlite'",
        "SELECT * FROM query('COPY (SELECT 1) TO ''x.csv''')",
        "SELECT nothing FROM decisions",
        "SELEC",
        "",
    ],
)
def test_nothing_else_is_read_and_nothing_changed(folder: Path, sql: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(query.BadQuery), query.answered(folder, sql.format(folder=folder)) as answer:
        list(answer.rows())
    assert sorted(folder.rglob("*")) == before


def test_a_bad_question_is_refused_in_words(folder: Path) -> None:
    done = ask(folder, "DELETE FROM decisions")
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr == "python -m service.decisions: one SELECT is wanted\n"


def test_before_the_first_export_there_are_no_rows(tmp_path: Path) -> None:
    with query.answered(tmp_path, "SELECT count(*), count(outcome) FROM decisions") as answer:
        assert list(answer.rows()) == [(0, 0)]


def test_the_questions_of_the_page_have_answers(folder: Path) -> None:
    page = (ROOT / "docs/decisions-log.md").read_text(encoding="utf-8")
    questions = page.partition("```sql\n")[2].partition("```")[0].strip().split(";")
    asked = [question for question in questions if question.strip()]
    assert len(asked) >= 4
    for question in asked:
        with query.answered(folder, question) as answer:
            assert list(answer.rows()), question
