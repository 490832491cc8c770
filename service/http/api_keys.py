"""API keys: who is calling, and whether a text holds a key.

Keys are kept as SHA-256 digests only, and looked up by them.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from model.utf8 import NotUtf8File
from service.config.addresses import is_loopback
from service.config.settings import EXAMPLE_KEY, Settings, SettingsError, variable
from service.http.key_guesses import KeyGuesses
from service.http.key_sources import BadKeys, KeysFile, Known, Pair, entries

# Shorter secrets occur in many texts by chance.
LEAST_SEARCHED: Final = 8
NOT_THE_EXAMPLE: Final = "the example key may serve on loopback only: make one of your own"
EXAMPLE_DIGEST: Final = sha256(EXAMPLE_KEY.encode()).digest()

# An address as `getsockname` returns it.
Address: TypeAlias = tuple[Any, ...] | str | bytes
# What a look at the keys file led to; None where it has not changed.
Reload: TypeAlias = Literal["loaded", "refused"] | None

log = logging.getLogger("scoring")


class ApiKeys:
    """The callers' keys: those of the settings and those of the keys file.

    The file is checked once a second. A file that can't be read, holds no usable key or is cut off
    leaves the keys of the last good one in force.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError if there is no key, or an example key on an open address."""
        self._exposed = not is_loopback(settings.host)
        try:
            self._fixed = self._digested(entries(settings.api_keys))
            if settings.api_keys and not self._fixed:
                raise BadKeys("it holds no key")  # noqa: TRY301 - reported as the others are
        except BadKeys as error:
            raise SettingsError(variable("api_keys"), str(error)) from None
        self._put_in_force(self._fixed)
        self.guesses = KeyGuesses()
        self._complaint = ""
        self._file: KeysFile | None = None
        if settings.api_keys_file:
            self._file = KeysFile(Path(settings.api_keys_file), self._digested)
            self._load_first(self._file)

    def check_exposure(self, addresses: Iterable[Address]) -> None:
        """Raise SettingsError if the example key is in force and an address is not loopback.

        The settings' host is not decisive: gunicorn may get other addresses, or sockets of systemd.
        """
        if _is_exposed(addresses) and EXAMPLE_DIGEST in self._digests:
            raise SettingsError(variable("api_keys"), NOT_THE_EXAMPLE)

    def revoke_example_key_if_exposed(self, addresses: Iterable[Address]) -> None:
        """Revoke the example key if one of the addresses is not loopback."""
        if not _is_exposed(addresses):
            return
        self._exposed = True
        if EXAMPLE_DIGEST in self._digests:
            log.error("The example key is not in force: %s", NOT_THE_EXAMPLE)
            for keys in (self._fixed, self._digests):
                keys.pop(EXAMPLE_DIGEST, None)
            self._put_in_force(self._digests)

    @property
    def names(self) -> list[str]:
        """The names of the callers that have keys now."""
        return sorted({key.name for key in self._digests.values()})

    def name_of(self, key: bytes) -> str | None:
        """The name of the caller that this key belongs to, None for an unknown key.

        The time of the look-up depends on the digest, which reveals nothing about a guess.
        """
        return self._names.get(sha256(key).digest())

    def digests_of(self, name: str) -> list[bytes]:
        """The SHA-256 digests of a caller's keys that are in force."""
        return [digest for digest, known in self._digests.items() if known.name == name]

    def is_in(self, text: str) -> bool:
        """Whether a text is a key or holds one: each part that is as long as a key is looked up."""
        if self.name_of(text.encode()) is not None:
            return True
        return any(
            hash(text[at : at + length]) in hashes
            for length, hashes in self._hashes.items()
            for at in range(len(text) - length + 1)
        )

    def search(self, token: str) -> Callable[[str], bool]:
        """What says whether a text is or holds a key, or another secret: the token, if not empty.

        Secrets below LEAST_SEARCHED characters are found as whole texts only.
        """
        if len(token) >= LEAST_SEARCHED:
            return lambda text: self.is_in(text) or token in text
        return lambda text: self.is_in(text) or (bool(token) and text == token)

    def reload_if_changed(self) -> Reload:
        """Read the keys file again if it has changed; called once a second.

        Returns "refused" for each look at a file that can't be used.
        """
        if self._file is None:
            return None
        try:
            keys = self._file.read_if_changed()
        except (OSError, ValueError) as error:
            self._complain(_reason(error))
            return "refused"
        self._complaint = ""
        if keys is None:
            return None
        self._put_in_force({**self._fixed, **keys})
        log.info("The API keys file has changed: %d keys in force", len(self._digests))
        return "loaded"

    def _complain(self, reason: str) -> None:
        """Log a problem with the file once, not once a second."""
        if reason != self._complaint:
            self._complaint = reason
            log.warning("The API keys file can't be used, the old keys stay: %s", reason)

    def _load_first(self, file: KeysFile) -> None:
        try:
            self._put_in_force({**self._fixed, **(file.read_if_changed() or {})})
        except (OSError, ValueError) as error:
            reason = f"{file.path}: {_reason(error)}"
            raise SettingsError(variable("api_keys_file"), reason) from None

    def _put_in_force(self, digests: dict[bytes, Known]) -> None:
        hashes = defaultdict(set)
        for key in digests.values():
            if key.length >= LEAST_SEARCHED:
                hashes[key.length].add(key.hashed)
        self._digests, self._hashes = digests, dict(hashes)
        self._names = {digest: key.name for digest, key in digests.items()}

    def _digested(self, pairs: Iterable[Pair]) -> dict[bytes, Known]:
        """What is kept of (name, key) pairs, by the SHA-256 digest of the key. Raises BadKeys."""
        keys: dict[bytes, Known] = {}
        for name, key in pairs:
            if key == EXAMPLE_KEY and self._exposed:
                raise BadKeys(NOT_THE_EXAMPLE)
            keys[sha256(key.encode()).digest()] = Known(name, len(key), hash(key))
        return keys


def _is_exposed(addresses: Iterable[Address]) -> bool:
    hosts = [address[0] for address in addresses if isinstance(address, tuple)]
    return not all(map(is_loopback, hosts))


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it can't be read"
    return str(error) if isinstance(error, BadKeys | NotUtf8File) else "it can't be read"
