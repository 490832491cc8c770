"""The decision log in a folder: entries are added, shown, proved, forgotten and checked.

    secrets/   month keys, the index's key, the log's key
    spool/     segments of the workers, until they are in the log
    archive/   the sealed entries
    tile/      the hashes of the Merkle tree, and `checkpoint`, its signed head
    log.sqlite the keyring, the index, and how far the log is

A leaf of the tree holds SHA-256(salt + canonical entry): an entry that was forgotten stays proved.
A batch counts with the commit of the SQLite file: what is in the archive and the tiles beyond it is
written again. One process at a time changes the log.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from math import inf
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any, Final, NamedTuple

from model import catalog
from model.scorer import Decoder, Model
from service.config import files
from service.decisions.archive import Archive, Place
from service.decisions.decision import Decision, Entry, Event, Feedback, decode, encode
from service.decisions.merkle import checkpoint, tree
from service.decisions.merkle.checkpoint import Checkpoint
from service.decisions.merkle.tiles import Tiles
from service.decisions.sealing import Unreadable, month_of, salts, seal, unseal
from service.decisions.secrets import MissingKey, Secrets
from service.decisions.segments import Frame
from service.decisions.store import Row, Store

ORIGIN: Final = "plate-scoring/decisions"
CHECKPOINT: Final = "checkpoint"
STORE: Final = "log.sqlite"
LOCK_PAUSE: Final = 0.01
# The digits of a place or a row: SQLite has no number of 19 nines.
_LONGEST_NUMBER: Final = 15


class Forgotten(Exception):
    """The entry was forgotten: it is proved to be there, and nobody can read it."""


class Unknown(Exception):
    """The log has no such entry."""


class Busy(Exception):
    """Another process uses the log for longer than the caller waits."""


class Damaged(Exception):
    """An entry is not what was logged."""


class Opened(NamedTuple):
    """A frame of a segment that could be read."""

    frame: Frame
    canonical: bytes
    entry: Entry


class DecisionLog:
    """The log in a folder."""

    def __init__(self, folder: Path, origin: str = ORIGIN) -> None:
        """Raises Damaged for a log that has lost a secret: a new one would contradict it."""
        self.folder = folder
        self.secrets = Secrets(folder / "secrets")
        self.store = Store(folder / STORE)
        if not self.store.size:
            self.secrets.make()
        elif lost := self.secrets.lost():
            self.store.close()
            raise Damaged(f"{lost} is lost: restore it")
        self._archive = Archive(folder / "archive")
        self._signer = self.secrets.signer(origin)
        self._origin = origin
        self._salts = salts()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    @property
    def verifier_key(self) -> str:
        """The public key of the log, for those who verify."""
        return self._signer.verifier.text

    @property
    def id(self) -> str:
        """A short name of this log among others: the number of its key."""
        return self._signer.verifier.key_id.hex()

    @contextmanager
    def locked(self, seconds: float = inf) -> Iterator[None]:
        """Wait until nobody else changes the log, and keep others from it.

        Raises Busy after so many seconds.
        """
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, seconds)
            yield
        finally:
            os.close(descriptor)

    def opened(self, frame: Frame) -> Opened:
        """What a frame holds. Raises Unreadable, and MissingKey for a month without a key."""
        key = self.secrets.known_month_key(frame.month)
        canonical = unseal(key, frame.salt, frame.sealed)
        return Opened(frame, canonical, decode(canonical))

    def append(self, found: Sequence[Opened], segment: str = "", done: int = 0) -> None:
        """Add entries; `done` is how far the segment that they come from is in the log then.

        The log must be locked. Raises Damaged in an old copy of the store, whose later entries
        would be overwritten.
        """
        first, (file, end) = self.store.size, self.store.archive_end
        if (published := self._published()) > first:
            raise Damaged(
                f"{published} entries were published, and {STORE} has {first}: restore it"
            )
        places = self._archive.append([one.frame.sealed for one in found], file, end)
        tiles = Tiles(self.folder, first)
        tiles.append([leaf_of(one.frame.salt, one.canonical) for one in found])
        rows, subjects = [], []
        for index, (one, place) in enumerate(zip(found, places, strict=True), first):
            rows.append(_row(index, one, place))
            marks = {self.secrets.index_of(mark) for mark in _subjects(one.entry)}
            subjects += [(mark, index) for mark in marks]
        signed = self._signed(tiles)
        with self.store.transaction():
            self.store.add(rows, subjects)
            for one in found:
                if isinstance(one.entry, Feedback):
                    self._label(one.entry)
            self.store.add_head(tiles.size, time(), signed)
            if segment:
                self.store.set_done(segment, done)
        self._publish(signed)

    def note(self, kind: str, **data: str) -> None:
        """Add an event. The log must be locked."""
        self.record([Event(time(), kind, data)])

    def record(self, entries: Sequence[Entry]) -> None:
        """Add entries of this process. The log must be locked."""
        found = []
        for entry in entries:
            month, salt, canonical = month_of(entry.time), next(self._salts), encode(entry)
            sealed = seal(self.secrets.month_key(month), salt, canonical)
            found.append(Opened(Frame(month, salt, sealed), canonical, entry))
        self.append(found)

    def find(self, name: str) -> Row:
        """The entry with an id, `request` or `request:row`, or `#` and its index. Raises Unknown.

        Callers may use an id again: the latest one is found.
        """
        if name.startswith("#") and _is_number(name[1:]):
            found = self.store.row(int(name[1:]))
        else:
            request, colon, row = name.rpartition(":")
            if not (colon and _is_number(row)):
                request, row = name, "0"
            condition = "kind = 'decision' AND request_id = ? AND row = ?"
            found = next(self.store.rows(condition, request, int(row), order="idx DESC"), None)
        if found is None:
            raise Unknown(name)
        return found

    def canonical(self, row: Row) -> bytes:
        """The canonical bytes of an entry. Raises Forgotten and Damaged."""
        if row.salt is None:
            raise Forgotten
        try:
            key = self.secrets.known_month_key(row.month)
        except MissingKey:
            raise Forgotten from None
        try:
            return unseal(key, row.salt, self._archive.read(row.location))
        except (Unreadable, OSError):
            raise Damaged(f"entry {row.entry} can't be decrypted") from None

    def forget(self, mark: str) -> int:
        """Forget all decisions about a plate, or the like: how many. The log must be locked.

        Raises Busy if their salts are forgotten, but still on disk: somebody reads the log. They
        are removed when this is called again.
        """
        indexes = self.store.about(self.secrets.index_of(mark))
        with self.store.transaction():
            self.store.forget(indexes)
            self.store.add_removals(indexes, time())
        self.note("forget", entries=str(len(indexes)))
        if not self.store.clean():
            raise Busy
        return len(indexes)

    def retain(self, seconds: float) -> int:
        """Forget what has been in the log for longer: how many. The log must be locked.

        The times in entries don't count: a worker's clock that was wrong must not destroy them.
        """
        now = time()
        self.store.drop_removals(now - seconds)
        size = self.store.size_before(now - seconds, now)
        old = list(self.store.rows("idx < ? AND salt IS NOT NULL", size))
        indexes = [row.entry for row in old]
        if indexes:
            with self.store.transaction():
                self.store.forget(indexes)
                # Stores remove the others by their times.
                self.store.add_removals([row.entry for row in old if row.time > now - seconds], now)
            self.store.clean()
            self.note("retention", entries=str(len(indexes)))
        return len(indexes)

    def head(self) -> Checkpoint:
        """The latest checkpoint. Raises BadNote if it is not the log's own."""
        return checkpoint.opened(self.store.head, self._signer.verifier)

    def tiles(self, size: int) -> Tiles:
        """The hashes of the tree of the first entries."""
        return Tiles(self.folder, size)

    def check(self) -> Iterator[str]:
        """What is wrong with the log, entry by entry: changed, removed, inserted or reordered ones.

        Entries that were forgotten are checked by their hashes alone.
        """
        # The log may grow meanwhile: what was published before is in the store then.
        published = self._published()
        with self.store.transaction():
            size, head = self.store.size, self.head()
        if head.size != size:
            yield f"the checkpoint counts {head.size} entries, and the store has {size}"
        if published > head.size:
            yield f"{published} entries were published, and the store has {size}: it is an old copy"
        yield from self._unfounded()
        tiles = self.tiles(head.size)
        for expected, row in enumerate(self.store.rows()):
            if row.entry != expected:
                yield f"entry {expected} lacks"
                return
            if row.entry < head.size and (fault := self._fault(row, tiles)):
                yield fault
        yield from tiles.faults()
        if tree.root(tiles, head.size) != head.root:
            yield "the tree has another root than its checkpoint"

    def _unfounded(self) -> Iterator[str]:
        """Salts and labels in the store that no entry accounts for."""
        forgotten, labels, is_known = 0, dict[int, str](), True
        for row in self.store.rows("kind IN ('forget', 'retention', 'feedback')"):
            try:
                entry = decode(self.canonical(row))
            except (Forgotten, Damaged):
                is_known = False
                continue
            if isinstance(entry, Event):
                forgotten += int(entry.data["entries"])
            elif isinstance(entry, Feedback):
                with suppress(Unknown):
                    labels[self.find(f"{entry.request_id}:{entry.row}").entry] = entry.outcome
        lost = self.store.forgotten
        if is_known and lost > forgotten:
            yield f"{lost} entries have no salt, and {forgotten} were forgotten"
        stored = {row.entry: outcome for row, outcome in self.store.labelled()}
        for entry_number in sorted(labels):
            if stored.get(entry_number) != labels[entry_number]:
                yield f"entry {entry_number} has another label in the store than was logged"

    def _fault(self, row: Row, tiles: Tiles) -> str:
        try:
            canonical = self.canonical(row)
        except Forgotten:
            lacks_key = f"entry {row.entry} can't be read: the key of {row.month} lacks"
            return "" if row.salt is None else lacks_key
        except Damaged as fault:
            return str(fault)
        if leaf_of(row.salt or b"", canonical) != tiles.subtree(0, row.entry):
            return f"entry {row.entry} is not the one that was logged"
        frame = Frame(row.month, row.salt or b"", b"")
        logged = _row(row.entry, Opened(frame, canonical, decode(canonical)), row.location)
        differing = [
            name
            for name, stored, known in zip(Row._fields, row, logged, strict=True)
            if stored != known
        ]
        if differing:
            return f"entry {row.entry} has another {', '.join(differing)} in the store"
        marks = {self.secrets.index_of(mark) for mark in _subjects(decode(canonical))}
        if marks != self.store.marks(row.entry):
            return f"entry {row.entry} has other marks in the index, so `forget` would not find it"
        return ""

    def _label(self, feedback: Feedback) -> None:
        with suppress(Unknown):
            row = self.find(f"{feedback.request_id}:{feedback.row}")
            self.store.label(row.entry, feedback.outcome, feedback.source, feedback.time)

    def _signed(self, tiles: Tiles) -> str:
        root = tree.root(tiles, tiles.size)
        return checkpoint.sign(Checkpoint(self._origin, tiles.size, root), self._signer)

    def _published(self) -> int:
        """The size of the checkpoint beside the store, 0 without one. Raises BadNote."""
        try:
            signed = (self.folder / CHECKPOINT).read_text(encoding="utf-8")
        except FileNotFoundError:
            return 0
        return checkpoint.opened(signed, self._signer.verifier).size

    def _publish(self, signed: str) -> None:
        # For everybody: verifiers and witnesses read it.
        files.write(self.folder / CHECKPOINT, signed, 0o644)


