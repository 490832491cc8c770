"""Segments: what was written is read, whatever befell the file, and damage is counted."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.decisions.sealing import SALT_BYTES, Unreadable, month_of, salts, seal, unseal
from service.decisions.segments import Frame, SegmentWriter, framed, is_closed, read, segments

FRAMES = [Frame("2026-11", bytes([n]) * SALT_BYTES, bytes([n]) * (20 + n)) for n in range(12)]
CONTENT = b"".join(map(framed, FRAMES))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    writer.write(CONTENT)
    (path,) = segments(tmp_path)
    assert not is_closed(path)
    writer.sync()
    writer.close()
    assert is_closed(path)
    assert read(path.read_bytes(), closed=True) == (FRAMES, len(CONTENT), 0)
    assert path.stat().st_mode & 0o777 == 0o600


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_changed_byte_costs_one_frame(place: int, change: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= change
    piece = read(bytes(damaged), closed=True)
    ends = [len(b"".join(map(framed, FRAMES[:count]))) for count in range(len(FRAMES) + 1)]
    (hit,) = [at for at in range(len(FRAMES)) if ends[at] <= place < ends[at + 1]]
    assert piece.frames == [*FRAMES[:hit], *FRAMES[hit + 1 :]]
    assert (piece.end, piece.damaged) == (len(CONTENT), len(framed(FRAMES[hit])))


@given(st.integers(0, len(CONTENT)))
def test_a_cut_segment_has_its_whole_frames(end: int) -> None:
    piece = read(CONTENT[:end], closed=False)
    whole = [at for at in range(len(FRAMES) + 1) if len(b"".join(map(framed, FRAMES[:at]))) <= end]
    assert piece.frames == FRAMES[: whole[-1]]
    assert piece.damaged == 0
    # The rest is still being written; read once the worker has ended, it is lost.
    rest = end - piece.end
    assert read(CONTENT[:end], closed=True) == (piece.frames, end, rest)


def test_a_write_that_the_disk_takes_in_part_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path)
    writer.write(framed(FRAMES[0]))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:30]))
    with pytest.raises(OSError, match="No space"):
        writer.write(framed(FRAMES[1]))
    monkeypatch.undo()
    writer.write(framed(FRAMES[2]))
    writer.close()
    (path,) = segments(tmp_path)
    assert read(path.read_bytes(), closed=True).frames == [FRAMES[0], FRAMES[2]]


def test_an_entry_opens_with_its_own_salt_and_month_alone() -> None:
    made = salts()
    one, other = next(made), next(made)
    assert one != other
    closed = seal(b"k" * 32, one, b"entry")
    assert unseal(b"k" * 32, one, closed) == b"entry"
    for key, salt, content in (
        (b"k" * 32, other, closed),
        (b"l" * 32, one, closed),
        (b"k" * 32, one, closed[:-1]),
        (b"k" * 32, one, b""),
    ):
        with pytest.raises(Unreadable):
            unseal(key, salt, content)


def test_months_are_those_of_utc() -> None:
    assert month_of(1_796_083_199) == "2026-11"
    assert month_of(1_796_083_200) == "2026-12"
