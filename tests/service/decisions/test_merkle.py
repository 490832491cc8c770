"""The Merkle log against published vectors, a direct computation, and every changed proof."""

from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from service.decisions.merkle import checkpoint, note
from service.decisions.merkle.checkpoint import Checkpoint
from service.decisions.merkle.note import BadNote, Signer, verifier_of
from service.decisions.merkle.tiles import DamagedTile, Tiles, tile_path
from service.decisions.merkle.tree import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    root,
    root_by_inclusion,
)

# Of the reference implementation of RFC 6962: eight entries, and the roots as each is added.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# The example of Go's package of signed notes.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_NOTE = (
    f"{GO_TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKv"
    "qfqdngotpRZb6KE6RyyBwJnAM=\n"
)
LOG = Signer("example.org/decisions", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = Signer("witness", Ed25519PrivateKey.from_private_bytes(b"w" * 32), cosigns=True)


def leaf(number: int) -> bytes:
    """The hash of the leaf that holds this number."""
    return leaf_hash(str(number).encode())


def computed(leaves: list[bytes]) -> bytes:
    """The root by the definition of RFC 6962, 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256().digest()
    middle = 1
    while 2 * middle < len(leaves):
        middle *= 2
    return node_hash(computed(leaves[:middle]), computed(leaves[middle:]))


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Tiles:
    """A log of 70,000 leaves: tiles of three levels."""
    made = Tiles(tmp_path_factory.mktemp("log"), 0)
    made.append(list(map(leaf, range(70_000))))
    return made


def test_roots_are_those_of_the_reference(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path, 0)
    assert root(tiles, 0) == EMPTY_ROOT
    for size, (entry, expected) in enumerate(zip(ENTRIES, ROOTS, strict=True), start=1):
        tiles.append([leaf_hash(entry)])
        assert root(tiles, size).hex() == expected


@given(st.lists(st.integers(1, 700), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_root_does_not_depend_on_how_the_leaves_came(counts: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        begin = 0
        for count in counts:
            # As after a restart: it knows the size of the latest checkpoint alone.
            tiles = Tiles(Path(name), begin)
            tiles.append(list(map(leaf, range(begin, begin + count))))
            begin += count
        leaves = list(map(leaf, range(begin)))
        assert root(tiles, begin) == computed(leaves)
        assert root(tiles, begin // 2) == computed(leaves[: begin // 2])


def test_a_full_tile_takes_the_place_of_the_partial_ones(tmp_path: Path) -> None:
    leaves = [leaf_hash(str(number).encode()) for number in range(600)]
    tiles = Tiles(tmp_path, 0)
    for leaf in leaves:
        tiles.append([leaf])
    assert sorted(path.name for path in (tmp_path / "tile/0").iterdir()) == ["000", "001", "002.p"]
    whole = Tiles(tmp_path / "whole", 0)
    whole.append(leaves)
    # As of checkpoints from before the tile was full, too.
    for size in (1, 255, 256, 300, 600):
        assert root(Tiles(tmp_path, size), size) == root(whole, size)


def test_leaves_beyond_the_checkpoint_are_written_again(tmp_path: Path) -> None:
    Tiles(tmp_path, 0).append(list(map(leaf, range(300))))
    Tiles(tmp_path, 300).append(list(map(leaf, range(1000, 1300))))  # no checkpoint of these
    tiles = Tiles(tmp_path, 300)
    tiles.append(list(map(leaf, range(300, 700))))
    assert root(tiles, 700) == computed(list(map(leaf, range(700))))


@given(st.integers(1, 70_000), st.data())
@settings(max_examples=100, deadline=None)
def test_a_proof_holds_for_its_leaf_alone(tiles: Tiles, size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(tiles, index, size)
    head = root(tiles, size)
    assert root_by_inclusion(leaf(index), index, size, proof) == head
    assert root_by_inclusion(leaf(index + 1), index, size, proof) != head
    for at in range(len(proof)):
        changed = [*proof[:at], bytes(32), *proof[at + 1 :]]
        assert root_by_inclusion(leaf(index), index, size, changed) != head
    for wrong in ([*proof, bytes(32)], proof[:-1] if proof else [bytes(32)]):
        with pytest.raises(ValueError, match="the proof is too"):
            root_by_inclusion(leaf(index), index, size, wrong)


@given(st.integers(0, 70_000), st.integers(0, 70_000))
@settings(max_examples=100, deadline=None)
def test_a_tree_is_consistent_with_its_beginning_alone(tiles: Tiles, one: int, two: int) -> None:
    earlier, size = sorted((one, two))
    heads = root(tiles, earlier), root(tiles, size)
    proof = consistency_proof(tiles, earlier, size)
    assert is_consistent(earlier, heads[0], size, heads[1], proof)
    assert not is_consistent(earlier, bytes(32), size, heads[1], proof)
    assert not is_consistent(earlier, heads[0], size, heads[1], [*proof, bytes(32)])
    if 0 < earlier < size:
        assert not is_consistent(earlier, heads[0], size, bytes(32), proof)
        assert not is_consistent(earlier, heads[0], size, heads[1], proof[:-1])
    if earlier < size:
        assert not is_consistent(size, heads[1], earlier, heads[0], proof)


def test_a_tile_that_was_cut_or_removed_is_named(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path, 0)
    tiles.append(list(map(leaf, range(600))))
    path = tmp_path / tile_path(0, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedTile, match="tile/0/001"):
        inclusion_proof(Tiles(tmp_path, 600), 300, 600)
    path.unlink()
    with pytest.raises(DamagedTile, match="tile/0/001"):
        inclusion_proof(Tiles(tmp_path, 600), 300, 600)


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (1234067, 8, "tile/0/x001/x234/067.p/8"),
        (999, 1, "tile/0/999.p/1"),
        (1000, 256, "tile/0/x001/000"),
    ],
)
def test_paths_are_those_of_the_specification(number: int, width: int, path: str) -> None:
    assert tile_path(0, number, width) == path


def test_a_note_of_go_is_opened() -> None:
    text, signed = note.opened(GO_NOTE, [verifier_of(GO_KEY)])
    assert (text, signed) == (GO_TEXT, {"PeterNeumann": 0})
    assert verifier_of(GO_KEY).text == GO_KEY


@pytest.mark.parametrize(
    "changed",
    [
        GO_NOTE.replace("answer", "question"),
        GO_NOTE.replace("x08go/ZJ", "x08go/ZK"),
        GO_NOTE.replace("x08go", "y08go"),
        GO_NOTE.replace("PeterNeumann ", "Peter "),
        GO_NOTE.removesuffix("\n"),
        GO_NOTE.replace("— ", "- "),
        GO_TEXT,
    ],
)
def test_a_changed_note_is_refused(changed: str) -> None:
    with pytest.raises(BadNote):
        note.opened(changed, [verifier_of(GO_KEY)])


@pytest.mark.parametrize(
    "key", ["", "a+b+c", GO_KEY.replace("c74f", "c74e"), GO_KEY[:-4], f"a b{GO_KEY}"]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(BadNote):
        verifier_of(key)


def test_a_checkpoint_counts_with_all_the_witnesses_alone() -> None:
    head = Checkpoint(LOG.name, 20_852_163, sha256(b"head").digest())
    signed = checkpoint.sign(head, LOG)
    assert checkpoint.opened(signed, LOG.verifier) == head
    with pytest.raises(BadNote, match="witness has not signed it"):
        checkpoint.opened(signed, LOG.verifier, [WITNESS.verifier])
    cosigned = signed + WITNESS.line(head.text, 1_800_000_000)
    assert checkpoint.opened(cosigned, LOG.verifier, [WITNESS.verifier]) == head
    assert note.opened(cosigned, [WITNESS.verifier])[1] == {"witness": 1_800_000_000}
    with pytest.raises(BadNote, match="has not signed it"):
        checkpoint.opened(note.sign(head.text, [WITNESS], 1), LOG.verifier, [WITNESS.verifier])


@pytest.mark.parametrize(
    "text",
    ["a\n", "\n1\nAAAA\n", "a\n01\n{root}\n", "a\n-1\n{root}\n", "a\n+1\n{root}\n", "a\n1\nAA==\n"],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    root_text = Checkpoint("a", 1, bytes(32)).text.split("\n")[2]
    signed = note.sign(text.replace("{root}", root_text), [LOG])
    with pytest.raises(BadNote):
        checkpoint.opened(signed, LOG.verifier)
