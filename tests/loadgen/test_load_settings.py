"""A flag overrides its variable, and that the default: for our command and for Locust's."""

import subprocess
import sys

import pytest

from loadgen.load import __main__ as load_command
from loadgen.load.settings import variable
from tests.support.example import example
from tests.support.load import command, environment
from tests.support.messages import mentions
from tests.support.paths import ROOT

_URL = "http://127.0.0.1:1"
_LOCUST = [sys.executable, "-m", "locust", "-f", "loadgen/locustfile.py", "--headless"]
_PROGRAMS = pytest.mark.parametrize("program", [command(), _LOCUST], ids=["ours", "locust"])
# What the service's address is, for the one and the other.
_ADDRESS = {"LOADGEN_URL": _URL, "LOCUST_HOST": _URL, "LOADGEN_API_KEY": "k"}


def refused(program: list[str], *arguments: str, **variables: str) -> str:
    """The error output of a program that does not start."""
    finished = subprocess.run(
        [*program, *arguments], cwd=ROOT, env=environment(**{**_ADDRESS, **variables}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 2, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stderr


_UNUSABLE = [
    ("shape", "rampe", "rampe"),
    ("shapes", "/none.toml", "/none.toml: No such file"),
    ("rows", "/none.csv", "/none.csv: No such file"),
    ("out", "/dev/null", "/dev/null: File exists"),
    ("metrics-port", "99999", "LOADGEN_METRICS_PORT: 99999"),
    ("metrics-port", "9100,5", "argument --metrics-port: it must be a whole number"),
]


@pytest.mark.parametrize(("option", "value", "reason"), _UNUSABLE)
def test_locust_reads_a_variable_and_its_flag_overrides_it(
    option: str, value: str, reason: str
) -> None:
    assert reason in refused(_LOCUST, **{variable(option): value})
    other = "0" if option == "metrics-port" else "/other"
    assert reason in refused(_LOCUST, f"--{option}", value, **{variable(option): other})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("shape", "soak"), ("shapes", "/some.toml"), ("rows", "/some.csv"), ("out", "/some")),
        *(("metrics-port", "9101"), ("url", "http://host:1")),
    ],
)
def test_our_command_reads_a_variable_and_its_flag_overrides_it(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed(*arguments: str) -> str:
        return str(getattr(load_command._arguments(arguments), option.replace("-", "_")))

    monkeypatch.setenv(variable(option), value)
    assert parsed() == value
    monkeypatch.setenv(variable(option), "0" if option == "metrics-port" else "/other")
    assert parsed(f"--{option}", value) == value


def test_our_command_names_a_port_that_is_no_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOADGEN_METRICS_PORT", "9100,5")
    with pytest.raises(SystemExit) as ended:
        load_command._arguments([])
    assert ended.value.code == 2
    assert mentions(capsys.readouterr().err, "argument --metrics-port: ", "whole number")


@_PROGRAMS
def test_an_empty_variable_counts_as_unset(program: list[str]) -> None:
    """All others have their defaults, so that it is the address which is wrong."""
    empty = {name: "" for _, name, _ in example("LOADGEN_")}
    given = {**empty, "LOADGEN_URL": "nowhere", "LOCUST_HOST": "nowhere", "LOADGEN_API_KEY": "k"}
    assert mentions(refused(program, **given), "address", "http://127.0.0.1:8000")


def test_help_names_every_variable_of_the_example() -> None:
    shown = subprocess.run(
        command("--help"), cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    ).stdout
    offered = {name for _, name, _ in example("LOADGEN_")}
    of_compose = {"LOADGEN_WORKERS"}
    assert {name for name in offered if name not in shown} == of_compose
