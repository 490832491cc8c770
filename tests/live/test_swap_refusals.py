"""Models that can't be served, and a registry that can't be reached, while requests flow."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from catboost import CatBoost, Pool

from model.registry import Files, open_registry
from model.regno import BUNDLED
from tests.support import toys
from tests.support.faulty import as_version
from tests.support.load import flooding
from tests.support.metrics import value
from tests.support.moto import BUCKET, moto
from tests.support.registry import no_check
from tests.support.server import Server, eventually
from tests.support.swapping import (
    FIRST,
    SECOND,
    following,
    post,
    registry_of_two,
    scored,
    serves,
    shown,
    wait_until_all_serve,
)

pytestmark = pytest.mark.slow

_REFUSED = 'scoring_model_loads_total{result="refused"}'


def _of_three(folder: Path) -> bytes:
    rows = toys.table(toys.NUMERIC_PAIR)
    labels = [n % 3 for n, _ in enumerate(rows)]
    pool = Pool(rows, label=labels, feature_names=list(toys.NUMERIC_PAIR))
    quiet = {"iterations": 2, "verbose": False, "allow_writing_files": False}
    model = CatBoost({**quiet, "loss_function": "MultiClass"}).fit(pool)
    return toys.save(model, folder).read_bytes()


def _foreign(folder: Path) -> bytes:
    return toys.save(toys.train(("hour", "speed")), folder).read_bytes()


_MODELS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "corrupt": (lambda _: b"CBM1" + bytes(64), "it is not a CatBoost model"),
    "truncated": (lambda _: BUNDLED.read_bytes()[:1_000_000], "it is not a CatBoost model"),
    "empty": (lambda _: b"", "it is empty"),
    "foreign": (_foreign, "it uses unknown features: speed"),
    "of-three": (_of_three, "it is a classifier of 3 classes"),
}


def _other_bytes(version: Path) -> None:
    with (version / "model.cbm").open("ab") as file:
        file.write(b"more")


def _cut_off(version: Path) -> None:
    (version / "model.cbm").write_bytes(BUNDLED.read_bytes()[:1000])


def _huge(version: Path) -> None:
    with (version / "model.cbm").open("r+b") as file:
        file.truncate(256 * 2**20 + 1)


def _no_file(version: Path) -> None:
    (version / "model.cbm").unlink()
    (version / "model.cbm").mkdir()


def _no_manifest(version: Path) -> None:
    (version / "manifest.json").write_text("{")


_DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "other-bytes": (_other_bytes, "the SHA-256 differs"),
    "cut-off": (_cut_off, "the SHA-256 differs"),
    "huge": (_huge, "is larger than 268435456"),
    "no-file": (_no_file, "it has no model.cbm"),
    "no-manifest": (_no_manifest, "manifest.json can't be read"),
}


def _all_refuse(server: Server, version: str, reason: str) -> bool:
    notes = shown(server)["workers"]
    refused = [note["refused"] and note["refused"]["version"] == version for note in notes]
    return all(refused) and all(reason in note["reason"] for note in notes)


def test_a_version_that_cant_be_served_is_refused_by_name_and_fails_no_request(
    tmp_path: Path,
) -> None:
    registry_of_two(tmp_path)
    careless = open_registry(tmp_path / "models", check=no_check)
    offered = {}
    for version, (make, reason) in _MODELS.items():
        careless.add(as_version(version, make(tmp_path)))
        offered[version] = reason
    folder = tmp_path / "models" / "regno"
    for version, (damage, reason) in _DAMAGES.items():
        careless.add(as_version(version, BUNDLED.read_bytes()))
        damage(folder / version)
        offered[version] = reason
    with following(tmp_path) as server, flooding(server.port, 100, 8) as stream:
        of_first = scored(server)
        for count, (version, reason) in enumerate(offered.items(), start=1):
            _make_live(folder / "aliases.json", version)
            eventually(lambda v=version, r=reason: _all_refuse(server, v, r), reason)  # type: ignore[misc]
            assert value(server, _REFUSED) >= 2 * count
        careless.promote(SECOND, who="the tests")
        wait_until_all_serve(server, SECOND)
        of_second = scored(server)
        stats = stream.stop()
    assert stats.counts().keys() == {"200"}
    assert stats.bodies == sorted([of_first, of_second])


def test_instead_of_a_refused_version_another_is_promoted_over_http(tmp_path: Path) -> None:
    """The alias names what no worker serves: the way out is not the way back only."""
    registry_of_two(tmp_path)
    careless = open_registry(tmp_path / "models", check=no_check)
    careless.add(as_version("bad", b""))
    with following(tmp_path) as server:
        careless.promote("bad", who="the tests")
        eventually(lambda: _all_refuse(server, "bad", "it is empty"), "it is refused")
        done = post(server, "/model/promote", {"version": SECOND, "force": True})
        assert done.status_code == 200, done.text
        assert done.json()["body"]["parity"]["live"] == FIRST
        wait_until_all_serve(server, SECOND)


def _make_live(aliases: Path, version: str) -> None:
    """By hand: the registry would not."""
    book = json.loads(aliases.read_bytes())
    book["aliases"]["live"] = version
    book["aliases"]["generation"] += 1
    aliases.write_text(json.dumps(book))


def test_a_missing_registry_is_reported_and_fails_no_request(tmp_path: Path) -> None:
    registry_of_two(tmp_path)
    aliases = tmp_path / "models" / "regno" / "aliases.json"
    good = aliases.read_bytes()
    with following(tmp_path) as server:
        for broken in (b"{", b""):
            aliases.write_bytes(broken)
            eventually(
                lambda: _state(server) == {"unreachable"}, "the registry counts as unreachable"
            )
            assert scored(server)[0] == FIRST
            assert value(server, 'scoring_model_registry_up{worker="0"}') == 0
            aliases.write_bytes(good)
            eventually(lambda: _state(server) == {"serving"}, "it is well again")


def test_workers_come_back_when_the_registry_does_not(tmp_path: Path) -> None:
    registry = registry_of_two(tmp_path)
    with following(tmp_path) as server:
        registry.promote(SECOND, who="the tests")
        wait_until_all_serve(server, SECOND)
        of_second = scored(server)
        (tmp_path / "models").rename(tmp_path / "gone")
        server.workers()[0].kill()
        wait_until_all_serve(server, SECOND)
        before = set(server.pids())
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: not before & set(server.pids()), "all workers are new")
        wait_until_all_serve(server, SECOND)
        assert scored(server) == of_second


def _state(server: Server) -> set[str]:
    return {note["state"] for note in shown(server)["workers"]}


def test_a_slow_or_unreachable_s3_fails_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto(tmp_path) as store:
        for name, setting in store.settings.items():
            monkeypatch.setenv(name, setting)
        local = registry_of_two(tmp_path)
        there = f"s3://{BUCKET}/models"
        registry = open_registry(there, cache=tmp_path / "mine")
        for version in (FIRST, SECOND):
            folder = local.fetch(version).parent
            model, manifest = (
                (folder / name).read_bytes() for name in ("model.cbm", "manifest.json")
            )
            registry.add(Files(model, manifest))
        registry.promote(FIRST, who="the tests")
        cache = str(tmp_path / "cache")
        with following(tmp_path, registry=there, registry_cache=cache) as server:
            registry.promote(SECOND, who="the tests")
            wait_until_all_serve(server, SECOND)
            with flooding(server.port, 100, 8) as stream:
                store.pause()
                eventually(
                    lambda: _state(server) == {"unreachable"}, "the registry counts as unreachable"
                )
                store.resume()
                eventually(lambda: _state(server) == {"serving"}, "it is well again")
                stats = stream.stop()
            assert stats.counts().keys() == {"200"}
            store.kill()
            eventually(
                lambda: _state(server) == {"unreachable"}, "the registry counts as unreachable"
            )
            assert scored(server)[0] == SECOND
            assert serves(server, SECOND)
