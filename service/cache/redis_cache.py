"""Values in Redis by their requests. Keys and values are signed with a secret of the settings."""

import hmac
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final, TypeVar

from redis.exceptions import RedisError

from model.cache import Lookup
from service import VERSION
from service.redis.connection import connect

T = TypeVar("T")

# A Redis nearby answers in 0.1 ms. One that does not is a miss, and left alone for a while: then a
# paused one costs one wait in so many seconds, not one for each request.
_WAIT_SECONDS: Final = 0.1
_PAUSE_SECONDS: Final = 5.0
_PREFIX: Final = "cache:"
_HASH: Final = "sha256"
_SIGNATURE_BYTES: Final = 32


class RedisCache:
    """A cache in one database of Redis. Used by one thread; nothing is connected before that.

    A request is found under the HMAC of it and the service's version: nobody who reads Redis can
    guess a plate from a key. A value is signed together with its key, so that one which was
    changed in Redis, or moved, is an error and not an answer.
    """

    def __init__(self, url: str, secret: str, keep_seconds: float) -> None:
        self._redis = connect(url, _WAIT_SECONDS, _WAIT_SECONDS)
        self._secret = secret.encode()
        self._keep_ms = max(1, round(keep_seconds * 1000))
        self._next_try = 0.0

    def get(self, requests: Sequence[bytes]) -> Lookup:
        """Return the values of requests; all are None if Redis does not answer in time."""
        keys = [self._key(request) for request in requests]
        found = self._answer(lambda: self._redis.mget(keys)) if keys else []
        if found is None:
            return Lookup([None] * len(keys), {"error": len(keys)})
        values = [self._verified(*pair) for pair in zip(keys, found, strict=True)]
        return Lookup(values, Counter(map(_result, found, values)))

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep the values of requests for the time of the settings."""
        pairs = [(self._key(request), value) for request, value in values.items()]

        def put() -> bool:
            with self._redis.pipeline(transaction=False) as pipe:
                for key, value in pairs:
                    pipe.set(key, self._signature(key, value) + value, px=self._keep_ms)
                pipe.execute()
            return True

        if pairs:
            self._answer(put)

    def _answer(self, ask: Callable[[], T]) -> T | None:
        """What Redis answers, None if it does not."""
        if monotonic() < self._next_try:
            return None
        try:
            return ask()
        except (RedisError, OSError):
            self._next_try = monotonic() + _PAUSE_SECONDS
            return None

    def _key(self, request: bytes) -> str:
        text = b"key\0" + VERSION.encode() + b"\0" + request
        return _PREFIX + hmac.digest(self._secret, text, _HASH).hex()

    def _signature(self, key: str, value: bytes) -> bytes:
        return hmac.digest(self._secret, b"value\0" + key.encode() + value, _HASH)

    def _verified(self, key: str, found: bytes | None) -> bytes | None:
        """The value that was found under a key, None unless it is what was put there."""
        if found is None:
            return None
        signature, value = found[:_SIGNATURE_BYTES], found[_SIGNATURE_BYTES:]
        return value if hmac.compare_digest(signature, self._signature(key, value)) else None


def _result(found: bytes | None, value: bytes | None) -> str:
    if value is not None:
        return "hit"
    return "miss" if found is None else "error"
