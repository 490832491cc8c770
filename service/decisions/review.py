"""The review queue: manual decisions and audit draws, one case at a time for each reviewer.

Both kinds wait in one line, the oldest first, and nothing that a reviewer gets says which is which.
Cases of the same likeness (of one camera type, differing at the same places) come one after the
other, since a person compares them quicker. A case is locked to one reviewer for some minutes. Each
answer is feedback in the log. A share of the cases goes to a second reviewer, which shows how much
reviewers agree.

The queue is a file beside the log: it holds places in the log, likenesses and answers, no plate.
"""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import islice
from random import random
from time import time
from typing import Any, Final, NamedTuple

from model import catalog
from service.decisions import feedback
from service.decisions.agreement import Agreement, agreement
from service.decisions.decision import Decision, decode
from service.decisions.feedback import Label
from service.decisions.log import Damaged, DecisionLog, Forgotten, Unknown
from service.decisions.quality import MANUAL
from service.decisions.store import Row, transaction

FILE: Final = "review.sqlite"
# Nobody compares two readings for longer; who comes back later gets another case.
LEASE_SECONDS: Final = 300.0
# A case that somebody skipped is for others before it is shown to them again.
SKIP_SECONDS: Final = 3600.0
# Costs a tenth more work; a few hundred such cases measure the agreement to some per cent.
SECOND_SHARE: Final = 0.1
# Cases of one likeness that may overtake older ones: so many in a row, among the oldest so many.
RUN: Final = 20
_WINDOW: Final = 200
# Entries of the log that are taken in at a time.
_BATCH: Final = 500
# The log's lock is held by the sink, that of the queue for moments only.
_LOG_SECONDS: Final = 2.0
_QUEUE_SECONDS: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cases (
    idx INTEGER PRIMARY KEY, time REAL, likeness TEXT, wanted INTEGER, answers INTEGER DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON cases (time, idx, answers) WHERE answers < wanted;
CREATE TABLE IF NOT EXISTS leases (idx INTEGER PRIMARY KEY, reviewer TEXT, until REAL);
CREATE TABLE IF NOT EXISTS skipped (
    idx INTEGER, reviewer TEXT, until REAL, PRIMARY KEY (idx, reviewer)
);
CREATE TABLE IF NOT EXISTS answers (
    idx INTEGER, reviewer TEXT, outcome TEXT, PRIMARY KEY (idx, reviewer)
);
CREATE TABLE IF NOT EXISTS reviewers (
    reviewer TEXT PRIMARY KEY, likeness TEXT, run INTEGER, answered INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS pairs (
    first TEXT, second TEXT, number INTEGER DEFAULT 0, PRIMARY KEY (first, second)
);
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), seen INTEGER)
"""
_NEWS: Final = (
    "idx > ? AND (kind IN ('feedback', 'forget', 'retention') OR kind = 'decision' "
    f"AND salt IS NOT NULL AND (decision = '{MANUAL}' OR audited > 0))"
)
_FREE: Final = """
SELECT idx, likeness FROM cases WHERE answers < wanted
    AND idx NOT IN (SELECT idx FROM leases)
    AND idx NOT IN (SELECT idx FROM skipped WHERE reviewer = :reviewer)
    AND NOT EXISTS (SELECT 1 FROM answers WHERE answers.idx = cases.idx AND reviewer = :reviewer)
ORDER BY time, idx LIMIT :window
"""
_WAITING: Final = """
SELECT sum(answers = 0), min(CASE WHEN answers = 0 THEN time END), sum(answers > 0)
FROM cases WHERE answers < wanted
"""
_RUN_OF: Final = """
INSERT INTO reviewers (reviewer, likeness, run) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET likeness = excluded.likeness, run = excluded.run
"""
_PAIR: Final = """
INSERT INTO pairs SELECT outcome, :outcome, 1 FROM answers WHERE idx = :idx
ON CONFLICT DO UPDATE SET number = number + 1
"""


class NotHeld(Exception):
    """A case is not, or not any more, this reviewer's to answer."""


class Case(NamedTuple):
    """A decision for review: its place in the log, and what was logged."""

    entry: int
    decision: Decision


class Figures(NamedTuple):
    """The state of the queue.

    `waiting` cases have no answer, the oldest since `oldest` (a time, None without one); `again`
    have one and wait for a second. `answered` counts answers by reviewer.
    """

    waiting: int
    oldest: float | None
    again: int
    answered: dict[str, int]
    agreement: Agreement | None