def leaf_of(salt: bytes, canonical: bytes) -> bytes:
    """The hash of an entry's leaf."""
    return tree.leaf_hash(sha256(salt + canonical).digest())


def _lock(descriptor: int, seconds: float) -> None:
    """Lock a file. Raises Busy after so many seconds."""
    until = monotonic() + seconds
    while True:
        try:
            # The kernel has no lock that waits for a limited time.
            limited = seconds < inf
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if limited else 0))
        except BlockingIOError:
            if monotonic() >= until:
                raise Busy from None
            sleep(LOCK_PAUSE)
        else:
            return


def _row(number: int, one: Opened, place: Place) -> Row:
    frame, entry = one.frame, one.entry
    if isinstance(entry, Event):
        about: tuple[Any, ...] = (entry.kind, "", 0, entry.time, frame.month, "", "", None, 0.0)
    elif isinstance(entry, Feedback):
        named = ("feedback", entry.request_id, entry.row, entry.time, frame.month)
        about = (*named, "", entry.outcome, None, 0.0)
    else:
        audited = entry.audit_probability if entry.audited else 0.0
        named = ("decision", entry.request_id, entry.row, entry.time, frame.month)
        about = (*named, entry.version, entry.decision, entry.positive, audited)
    return Row._make((number, *about, *place, frame.salt))


def _subjects(entry: Entry) -> Sequence[str]:
    if not isinstance(entry, Decision):
        return ()
    model, decoder = _model_of(entry.model)
    return model.subjects(decoder(bytes(entry.request)))


@cache
def _model_of(name: str) -> tuple[Model, Decoder]:
    model = catalog.entry(name).load()
    return model, model.decoder(1)


def _is_number(text: str) -> bool:
    """Whether a text is a whole number that the store can look for."""
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
