"""Each entry is encrypted with a key of its own, which its salt and the month's key make.

Without the salt it can't be decrypted, even with the month's key: so a single entry can be
forgotten. A key encrypts one entry only, so its nonce may be constant.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from time import gmtime, strftime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
MONTH_BYTES: Final = len("2026-11")
_NONCE: Final = bytes(12)
_SALTS_AT_ONCE: Final = 512


class Unreadable(Exception):
    """The bytes are not what was sealed with this salt and this month's key."""


def month_of(time: float) -> str:
    """The month of a time, by UTC."""
    return strftime("%Y-%m", gmtime(time))


def salts() -> Iterator[bytes]:
    """Salts without end, each of them new."""
    while True:
        # A call for each would take a third of a microsecond.
        block = os.urandom(SALT_BYTES * _SALTS_AT_ONCE)
        for at in range(0, len(block), SALT_BYTES):
            yield block[at : at + SALT_BYTES]


def seal(month_key: bytes, salt: bytes, canonical: bytes) -> bytes:
    """The encrypted entry."""
    return AESGCM(_key(month_key, salt)).encrypt(_NONCE, canonical, None)


def unseal(month_key: bytes, salt: bytes, sealed: bytes) -> bytes:
    """The entry. Raises Unreadable."""
    try:
        return AESGCM(_key(month_key, salt)).decrypt(_NONCE, sealed, None)
    except (InvalidTag, ValueError):
        raise Unreadable from None


def _key(month_key: bytes, salt: bytes) -> bytes:
    # Keyed BLAKE2b is a PRF, and takes a third of the time of HMAC.
    return blake2b(salt, key=month_key, digest_size=KEY_BYTES).digest()