class ReviewQueue:
    """The queue of a log, in a file of its folder; for one thread."""

    def __init__(
        self,
        log: DecisionLog,
        *,
        clock: Callable[[], float] = time,
        second_share: float = SECOND_SHARE,
    ) -> None:
        self._log = log
        self._clock = clock
        self._second_share = second_share
        path = log.folder / FILE
        self._database = sqlite3.connect(path, timeout=_QUEUE_SECONDS, isolation_level=None)
        path.chmod(0o600)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def take_in(self) -> bool:
        """Take in some of what the log has had since: whether there may be more."""
        with transaction(self._database):
            found = self._database.execute("SELECT seen FROM progress").fetchone()
            seen, last = found[0] if found else -1, self._log.store.size - 1
            rows = list(islice(self._log.store.rows(_NEWS, seen), _BATCH))
            for row in rows:
                self._take(row)
            if any(row.kind in ("forget", "retention") for row in rows):
                self._drop_forgotten()
            is_all = len(rows) < _BATCH
            seen = max(seen, last) if is_all else rows[-1].entry
            self._database.execute("INSERT OR REPLACE INTO progress VALUES (1, ?)", (seen,))
        return not is_all

    def next(self, reviewer: str) -> Case | None:
        """The case that a reviewer holds, or the next one, locked to them; None without one."""
        while (index := self._leased(reviewer)) is not None:
            if decision := self._readable(index):
                return Case(index, decision)
            self._drop([index])
        return None

    def answer(self, reviewer: str, index: int, outcome: str) -> None:
        """Take an answer, as feedback in the log.

        Raises NotHeld, Unusable for an outcome that is none, and Busy while the log can't be
        written.
        """
        with self._log.locked(_LOG_SECONDS), transaction(self._database):
            row = self._log.store.row(index)
            # What was forgotten since the page was made takes no label, as by `POST /feedback`.
            if row is None or row.salt is None or not self._is_latest(row):
                raise NotHeld
            if not self._may_answer(reviewer, index):
                raise NotHeld
            label = Label(row.request_id, row.row, outcome, "", reviewer)
            feedback.add(self._log, [feedback.feedback_of(self._log, label)])
            self._keep(reviewer, index, outcome)

    def skip(self, reviewer: str, index: int) -> None:
        """Leave a case to others. Raises NotHeld."""
        with transaction(self._database):
            if not self._may_answer(reviewer, index):
                raise NotHeld
            values = (index, reviewer, self._clock() + SKIP_SECONDS)
            self._database.execute("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?)", values)
            self._database.execute("DELETE FROM leases WHERE idx = ?", (index,))

    def figures(self) -> Figures:
        """The state of the queue."""
        select = self._database.execute
        waiting, oldest, again = select(_WAITING).fetchone()
        answered = select("SELECT reviewer, answered FROM reviewers WHERE answered ORDER BY 1")
        pairs = {(one, other): number for one, other, number in select("SELECT * FROM pairs")}
        return Figures(waiting or 0, oldest, again or 0, dict(answered), agreement(pairs))

    def _keep(self, reviewer: str, index: int, outcome: str) -> None:
        """Keep an answer; if it is the second one, the pair of both, too."""
        change = self._database.execute
        change(_PAIR, {"idx": index, "outcome": outcome})
        change("INSERT INTO answers VALUES (?, ?, ?)", (index, reviewer, outcome))
        change("INSERT OR IGNORE INTO reviewers VALUES (?, '', 0, 0)", (reviewer,))
        change("UPDATE reviewers SET answered = answered + 1 WHERE reviewer = ?", (reviewer,))
        change("UPDATE cases SET answers = answers + 1 WHERE idx = ?", (index,))
        change("DELETE FROM leases WHERE idx = ?", (index,))

    def _take(self, row: Row) -> None:
        """Take in an entry: a case, or a label by which a case is settled."""
        if row.kind == "feedback":
            # Answers of reviewers are counted before they are entries of the log.
            settle = "UPDATE cases SET wanted = 0 WHERE idx = ? AND answers = 0"
            try:
                decision = self._log.find(f"{row.request_id}:{row.row}")
            except Unknown:
                return
            self._database.execute(settle, (decision.entry,))
        elif row.kind == "decision" and (likeness := self._likeness(row)) is not None:
            wanted = 2 if random() < self._second_share else 1  # noqa: S311 - drawn, and no secret
            values = (row.entry, row.time, likeness, wanted)
            insert = "INSERT OR IGNORE INTO cases (idx, time, likeness, wanted) VALUES (?, ?, ?, ?)"
            self._database.execute(insert, values)

    def _likeness(self, row: Row) -> str | None:
        """The likeness of a decision, None if it is none that a person can review."""
        decision = self._decision(row)
        compared = comparison_of(decision) if decision else None
        return compared.likeness if compared else None

    def _leased(self, reviewer: str) -> int | None:
        """The place of the case that a reviewer holds, or of one that is locked to them now."""
        with transaction(self._database):
            now = self._clock()
            for table in ("leases", "skipped"):
                self._database.execute(f"DELETE FROM {table} WHERE until <= ?", (now,))  # noqa: S608
            index = self._held(reviewer)
            if index is None:
                index = self._chosen(reviewer)
            self._database.execute("DELETE FROM leases WHERE reviewer = ?", (reviewer,))
            if index is not None:
                lease = (index, reviewer, now + LEASE_SECONDS)
                self._database.execute("INSERT INTO leases VALUES (?, ?, ?)", lease)
        return index

    def _held(self, reviewer: str) -> int | None:
        query = (
            "SELECT idx FROM leases JOIN cases USING (idx) WHERE reviewer = ? AND answers < wanted"
        )
        found = self._database.execute(query, (reviewer,)).fetchone()
        return found[0] if found else None

    def _chosen(self, reviewer: str) -> int | None:
        """The place of the next case: a like one for a while, else the oldest."""
        select = self._database.execute
        free = select(_FREE, {"reviewer": reviewer, "window": _WINDOW}).fetchall()
        if not free:
            return None
        last = select("SELECT likeness, run FROM reviewers WHERE reviewer = ?", (reviewer,))
        likeness, run = last.fetchone() or ("", 0)
        like = [one for one in free if one[1] == likeness] if run < RUN else []
        index, chosen = (like or free)[0]
        values = (reviewer, chosen, run + 1 if chosen == likeness else 1)
        select(_RUN_OF, values)
        return int(index)

    def _may_answer(self, reviewer: str, index: int) -> bool:
        """Whether a case waits, no other reviewer holds it, and this one has not answered it."""
        query = (
            "SELECT 1 FROM cases WHERE idx = :idx AND answers < wanted AND NOT EXISTS "
            "(SELECT 1 FROM leases WHERE idx = :idx AND reviewer != :reviewer AND until > :now) "
            "AND NOT EXISTS (SELECT 1 FROM answers WHERE idx = :idx AND reviewer = :reviewer)"
        )
        named = {"idx": index, "reviewer": reviewer, "now": self._clock()}
        return self._database.execute(query, named).fetchone() is not None

    def _readable(self, index: int) -> Decision | None:
        """A decision by its place; None if it was forgotten, or a later one has taken its id."""
        row = self._log.store.row(index)
        return self._decision(row) if row and self._is_latest(row) else None

    def _is_latest(self, row: Row) -> bool:
        """Whether labels of a decision's id are about this one: callers may use an id again."""
        if row.kind != "decision":  # an event has no id
            return False
        return self._log.find(f"{row.request_id}:{row.row}").entry == row.entry

    def _decision(self, row: Row) -> Decision | None:
        try:
            entry = decode(self._log.canonical(row))
        except (Forgotten, Damaged):
            return None
        return entry if isinstance(entry, Decision) else None

    def _drop_forgotten(self) -> None:
        indexes = [index for (index,) in self._database.execute("SELECT idx FROM cases")]
        rows = ((index, self._log.store.row(index)) for index in indexes)
        self._drop([index for index, row in rows if row is None or row.salt is None])

    def _drop(self, indexes: Sequence[int]) -> None:
        places = [(index,) for index in indexes]
        self._database.executemany("DELETE FROM cases WHERE idx = ?", places)
        self._database.executemany("DELETE FROM leases WHERE idx = ?", places)


def comparison_of(decision: Decision) -> Any:
    """What a person compares of a decision; None if its model has no such thing."""
    model = catalog.entry(decision.model).load()
    return model.comparison(model.decoder(1)(bytes(decision.request)))
