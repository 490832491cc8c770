"""The history of pictures in Redis: that of the distributed form, one for all machines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from service.images.history import Bounds, Entry, History, HistoryUnavailable, New
from service.redis.connection import connect

_CHANGES: Final = Path(__file__).with_name("history.lua").read_text("utf-8")
# Entries that are read at a time, where those of one model are looked for.
_READ: Final = 200


class RedisHistory(History):
    """The history in one database of Redis, in a stream for each key; see history.lua."""

    def __init__(self, url: str, bounds: Bounds) -> None:
        self._redis = connect(url)
        self._bounds = bounds
        self._changes = self._redis.register_script(_CHANGES)

    def add(self, new: New) -> Entry:
        entry = new.entry()
        fields = ("model", new.model, "query", new.query, "version", new.version)
        answer = ("score", msgspec.json.encode(new.score), "created", repr(new.created))
        size = ("bytes", entry.bytes)
        args = ["add", new.owner, *self._bounds, new.png, entry.digest, *fields, *answer, *size]
        with self._answering():
            return entry._replace(id=int(self._changes(args=args)))

    def page(self, owner: str, model: str, after: int, limit: int) -> Sequence[Entry]:
        found: list[Entry] = []
        with self._answering():
            while len(found) < limit:
                read = self._redis.xrange(_entries(owner), f"{after + 1}-0", "+", _READ)
                entries = [_entry(owner, *one) for one in read]
                found += [entry for entry in entries if entry.model == model]
                if len(entries) < _READ:
                    break
                after = entries[-1].id
        return found[:limit]

    def newest(self, owner: str, limit: int) -> Sequence[Entry]:
        with self._answering():
            read = self._redis.xrevrange(_entries(owner), "+", "-", limit)
        return [_entry(owner, *one) for one in read]

    def picture(self, owner: str, digest: str) -> bytes | None:
        with self._answering():
            png: bytes | None = self._redis.hget(f"jobs:history:pictures:{owner}", digest)
        return png

    def delete(self, owner: str, digest: str) -> bool:
        with self._answering():
            return bool(self._changes(args=["delete", owner, digest]))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What Redis raises becomes HistoryUnavailable."""
        try:
            yield
        except RedisError as error:
            raise HistoryUnavailable from error


def _entries(owner: str) -> str:
    return f"jobs:history:entries:{owner}"


def _entry(owner: str, number: bytes, fields: dict[bytes, bytes]) -> Entry:
    text: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    return Entry(
        id=int(number.partition(b"-")[0]),
        owner=owner,
        model=text["model"],
        query=text["query"],
        version=text["version"],
        score=msgspec.json.decode(text["score"]),
        digest=text["digest"],
        bytes=int(text["bytes"]),
        created=float(text["created"]),
    )
