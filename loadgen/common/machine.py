"""The machine and the versions of packages, which belong to every measurement."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

_PACKAGES: Final = (
    *("catboost", "fastapi", "flask", "gunicorn", "httptools", "msgspec", "numpy"),
    *("pandas", "prometheus-client", "pydantic", "uvicorn", "uvloop", "werkzeug"),
)


def describe() -> dict[str, Any]:
    """The machine: memory in GiB, load averages of 1, 5 and 15 minutes, date in UTC."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "wrk": _wrk_version(),
        "packages": {name: _installed(name) for name in _PACKAGES},
        "load_average_before": load_average(),
    }


def load_average() -> list[float]:
    """The load averages of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def summary(about: dict[str, Any]) -> str:
    """The machine in one line."""
    before = about["load_average_before"][0]
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, "
        f"Linux {about['kernel']}, Python {about['python']}, load {before} before, "
        f"{about['date'][:10]}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _wrk_version() -> str | None:
    if shutil.which("wrk") is None:
        return None
    # wrk prints its version and ends with an error.
    done = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].split(" [")[0].removeprefix("wrk ")
