"""Keys in the file change under the real server, in every worker, without a restart."""

from pathlib import Path

from tests.support.server import Server, eventually, serving


def _statuses(server: Server, key: str) -> set[int]:
    """What several fresh connections get: enough for both workers to have their say."""
    found = set()
    for _ in range(12):
        with server.client(x_api_key=key) as client:
            found.add(client.get("/").status_code)
    return found


def test_keys_rotate_without_a_restart(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("old:k1\n")
    with serving(tmp_path / "server", api_keys_file=str(keys)) as server:
        pids = server.pids()
        assert _statuses(server, "k1") == {200}
        assert _statuses(server, "k2") == {401}
        assert _statuses(server, "123321") == {401}
        keys.write_text("new:k2\n")
        eventually(lambda: _statuses(server, "k2") == {200}, "the new key is in force")
        eventually(lambda: _statuses(server, "k1") == {401}, "the old key is not")
        keys.write_bytes(b"\xff\xfe")
        told = "the old keys stay"
        eventually(lambda: {200} == _statuses(server, "k2") and told in server.output(), told)
        assert server.pids() == pids
    for key in ("k1", "k2"):
        assert key not in server.output()
