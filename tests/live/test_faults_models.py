"""A server whose live version can't be served begins with the previous one, and says so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from model.registry import open_registry
from tests.support.faulty import CRASHED, as_version, repickled
from tests.support.messages import mentions, states
from tests.support.metrics import value
from tests.support.registry import no_check
from tests.support.server import eventually, refused
from tests.support.swapping import (
    FIRST,
    SECOND,
    following,
    post,
    registry_of_twins,
    scored,
    shown,
    wait_until_all_serve,
)

pytestmark = pytest.mark.slow

_OTHER_BYTES = "model.cbm does not match manifest.json: the SHA-256 differs"


def _crash(folder: Path) -> None:
    (folder / "made").mkdir(exist_ok=True)
    registry = open_registry(folder / "models", check=no_check)
    registry.add(as_version("crash", repickled(folder / "made").read_bytes()))
    registry.promote("crash", who="the tests")


def _damage(folder: Path) -> None:
    open_registry(folder / "models", check=no_check).promote(SECOND, who="the tests")
    _append(folder, SECOND)


def _append(folder: Path, version: str) -> None:
    with (folder / "models" / "regno" / version / "model.cbm").open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize(
    ("spoil", "live", "reason"),
    [(_crash, "crash", CRASHED), (_damage, SECOND, _OTHER_BYTES)],
    ids=["crashes", "damaged"],
)
def test_the_previous_version_serves_until_the_live_one_can(
    spoil: Callable[[Path], None], live: str, reason: str, tmp_path: Path
) -> None:
    registry_of_twins(tmp_path)
    spoil(tmp_path)
    with following(tmp_path) as server:
        wait_until_all_serve(server, FIRST)
        assert scored(server)[0] == FIRST
        eventually(
            lambda: (
                [(n["refused"] or {}).get("version") for n in shown(server)["workers"]]
                == [live] * 2
            ),
            "both have tried the live one",
        )
        notes = shown(server)["workers"]
        assert [(note["state"], note["reason"]) for note in notes] == [("refused", reason)] * 2
        assert shown(server)["generation"] == 0
        for worker in "01":
            assert value(server, f'scoring_model_live_refused{{worker="{worker}"}}') == 1
        assert value(server, 'scoring_model_loads_total{result="refused"}') >= 3
        errors = [line for line in server.log() if line.get("level") == "error"]
        facts = (f"previous version {FIRST} serves", f"live version {live} is refused", reason)
        assert mentions(errors[0]["message"], *facts)
        # What is true is said in the registry, and all is well.
        assert post(server, "/model/rollback").status_code == 200
        eventually(lambda: shown(server)["generation"] > 0, "they serve by the aliases")
        eventually(
            lambda: value(server, 'scoring_model_live_refused{worker="0"}') == 0, "it is over"
        )


@pytest.mark.parametrize("previous", [True, False])
def test_when_neither_can_be_served_both_are_named(previous: bool, tmp_path: Path) -> None:  # noqa: FBT001
    registry_of_twins(tmp_path)
    if previous:
        _crash(tmp_path)
    _append(tmp_path, FIRST)
    (tmp_path / "run").mkdir()
    ran = refused(tmp_path / "run", registry=str(tmp_path / "models"))
    assert ran.returncode == 78
    crash = (f"version crash is refused: {CRASHED}",) if previous else ()
    first = f"version {FIRST} is refused: {_OTHER_BYTES}"
    assert states(ran.stderr, "Not started. SCORING_REGISTRY: ", first, *crash)
