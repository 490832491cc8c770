"""Images under the names that docker-compose.yml and the Dockerfiles ask for, made from Debian."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.stack.engine import Engine
from tests.support.paths import ROOT

_PACKAGES: Final = "ca-certificates,python3,python3-venv,python3-pip,libpython3-dev"
# A machine behind a proxy that opens TLS has its authority there: pip in a build needs it.
_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
_SERVERS: Final = {"prom/prometheus": "prometheus", "prom/alertmanager": "alertmanager",
                   "nginx": "nginx", "grafana/grafana": "grafana", "rabbitmq": "rabbitmq",
                   "redis": "redis"}  # fmt: skip


def base_name() -> str:
    """The base image of this project's Dockerfiles."""
    match = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert match
    return f"python:{match[1]}"


def make_base(engine: Engine) -> None:
    """Make the base image, unless it is there."""
    if base_name() not in _there(engine):
        _make_base(engine)


def make_servers(engine: Engine, images: set[str]) -> None:
    """Make a stand-in for each image of a server, unless it is there. The base must be there."""
    for image in sorted(images - _there(engine)):
        engine.docker(
            "build", "--quiet", "--build-arg", f"BASE={base_name()}", "--tag", image,
            "--target", _SERVERS[image.partition(":")[0]], str(Path(__file__).parent),
        )  # fmt: skip


def _there(engine: Engine) -> set[str]:
    return set(engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def _make_base(engine: Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="stack-") as folder:
        archive = f"{folder}/base.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}",
             "--dpkgopt=force-unsafe-io",
             *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
             f"--customize-hook=copy-in {_AUTHORITIES} /etc/ssl/certs",
             '--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
             "bookworm", archive],
            check=True, capture_output=True, timeout=400,
        )  # fmt: skip
        variables = f"ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PIP_CERT={_AUTHORITIES}"
        engine.docker("import", "--change", variables, archive, base_name())
