"""A keys file that changes while it is used: good ones are taken, bad ones are reported."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from service.config.settings import Settings
from service.http.api_keys import ApiKeys


def _ring(keys: str = "", *, file: Path | None = None, host: str = "127.0.0.1") -> ApiKeys:
    return ApiKeys(Settings(api_keys=keys, api_keys_file=str(file or ""), host=host))


class TestRotation:
    """One ring over one file, while the file changes under it."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        # No two contents of a test are of one length: a clock tick may not part their times.
        file = tmp_path / "keys"
        file.write_text("# the first\nold:k1\n")
        return file

    @pytest.fixture
    def ring(self, file: Path) -> ApiKeys:
        return _ring("fixed:k0", file=file)

    @pytest.fixture
    def names(self, ring: ApiKeys) -> Callable[[], list[str | None]]:
        """The names of the fixed, the old and the new key, at the next look."""

        def look() -> list[str | None]:
            ring.reload_if_changed()
            return [ring.name_of(key) for key in (b"k0", b"k1", b"k2")]

        return look

    def test_new_keys_come_into_force_and_old_ones_go(
        self, file: Path, names: Callable[[], list[str | None]]
    ) -> None:
        assert names() == ["fixed", "old", None]
        file.write_text("old:k1\nnew:k2\n")
        assert names() == ["fixed", "old", "new"]
        file.write_text("new:k2\n")
        assert names() == ["fixed", None, "new"]

    def test_no_request_looks_at_the_file(self, file: Path, ring: ApiKeys) -> None:
        file.write_text("new:k2\n")
        assert ring.name_of(b"k2") is None
        assert ring.reload_if_changed() == "loaded"
        assert ring.reload_if_changed() is None
        assert ring.name_of(b"k2") == "new"

    def test_without_a_file_nothing_is_looked_at(self) -> None:
        ring = _ring("fixed:k0")
        ring.reload_if_changed()
        assert ring.name_of(b"k0") == "fixed"

    def test_a_file_that_did_not_change_is_not_read_again(
        self, names: Callable[[], list[str | None]], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            assert names() == names() == ["fixed", "old", None]
        assert caplog.text == ""

    def test_a_file_put_in_its_place_is_read(
        self, file: Path, names: Callable[[], list[str | None]]
    ) -> None:
        other = file.with_name("next")
        other.write_text("new:k2\n")
        other.replace(file)
        assert names() == ["fixed", None, "new"]

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"# nothing\n",
            b"b@d:k2\n",
            b"new:\n",
            b"new:k2\xff\n",
            b"new k2\n",
            b"a:k,new:k2\n",
        ],
    )
    def test_an_unusable_file_leaves_the_old_keys_until_it_is_repaired(
        self,
        content: bytes,
        file: Path,
        names: Callable[[], list[str | None]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        file.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            assert names() == ["fixed", "old", None]
        assert "the old keys stay" in caplog.text
        assert "k2" not in caplog.text
        file.write_text("# repaired\nnew:k2\n")
        assert names() == ["fixed", None, "new"]

    @pytest.mark.parametrize("cut", ["old:k1", "old:k1\nnew:k", "# the first\nold:k1\nnew:k2"])
    def test_a_file_that_is_cut_off_leaves_the_old_keys(
        self,
        cut: str,
        file: Path,
        names: Callable[[], list[str | None]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        file.write_text(cut)
        assert names() == names() == ["fixed", "old", None]
        assert caplog.text.count("last line") == 1
        file.write_text(cut + "\n")
        assert names() == ["fixed", "old", "new" if "k2" in cut else None]

    def test_a_file_that_never_ended_its_last_line_may_go_on_so(self, file: Path) -> None:
        file.write_text("old:k1")
        ring = _ring(file=file)
        file.write_text("new:k22")
        ring.reload_if_changed()
        assert (ring.name_of(b"k1"), ring.name_of(b"k22")) == (None, "new")

    def test_each_look_at_a_bad_file_is_counted_and_reported_once(
        self,
        file: Path,
        ring: ApiKeys,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        file.write_text("")
        counted = [ring.reload_if_changed() for _ in range(3)]
        file.write_text("new:k2\n")
        counted += [ring.reload_if_changed() for _ in range(2)]
        assert counted == ["refused", "refused", "refused", "loaded", None]
        assert caplog.text.count("can't be used") == 1

    def test_a_lost_file_leaves_the_old_keys_until_it_is_back(
        self, file: Path, names: Callable[[], list[str | None]]
    ) -> None:
        file.unlink()
        assert names() == ["fixed", "old", None]
        file.mkdir()
        assert names() == ["fixed", "old", None]
        file.rmdir()
        file.write_text("new:k2\n")
        assert names() == ["fixed", None, "new"]

    def test_a_file_that_could_not_be_read_once_is_read_when_it_can_be(
        self,
        file: Path,
        names: Callable[[], list[str | None]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # Root may read everything: the missing permission has to be played.
        file.write_text("new:k2\n")
        with monkeypatch.context() as forbidden:

            def refuse(*_: object, **__: object) -> str:
                raise PermissionError(13, "Permission denied")

            forbidden.setattr(Path, "read_text", refuse)
            forbidden.setattr(Path, "read_bytes", refuse)
            forbidden.setattr(Path, "open", refuse)
            assert names() == ["fixed", "old", None]
        assert names() == ["fixed", None, "new"]

    def test_the_example_key_does_not_come_in_by_rotation_on_an_open_address(
        self, file: Path
    ) -> None:
        ring = _ring(file=file, host="0.0.0.0")
        file.write_text("new:k2\nexample:123321\n")
        assert ring.reload_if_changed() == "refused"
        assert [ring.name_of(key) for key in (b"k1", b"k2", b"123321")] == ["old", None, None]
