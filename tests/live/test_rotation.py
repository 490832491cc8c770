"""Keys in the file change under the real server, in every worker, without a restart."""

from pathlib import Path

import pytest

from tests.support.live import Connection, connections, wait_until_all_answer
from tests.support.server import KEY, eventually, serving
from tests.support.strategies import VALID

pytestmark = pytest.mark.slow

OLD, NEW = "old-secret", "new-secret"


def _statuses(opened: list[Connection]) -> set[tuple[int, int]]:
    """What the old and the new key get, on connections that both workers share."""
    return {
        (
            connection.ask("POST", "/reg/", VALID, {"x-api-key": OLD}).status,
            connection.ask("POST", "/reg/", VALID, {"x-api-key": NEW}).status,
        )
        for connection in opened
    }


def test_keys_rotate_without_a_restart(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"# callers\nfield:{OLD}\n")
    with serving(tmp_path / "server", api_keys_file=str(keys)) as server:
        wait_until_all_answer(server)
        pids = server.pids()
        with connections(server, 8) as opened:
            assert _statuses(opened) == {(200, 401)}
            assert opened[0].ask("GET", "/", headers={"x-api-key": KEY}).status == 401
            keys.write_text(f"field:{OLD}\noffice:{NEW}\n")
            eventually(lambda: _statuses(opened) == {(200, 200)}, "both keys open")
            keys.write_text(f"office:{NEW}\n")
            eventually(lambda: _statuses(opened) == {(401, 200)}, "the old key is shut out")
            for attempt, useless in enumerate((b"# nothing\n", b"\xff\xfe"), start=1):
                keys.write_bytes(useless)

                def both_say_so(attempt: int = attempt) -> bool:
                    assert _statuses(opened) == {(401, 200)}, "the keys of the last good file"
                    return server.output().count("the old keys stay") >= 2 * attempt

                eventually(both_say_so, "both workers say that the file can't be used")
        assert server.pids() == pids
        assert "secret" not in server.output()
        assert {"field", "office"} <= {line.get("key") for line in server.log()}
