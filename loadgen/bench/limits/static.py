"""nginx with a fixed reply to POST /reg/: the cost of HTTP and wrk on this machine."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Final

_REPLY: Final = '{"body":{"negative":0.5,"positive":0.5},"status":"ok"}'
_CONFIGURATION: Final = """\
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} reuseport;
    location = /reg/ {{
      if ($http_x_api_key != "{key}") {{ return 401; }}
      default_type application/json;
      return 200 '{reply}';
    }}
  }}
}}
"""


def main() -> None:
    """Become nginx."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.bench.limits.static")
    parser.add_argument("key")
    parser.add_argument("port", type=int)
    parser.add_argument("workers", type=int)
    given = parser.parse_args()
    program = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("nginx is not installed (Debian: apt-get install nginx-light)")
    folder = Path.cwd()
    path = folder / f"nginx-{given.port}.conf"
    path.write_text(_CONFIGURATION.format(**vars(given), folder=folder, reply=_REPLY))
    os.execv(program, [program, "-p", str(folder), "-c", str(path), "-e", "stderr"])  # noqa: S606


if __name__ == "__main__":
    main()
