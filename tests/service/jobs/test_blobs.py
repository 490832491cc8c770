"""Blobs of both forms: written once, whole or not at all, removed with their job."""

import stat
from io import BytesIO
from pathlib import Path

import pytest

from service.jobs.blobs import BlobMissing, Blobs, BlobsUnavailable, FileBlobs
from service.jobs.job import new_id
from tests.support.jobs import NOW
from tests.support.vacuous import nonempty

_LARGE = bytes(range(256)) * 1024


@pytest.fixture(params=["files", pytest.param("redis", marks=pytest.mark.slow)])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty store."""
    files = FileBlobs(tmp_path / "blobs")
    if request.param == "files":
        return files
    from service.jobs.redis_blobs import RedisBlobs

    return RedisBlobs(request.getfixturevalue("records_url"), files, tmp_path)


@pytest.mark.parametrize("content", [b"", b"small", _LARGE])
def test_a_blob_is_read_as_it_was_written(blobs: Blobs, content: bytes) -> None:
    job = new_id(NOW)
    put = blobs.put(job, content)
    with blobs.writing(job) as blob:
        blob.file.write(content)
    for reference in (put, blob.reference):
        assert blobs.read(reference) == content
        with blobs.open(reference) as file:
            assert file.read() == content
            file.seek(0)
            assert file.read() == content
    assert put != blob.reference


def test_what_is_not_finished_is_not_kept(blobs: Blobs) -> None:
    job, references = new_id(NOW), []

    def break_off() -> None:
        with blobs.writing(job) as blob:
            blob.file.write(b"half")
            references.append(blob.reference)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    with pytest.raises(BlobMissing):
        blobs.read(references[0])


@pytest.mark.parametrize("content", [b"small", _LARGE])
def test_the_blobs_of_a_job_are_removed_but_for_those_to_keep(blobs: Blobs, content: bytes) -> None:
    job, other = new_id(NOW), new_id(NOW)
    gone, kept, others = blobs.put(job, content), blobs.put(job, b"kept"), blobs.put(other, content)
    blobs.remove(job, keep=[kept])
    with pytest.raises(BlobMissing):
        blobs.read(gone)
    assert blobs.read(kept) == b"kept"
    assert sorted(set(blobs.jobs())) == sorted([job, other])
    blobs.remove(job)
    blobs.remove(job)
    assert set(blobs.jobs()) == {other}
    assert blobs.read(others) == content


@pytest.mark.parametrize(
    "reference", ["", "file:", "file:x", "file:../x", "file:x/../y", "file:/etc/passwd", "x:y/z"]
)
def test_a_reference_leads_nowhere_else(blobs: Blobs, reference: str) -> None:
    with pytest.raises(BlobMissing):
        blobs.read(reference)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    blobs.put(new_id(NOW), b"plate")
    for path in nonempty(list((tmp_path / "blobs").rglob("*"))):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_no_error_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"no folder")
    with pytest.raises(BlobsUnavailable):
        FileBlobs(tmp_path / "blobs").put(new_id(NOW), b"x")


def test_a_blob_that_cannot_be_read_now_is_not_gone(tmp_path: Path) -> None:
    """As of a network's folder that is away for a moment, or where no file can be opened."""
    blobs = FileBlobs(tmp_path / "blobs")
    reference = blobs.put(new_id(NOW), b"x")
    (file,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    file.unlink()
    file.mkdir()
    with pytest.raises(BlobsUnavailable):
        blobs.read(reference)


@pytest.mark.slow
def test_large_blobs_are_files_and_small_ones_are_not(tmp_path: Path, records_url: str) -> None:
    from service.jobs.redis_blobs import RedisBlobs

    blobs = RedisBlobs(records_url, FileBlobs(tmp_path / "blobs"), tmp_path)
    job = new_id(NOW)
    assert blobs.put(job, b"small").startswith("redis:")
    assert blobs.put(job, _LARGE).startswith("file:")
    with blobs.writing(job) as small, blobs.writing(job) as large:
        small.file.write(b"small")
        large.file.write(BytesIO(_LARGE).read())
    assert small.reference.startswith("redis:")
    assert large.reference.startswith("file:")
