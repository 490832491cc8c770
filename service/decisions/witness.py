"""A witness: another process or host that cosigns checkpoints of the log, each beyond the last.

It keeps the last checkpoint that it cosigned, and its own key. It needs the tiles of the log, and
nothing that is secret.
"""

import fcntl
import os
from pathlib import Path
from time import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.config import files
from service.decisions.merkle import checkpoint, tree
from service.decisions.merkle.checkpoint import Checkpoint
from service.decisions.merkle.note import Signer, Verifier
from service.decisions.merkle.tiles import Tiles


class Inconsistent(Exception):
    """The log has rewritten what the witness has cosigned."""


class Witness:
    """A witness with its key and its memory in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = folder / "witness.key"
        if not key.exists():
            descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(32))
        private = Ed25519PrivateKey.from_private_bytes(key.read_bytes())
        self._signer = Signer(name, private, cosigns=True)

    @property
    def verifier(self) -> Verifier:
        """What verifies its cosignatures."""
        return self._signer.verifier

    def cosign(self, signed: str, log: Verifier, tiles: Path) -> str:
        """The checkpoint with the cosignature behind it.

        Raises BadNote, DamagedTile, and Inconsistent if the log does not begin with what this
        witness cosigned last.
        """
        head = checkpoint.opened(signed, log)
        # Two at once would each cosign another future of the log.
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._check(head, log, Tiles(tiles, head.size))
            files.write(self._folder / "checkpoint", signed, 0o600)
        finally:
            os.close(descriptor)
        return signed + self._signer.line(head.text, int(time()))

    def _check(self, head: Checkpoint, log: Verifier, tiles: Tiles) -> None:
        if tree.root(tiles, head.size) != head.root:
            raise Inconsistent("the tiles have another root than the checkpoint")
        seen = self._folder / "checkpoint"
        if not seen.exists():
            return
        before = checkpoint.opened(seen.read_text(encoding="utf-8"), log)
        if before.size > head.size:
            raise Inconsistent(f"the log had {before.size} entries, and has {head.size} now")
        proof = tree.consistency_proof(tiles, before.size, head.size)
        if not tree.is_consistent(before.size, before.root, head.size, head.root, proof):
            raise Inconsistent(f"the first {before.size} entries are not those that were cosigned")
