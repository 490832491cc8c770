"""Proofs of single entries, for those who have nothing of the log but its public key.

A proof is one JSON: the entry, its salt, its place, the hashes up to the root, and the signed
checkpoint with that root.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from service.decisions.log import DecisionLog, leaf_of
from service.decisions.merkle import checkpoint, tree
from service.decisions.merkle.note import BadNote, Verifier
from service.decisions.store import Row

FORMAT = "plate-scoring/decision-proof/v1"


class WrongProof(Exception):
    """A proof does not hold, for this reason."""


class Proof(Struct, frozen=True, forbid_unknown_fields=True):
    """The proof of an entry; bytes are in base64."""

    format: str
    entry: str
    salt: bytes
    index: int
    hashes: list[bytes]
    checkpoint: str


def of(log: DecisionLog, row: Row) -> Proof:
    """The proof of an entry by the latest checkpoint.

    Raises Forgotten, Damaged, BadNote, DamagedTile.
    """
    canonical = log.canonical(row)
    head = log.head()
    hashes = tree.inclusion_proof(log.tiles(head.size), row.entry, head.size)
    signed = log.store.head
    return Proof(FORMAT, canonical.decode(), row.salt or b"", row.entry, hashes, signed)


def encode(proof: Proof) -> bytes:
    """A proof as JSON."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n"


def verified(content: bytes, log: Verifier, witnesses: Sequence[Verifier] = ()) -> Proof:
    """A proof that holds. Raises WrongProof."""
    try:
        proof = msgspec.json.decode(content, type=Proof)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise WrongProof(f"it is no proof: {error}") from None
    if proof.format != FORMAT:
        raise WrongProof("it has another format")
    try:
        head = checkpoint.opened(proof.checkpoint, log, witnesses)
        leaf = leaf_of(proof.salt, proof.entry.encode())
        root = tree.root_by_inclusion(leaf, proof.index, head.size, proof.hashes)
    except (BadNote, ValueError) as error:
        raise WrongProof(str(error)) from None
    if root != head.root:
        raise WrongProof("the entry is not the one that the log has at this place")
    return proof
