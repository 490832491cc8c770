"""ClickHouse's engine behind its HTTP interface: `… PORT FOLDER`, user `sink`, its password below.

The engine is the real one, of the package chdb, and so are tables, mutations, projections and
deduplication. Not shown here: ClickHouse's own HTTP server, several sessions at once, replication,
access rights, restarts that repair what a crash left of a part.
"""

import base64
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import lz4.frame
from backports import zstd
from chdb import session

USER, PASSWORD, DATABASE = "sink", "wL9x/kept@home", "scoring"
# What the client asks for, and the engine has no setting for.
_OF_THE_CLIENT: Final = {
    "database",
    "query",
    "query_id",
    "client_protocol_version",
    "wait_end_of_query",
}
_INSERT: Final = re.compile(rb"\s*INSERT INTO .*? FORMAT (\w+)\s*\n", re.DOTALL | re.IGNORECASE)
_DECOMPRESS: Final = {"lz4": lz4.frame.decompress, "zstd": zstd.decompress}
_FORMAT: Final = re.compile(r"\sFORMAT (\w+)\s*;?\s*$", re.IGNORECASE)


class Engine:
    """One session, for one request at a time."""

    def __init__(self, folder: Path) -> None:
        self._session: Any = session.Session(str(folder))
        self._session.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        self._session.query(f"USE {DATABASE}")
        self._lock = Lock()

    def run(self, named: dict[str, str], body: bytes) -> bytes:
        """The answer to a request. Raises what the engine does."""
        settings = {name: value for name, value in named.items() if name not in _OF_THE_CLIENT}
        content = (named["query"] + "\n").encode() + body if "query" in named else body
        with self._lock:
            for name, value in settings.items():
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                self._session.query(f"SET {name} = '{quoted}'")
            try:
                found = _INSERT.match(content)
                return self._insert(found, content) if found else self._ask(content.decode())
            finally:
                for name in settings:
                    if not name.startswith("param_"):
                        self._session.query(f"SET {name} = DEFAULT")

    def _insert(self, found: "re.Match[bytes]", content: bytes) -> bytes:
        statement, kind = found[0].decode(), found[1].decode()
        with NamedTemporaryFile() as file:
            file.write(content[found.end() :])
            file.flush()
            into = statement[: statement.upper().rindex(" FORMAT ")]
            self._session.query(f"{into} SELECT * FROM file('{file.name}', '{kind}')")
        return b""

    def _ask(self, sql: str) -> bytes:
        wanted = _FORMAT.search(sql)
        kind = wanted[1] if wanted else "TabSeparated"
        answer = self._session.query(sql[: wanted.start()] if wanted else sql, kind)
        return bytes(answer.bytes() or b"")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        self._answered(b"")

    def do_POST(self) -> None:
        body = self._body()
        encoding = self.headers.get("Content-Encoding", "")
        self._answered(_DECOMPRESS[encoding](body) if encoding else body)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answered(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        named = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/ping":
            return self._send(200, b"Ok.\n")
        if not self._is_known():
            return self._send(403, b"Code: 516. DB::Exception: Authentication failed")
        try:
            return self._send(200, self.engine.run(named, body))
        except Exception as error:  # noqa: BLE001 - of the engine
            return self._send(500, str(error).encode())

    def _is_known(self) -> bool:
        given = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")
        if self.headers.get("Authorization", "").startswith("Basic "):
            text = base64.b64decode(self.headers["Authorization"][6:]).decode()
            user, _, password = text.partition(":")
            given = user, password
        return given == (USER, PASSWORD)

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def main() -> None:
    """Serve until the process is killed."""
    port, folder = int(sys.argv[1]), Path(unquote(sys.argv[2]))
    _Handler.engine = Engine(folder)
    ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
