"""Merkle trees by RFC 6962 and their proofs by RFC 9162, section 2.1.

A tree of `n` leaves is never held whole: `Subtrees` gives the hashes of its complete subtrees.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, Protocol

EMPTY_ROOT: Final = sha256().digest()
HASH_BYTES: Final = 32


class Subtrees(Protocol):
    """The complete subtrees of a tree."""

    def subtree(self, level: int, index: int) -> bytes:
        """The root of the leaves from `index << level` on, `1 << level` of them."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf that holds an entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others."""
    return sha256(b"\x01" + left + right).digest()


def root(tree: Subtrees, size: int) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return _root(tree, 0, size) if size else EMPTY_ROOT


def inclusion_proof(tree: Subtrees, index: int, size: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the first `size` leaves."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not among those of the tree")
    return _path(tree, index, 0, size)


def consistency_proof(tree: Subtrees, earlier: int, size: int) -> list[bytes]:
    """The hashes that show that the first `size` leaves begin with the first `earlier` ones."""
    if not 0 <= earlier <= size:
        raise ValueError("the earlier tree is larger than the later one")
    return _consistency(tree, earlier, 0, size, known=True) if earlier else []


def root_by_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to. Raises ValueError if it has not the right length.

    RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf is not among those of the tree")
    found = leaf
    for sibling, is_left in _climb(index, size - 1, proof):
        found = node_hash(sibling, found) if is_left else node_hash(found, sibling)
    return found


def is_consistent(
    earlier: int, earlier_root: bytes, size: int, later_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a proof shows that the later tree begins with the earlier one.

    RFC 9162, 2.1.4.2.
    """
    if not 0 <= earlier <= size:
        return False
    if earlier == 0:
        return not proof and earlier_root == EMPTY_ROOT
    if earlier == size:
        return not proof and earlier_root == later_root
    hashes = [earlier_root, *proof] if _is_power_of_two(earlier) else [*proof]
    at, last = earlier - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    try:
        first, *others = hashes
        old = new = first
        for sibling, is_left in _climb(at, last, others):
            old = node_hash(sibling, old) if is_left else old
            new = node_hash(sibling, new) if is_left else node_hash(new, sibling)
    except ValueError:
        return False
    return old == earlier_root and new == later_root


def _climb(at: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The hashes of a proof from a node up, and whether each is to the left of what it joins.

    `at` is the node's place in its level, and `last` that of the level's last node. Raises
    ValueError if there are more or fewer hashes than lead to the root.
    """
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        is_left = bool(at & 1) or at == last
        if is_left:
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        yield sibling, is_left
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _split(count: int) -> int:
    """How many of some leaves, more than one, are to the left: the largest power of two below."""
    return 1 << (count - 1).bit_length() - 1


def _root(tree: Subtrees, begin: int, end: int) -> bytes:
    count = end - begin
    if _is_power_of_two(count):  # and `begin` is a multiple of it, by how trees are split
        level = count.bit_length() - 1
        return tree.subtree(level, begin >> level)
    middle = begin + _split(count)
    return node_hash(_root(tree, begin, middle), _root(tree, middle, end))


def _path(tree: Subtrees, index: int, begin: int, end: int) -> list[bytes]:
    if end - begin == 1:
        return []
    middle = begin + _split(end - begin)
    if index < middle:
        return [*_path(tree, index, begin, middle), _root(tree, middle, end)]
    return [*_path(tree, index, middle, end), _root(tree, begin, middle)]


def _consistency(tree: Subtrees, earlier: int, begin: int, end: int, *, known: bool) -> list[bytes]:
    """`known`: the verifier has the root of the leaves from `begin` to `earlier` already."""
    if earlier == end:
        return [] if known else [_root(tree, begin, end)]
    middle = begin + _split(end - begin)
    if earlier <= middle:
        left = _consistency(tree, earlier, begin, middle, known=known)
        return [*left, _root(tree, middle, end)]
    right = _consistency(tree, earlier, middle, end, known=False)
    return [*right, _root(tree, begin, middle)]
