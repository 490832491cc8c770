"""Checkpoints: the signed size and root of a log (C2SP tlog-checkpoint)."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final, NamedTuple

from service.decisions.merkle import note
from service.decisions.merkle.note import BadNote, Signer, Verifier
from service.decisions.merkle.tree import HASH_BYTES

_LINES: Final = 3


class Checkpoint(NamedTuple):
    """A log of `size` leaves with this root; `origin` is the log's name."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """A checkpoint as a note that the log has signed."""
    return note.sign(checkpoint.text, [signer])


def opened(signed: str, log: Verifier, witnesses: Sequence[Verifier] = ()) -> Checkpoint:
    """The checkpoint of a note that the log and all the witnesses signed. Raises BadNote."""
    text, signers = note.opened(signed, [log, *witnesses])
    for verifier in (log, *witnesses):
        if verifier.name not in signers:
            raise BadNote(f"{verifier.name} has not signed it")
    return _parsed(text)


def _parsed(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) <= _LINES or not lines[0]:
        raise BadNote("it is no checkpoint")
    origin, size, encoded = lines[:_LINES]
    try:
        root = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        root = b""
    # Python takes more for a number than the format does: signs, blanks, leading zeros.
    if not (size.isascii() and size.isdecimal() and str(int(size)) == size):
        raise BadNote("its size is no number")
    if len(root) != HASH_BYTES:
        raise BadNote("its root is no hash")
    return Checkpoint(origin, int(size), root)
