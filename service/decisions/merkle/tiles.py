"""The hashes of a tree as files: C2SP tlog-tiles.

A tile at level L holds up to 256 hashes of complete subtrees of 256^L leaves each. A full tile
never changes. A partial one has its number of hashes in its name; the full one takes the place of
all of them.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from typing import Final

from service.decisions.merkle.tree import HASH_BYTES, node_hash

_HEIGHT: Final = 8
WIDTH: Final = 1 << _HEIGHT
_GROUP: Final = 1000
_KEPT_TILES: Final = 256


class DamagedTile(Exception):
    """A tile lacks, or has not the length that its name says."""


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """The path of a tile below the log's folder."""
    groups = [f"{number % _GROUP:03}"]
    while number := number // _GROUP:
        groups.insert(0, f"x{number % _GROUP:03}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(groups)}{partial}"


class Tiles:
    """The tiles of a log of `size` leaves in a folder."""

    def __init__(self, folder: Path, size: int) -> None:
        """`size` is that of the latest checkpoint: hashes beyond it are written again."""
        self._folder = folder
        self.size = size
        self._full = lru_cache(_KEPT_TILES)(self._read_full)

    def append(self, leaves: Sequence[bytes]) -> None:
        """Add hashes of leaves. They count once a checkpoint of the new size is signed.

        Raises OSError and DamagedTile.
        """
        level, at, hashes = 0, self.size, [*leaves]
        while hashes:
            hashes = self._extend(level, at, hashes)
            level, at = level + 1, at >> _HEIGHT
        self.size += len(leaves)

    def subtree(self, level: int, index: int) -> bytes:
        """The root of the leaves from `index << level` on, `1 << level` of them.

        Raises DamagedTile.
        """
        tile_level, above = divmod(level, _HEIGHT)
        first, count = index << above, 1 << above
        tile = self._tile(tile_level, first >> _HEIGHT)
        begin = first & WIDTH - 1
        hashes = [tile[at * HASH_BYTES :][:HASH_BYTES] for at in range(begin, begin + count)]
        if len(hashes[-1]) < HASH_BYTES:
            raise DamagedTile(f"level {tile_level} has no subtree {first + count - 1}")
        while len(hashes) > 1:
            hashes = _above(hashes)
        return hashes[0]

    def faults(self) -> Iterator[str]:
        """Full tiles whose hashes don't make the one that the level above has of them.

        The root of a tree is made of the highest hashes alone. Raises DamagedTile.
        """
        level, count = 0, self.size >> _HEIGHT
        while count:
            above = (level + 1) * _HEIGHT
            for number in range(count):
                if _root_of(self._full(level, number)) != self.subtree(above, number):
                    first, last = number << above, (number + 1 << above) - 1
                    yield f"hashes of entries {first} to {last} are changed"
            level, count = level + 1, count >> _HEIGHT

    def _extend(self, level: int, at: int, hashes: Sequence[bytes]) -> list[bytes]:
        """Write hashes of a level behind its first `at`. Returns the roots of full tiles."""
        number, held = divmod(at, WIDTH)
        content = self._tile(level, number)[: held * HASH_BYTES] if held else b""
        content += b"".join(hashes)
        roots = []
        for tile in _cut(content):
            width = len(tile) // HASH_BYTES
            path = self._folder / tile_path(level, number, width)
            self._write(path, tile)
            if width == WIDTH:
                rmtree(path.with_name(f"{path.name}.p"), ignore_errors=True)
                roots.append(_root_of(tile))
            number += 1
        return roots

    def _tile(self, level: int, number: int) -> bytes:
        width = min((self.size >> level * _HEIGHT) - number * WIDTH, WIDTH)
        return self._full(level, number) if width == WIDTH else self._read(level, number, width)

    def _read_full(self, level: int, number: int) -> bytes:
        return self._read(level, number, WIDTH)

    def _read(self, level: int, number: int, width: int) -> bytes:
        """A tile, or the beginning of the full one that has taken its place."""
        for path in (tile_path(level, number, width), tile_path(level, number)):
            with suppress(FileNotFoundError):
                content = (self._folder / path).read_bytes()[: width * HASH_BYTES]
                if len(content) != width * HASH_BYTES:
                    raise DamagedTile(f"{path} is too short")
                return content
        raise DamagedTile(f"{tile_path(level, number, width)} lacks")

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.part")
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def _cut(content: bytes) -> Iterator[bytes]:
    size = WIDTH * HASH_BYTES
    return (content[begin : begin + size] for begin in range(0, len(content), size))


def _above(hashes: Sequence[bytes]) -> list[bytes]:
    return [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]


def _root_of(tile: bytes) -> bytes:
    hashes = [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
    while len(hashes) > 1:
        hashes = _above(hashes)
    return hashes[0]
