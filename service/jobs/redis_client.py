"""The client of the Redis of the distributed form: no call takes longer than a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from service.jobs.records import RecordsUnavailable
from service.redis.connection import connect

_COMMIT: Final = Path(__file__).with_name("commit.lua").read_text("utf-8")

Command = tuple[str | bytes, ...]


class Client:
    """Commands to Redis, from any thread, and in any process that was forked since."""

    def __init__(self, url: str) -> None:
        """Nothing is connected before the first use."""
        self.redis = connect(url)
        self._commit = self.redis.register_script(_COMMIT)

    @contextmanager
    def answering(self) -> Iterator[Any]:
        """Give the client of the package; what it raises becomes RecordsUnavailable."""
        try:
            yield self.redis
        except RedisError as error:
            raise RecordsUnavailable from error

    def commit(self, conditions: list[dict[str, Any]], commands: list[Command]) -> int:
        """Run commands as one change if all conditions hold; see commit.lua.

        Returns 0, or the number of the first condition that does not hold. Raises
        RecordsUnavailable: the change may have been made then.
        """
        request = msgspec.json.encode({"conditions": conditions, "commands": commands})
        with self.answering():
            return int(self._commit(args=[request]))
