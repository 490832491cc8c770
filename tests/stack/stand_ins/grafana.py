"""Stand-in for Grafana's server: reads what is provisioned as Grafana would, and tells of it.

It starts only if the password's file, the data source and every dashboard can be read, and its
data folder written to.
`/api/health` for all; with the admin's password `/api/search`, the dashboards,
`/api/datasources/proxy/…`, the data source's own API, and its health.
"""

import base64
import json
import os
import signal
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

_PROVISIONING = Path("/etc/grafana/provisioning")
_PROXY = "/api/datasources/proxy/"
_HEALTH = "/api/datasources/uid/{uid}/health"


def _provisioned(kind: str) -> list[dict[str, Any]]:
    entries = []
    for path in sorted((_PROVISIONING / kind).glob("*.yml")):
        content = yaml.safe_load(os.path.expandvars(path.read_text()))
        entries += content["datasources" if kind == "datasources" else "providers"]
    return entries


def _dashboards() -> list[dict[str, Any]]:
    folders = [Path(one["options"]["path"]) for one in _provisioned("dashboards")]
    files = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    return [json.loads(file.read_text()) for file in files]


class Grafana(BaseHTTPRequestHandler):
    """One request."""

    dashboards = tuple({"uid": one["uid"], "title": one["title"]} for one in _dashboards())
    source = _provisioned("datasources")[0]["url"]
    health = _HEALTH.format(uid=_provisioned("datasources")[0]["uid"])
    password = Path(os.path.expandvars("$GF_SECURITY_ADMIN_PASSWORD__FILE")).read_text()

    def do_GET(self) -> None:
        if self.path == "/api/health":
            self._reply(200, {"database": "ok"})
        elif not self._is_admin():
            self._reply(401, {"message": "Unauthorized"})
        elif self.path.startswith("/api/search"):
            self._reply(200, self.dashboards)
        elif self.path.startswith(_PROXY):
            with urllib.request.urlopen(f"{self.source}/{self.path.removeprefix(_PROXY)}") as reply:
                self._reply(200, json.load(reply))
        elif self.path == self.health:
            with urllib.request.urlopen(f"{self.source}/-/healthy"):
                self._reply(200, {"status": "OK"})
        else:
            self._reply(404, {"message": "Not found"})

    def _is_admin(self) -> bool:
        expected = base64.b64encode(f"admin:{self.password}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _reply(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # The first process of a container gets no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Path("/var/lib/grafana/grafana.db").touch()
    ThreadingHTTPServer(("0.0.0.0", 3000), Grafana).serve_forever()
