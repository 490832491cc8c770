"""MongoDB: the confidences of the readings as packed vectors, a document for each decision."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bson.binary import Binary, BinaryVectorDtype
from pymongo import MongoClient, UpdateOne

from service.decisions.stores.rows import AnalysisRow, Batch, Label
from service.decisions.stores.store import Position

_CONNECT_MS: Final = 5_000
_REPLY_MS: Final = 60_000
_DAY_SECONDS: Final = 86_400
_TTL: Final = "age"
# Beyond it a packed number would be infinite; callers may send any finite one.
_GREATEST: Final = 3.4028234e38
_COLUMNS: Final = (
    *("log", "entry", "request_id", "row", "time", "model", "version", "positive", "decision"),
    *("camera_type", "camera_class", "camera_accuracy", "network_score"),
)


class MongoStore:
    """The database of a URL, for the vectors of one log."""

    name = "mongodb"
    batch_entries = 1_000
    batch_seconds = 1.0

    def __init__(self, url: str, log: str) -> None:
        """Connect, and make the indexes. Raises PyMongoError."""
        self._log = log
        self._client = connected(url)
        database = self._client.get_default_database()
        self._vectors = database["vectors"]
        self._exports = database["exports"]
        self._vectors.create_index(["log", "entry"], unique=True)
        self._vectors.create_index("request_id")

    def position(self) -> Position:
        """How far it is."""
        found = self._exports.find_one({"_id": self._log})
        return Position(*(found[name] for name in Position._fields)) if found else Position()

    def commit(self, position: Position) -> None:
        """Keep how far it is."""
        self._exports.update_one({"_id": self._log}, {"$set": position._asdict()}, upsert=True)

    def append(self, batch: Batch) -> None:
        """Write a document for each decision that has vectors; one that is there is replaced."""
        pairs = zip(batch.rows, batch.vectors, strict=True)
        writes = [_document(row, vectors) for row, vectors in pairs if vectors]
        # A label of a decision that is not there would make a document of nothing else.
        writes += [_labelled(label) for label in batch.labels]
        if writes:
            self._vectors.bulk_write(writes, ordered=True)

    def remove(self, entries: Sequence[int]) -> None:
        """Remove the documents of decisions."""
        self._vectors.delete_many({"log": self._log, "entry": {"$in": list(entries)}})

    def retain(self, days: int) -> None:
        """Have documents removed at this age."""
        seconds = days * _DAY_SECONDS
        found = self._vectors.index_information().get(_TTL)
        if found and found.get("expireAfterSeconds") == seconds:
            return
        if found:
            self._vectors.drop_index(_TTL)
        self._vectors.create_index("time", name=_TTL, expireAfterSeconds=seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def connected(url: str) -> "MongoClient[dict[str, Any]]":
    """A client of the database of a URL, mongodb(+srv)://USER:PASSWORD@HOST:PORT/DATABASE."""
    return MongoClient(
        url,
        serverSelectionTimeoutMS=_CONNECT_MS,
        connectTimeoutMS=_CONNECT_MS,
        socketTimeoutMS=_REPLY_MS,
        w="majority",
        tz_aware=True,
    )


def _document(row: AnalysisRow, vectors: Mapping[str, Sequence[float]]) -> UpdateOne:
    known = row._asdict()
    content: dict[str, object] = {name: known[name] for name in _COLUMNS}
    content |= {name: _packed(vector) for name, vector in vectors.items()}
    return UpdateOne({"_id": _id(row.log, row.entry)}, {"$set": content}, upsert=True)


def _labelled(label: Label) -> UpdateOne:
    content: dict[str, object] = {
        "outcome": label.outcome,
        "source": label.source,
        "labelled": label.labelled,
    }
    return UpdateOne({"_id": _id(label.log, label.entry)}, {"$set": {"label": content}})


def _id(log: str, entry: int) -> str:
    return f"{log}:{entry}"


def _packed(vector: Sequence[float]) -> Binary:
    bounded = [min(max(number, -_GREATEST), _GREATEST) for number in vector]
    return Binary.from_vector(bounded, BinaryVectorDtype.FLOAT32)
