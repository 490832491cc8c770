"""The doctor's checks of settings that don't fit together, and of what they name."""

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from loadgen.common.processes import free_port
from model import catalog
from model.registry import Validated
from model.regno import BUNDLED
from service.config.settings import Settings
from service.doctor import edge, files, model, network
from service.doctor import settings as configuration
from service.doctor.finding import Finding
from service.doctor.machine import Machine
from tests.support.doctor import machine, only
from tests.support.messages import mentions

_HERE = Machine()


def test_a_variable_that_nothing_reads() -> None:
    assert only(configuration.unknown_settings([], {})).level == "ok"
    finding = only(configuration.unknown_settings(["SCORING_API_KEES", "SCORING_QQQQ"], {}))
    assert finding.level == "warn"
    assert mentions(finding.remedy, "SCORING_API_KEES: SCORING_API_KEYS")
    assert only(configuration.unknown_settings(["SCORING_QQQQ"], {})).remedy.startswith(
        "python -m service --help"
    )


def test_a_former_name_of_a_setting() -> None:
    finding = only(configuration.unknown_settings([], {"SCORING_MODELS": "SCORING_REGISTRY"}))
    assert (finding.level, "SCORING_MODELS" in finding.description) == ("warn", True)
    assert "SCORING_REGISTRY" in finding.remedy


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({}, "ok"),
        ({"OMP_NUM_THREADS": "1"}, "ok"),
        ({"OMP_NUM_THREADS": "8"}, "warn"),
        ({"GUNICORN_CMD_ARGS": "--bind=0.0.0.0:80"}, "warn"),
    ],
)
def test_other_programs_variables(given: dict[str, str], level: str) -> None:
    finding = only(configuration.foreign_settings(given))
    assert finding.level == level
    assert "0.0.0.0" not in finding.description


def test_quotation_marks_in_a_value() -> None:
    assert only(configuration.quotes(Settings(metrics_token="tok'en"))).level == "ok"
    finding = only(configuration.quotes(Settings(metrics_token='"token"')))
    assert (finding.level, "SCORING_METRICS_TOKEN" in finding.description) == ("warn", True)


@pytest.mark.parametrize(
    ("settings", "inside", "outside"),
    [
        (Settings(), "warn", "ok"),
        (Settings(host="0.0.0.0"), "ok", "ok"),
        (Settings(host="unix:/run/s"), "ok", "ok"),
        (Settings(host="0.0.0.0", metrics_bind="127.0.0.1:9100"), "warn", "ok"),
    ],
)
@pytest.mark.parametrize(
    "mark", [".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io/x"]
)
def test_loopback_in_a_container_is_unreachable(
    settings: Settings, inside: str, outside: str, mark: str, tmp_path: Path
) -> None:
    assert only(configuration.reach(machine(tmp_path / "in", {mark: ""}), settings)).level == inside
    assert only(configuration.reach(machine(tmp_path / "out", {}), settings)).level == outside


def test_an_array_of_all_rows_fits() -> None:
    assert only(configuration.arrays(Settings())).level == "ok"
    finding = only(configuration.arrays(Settings(max_rows=100_000)))
    assert (finding.level, finding.remedy) == ("warn", "SCORING_MAX_ARRAY_BODY=90000000")


@pytest.mark.parametrize(
    ("settings", "terminal", "level"),
    [
        (Settings(), False, "ok"),
        (Settings(log_form="human"), True, "ok"),
        (Settings(log_form="human"), False, "warn"),
        (Settings(log_sample=0), False, "warn"),
        (Settings(log_level="error"), False, "warn"),
        (Settings(log_sample=0, metrics_token="t"), False, "ok"),
    ],
)
def test_the_log_settings_have_their_level(
    settings: Settings, *, terminal: bool, level: str
) -> None:
    assert only(configuration.log(settings, terminal=terminal)).level == level


@pytest.mark.parametrize(
    ("mark", "seconds", "level"),
    [
        ("x", 30, "ok"),
        (".dockerenv", 5, "ok"),
        (".dockerenv", 6, "unknown"),
        ("var/run/secrets/kubernetes.io/x", 25, "ok"),
        ("var/run/secrets/kubernetes.io/x", 26, "unknown"),
    ],
)
def test_a_supervisor_waits_for_the_stop(
    mark: str, seconds: int, level: str, tmp_path: Path
) -> None:
    there = machine(tmp_path, {mark: ""})
    assert only(configuration.stop_period(there, Settings(graceful_timeout=seconds))).level == level
    draining = Settings(graceful_timeout=seconds - 1, drain_seconds=1)
    assert only(configuration.stop_period(there, draining)).level == level


@pytest.mark.parametrize(("seconds", "level"), [(59, "warn"), (60, "warn"), (61, "ok")])
def test_the_proxy_lets_go_first(seconds: int, level: str, tmp_path: Path) -> None:
    settings = Settings(keepalive=seconds)
    finding = next(edge.edge(_HERE, settings, tmp_path / "none.env", package="no_such_edge"))
    assert (finding.name, finding.level) == ("keep-alive", level)


_EDGE = """
from types import SimpleNamespace
class SettingsError(Exception): ...
def load(*, dotenv):
    if "bad" in dotenv.name:
        raise SettingsError("EDGE_LISTEN: is not a port")
    return SimpleNamespace(
        workdir="/nowhere", bytes_needed=1,
        admin_addresses="all" if "odd" in dotenv.name else "::1",
        max_body=4096, certificate="", certificate_key="{key}", client_ca="", client_keys_file=""
    )
def unknown_variables(*, dotenv):
    return ["EDGE_LISSEN"] if "odd" in dotenv.name else []
"""


def _with_an_edge(dotenv: str, **settings: int) -> dict[str, Finding]:
    findings = edge.edge(_HERE, Settings(**settings), Path(dotenv), package="an_edge")  # type: ignore[arg-type]
    return {finding.name: finding for finding in findings}


def test_the_settings_of_the_edge_are_compared(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = open_folder / "edge.key"
    key.touch(0o600)
    package = tmp_path / "an_edge"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "config.py").write_text("SERVICE_IDLE_SECONDS = 80\n")
    (package / "settings.py").write_text(_EDGE.replace("{key}", str(key)))
    monkeypatch.syspath_prepend(tmp_path)
    findings = _with_an_edge(".env", max_array_body=4096, keepalive=81)
    assert {name: finding.level for name, finding in findings.items()} == {
        "keep-alive": "ok",
        "edge bodies": "ok",
        "edge admins": "ok",
        "edge certificate key": "ok",
    }
    key.chmod(0o666)
    findings = _with_an_edge("odd.env", max_array_body=4097, keepalive=80)
    assert {name: finding.level for name, finding in findings.items()} == {
        "keep-alive": "warn",
        "edge": "warn",
        "edge bodies": "warn",
        "edge admins": "warn",
        "edge certificate key": "fail",
    }
    assert findings["keep-alive"].remedy.startswith("SCORING_KEEPALIVE=95")
    assert _with_an_edge("bad.env")["edge"].level == "fail"


def test_the_edges_folder_must_hold_what_may_lie_there(tmp_path: Path) -> None:
    assert list(edge.room(tmp_path / "none", 1)) == []
    finding = only(edge.room(tmp_path, shutil.disk_usage(tmp_path).total + 1))
    assert (finding.name, finding.level) == ("edge room", "warn")
    assert "EDGE_WORKDIR_BYTES=" in finding.remedy


@pytest.mark.parametrize(("free", "level"), [(10, "ok"), (9, "warn"), (0, "warn")])
def test_a_folder_that_is_nearly_full_is_reported(
    free: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=100, used=100 - free, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    finding = only(edge.room(tmp_path, 100))
    assert (finding.level, finding.description) == (
        level,
        f"{tmp_path} has 100 bytes, {free} of them free",
    )


def _capturing(folder: Path, **changed: Any) -> Settings:
    given: dict[str, Any] = {"capture": 0.05, "capture_dir": str(folder), "capture_mb": 1}
    return Settings(**given | changed)


def test_the_folder_of_captured_rows(tmp_path: Path) -> None:
    assert list(files.capture(Settings())) == []
    own = tmp_path / "captured"
    assert only(files.capture(_capturing(own / "new"))).level == "ok"
    own.mkdir(mode=0o700)
    finding = only(files.capture(_capturing(own)))
    assert (finding.level, "without plates" in finding.description) == ("ok", True)
    assert only(files.capture(_capturing(own, capture=1.0))).level == "warn"
    (tmp_path / "file").write_text("")
    assert only(files.capture(_capturing(tmp_path / "file"))).level == "fail"


def test_the_folder_of_decisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(folder: Path) -> str:
        kept = Settings(decisions="required", decisions_dir=str(folder), decisions_spool_mb=1)
        return only(files.decisions(kept)).level

    assert list(files.decisions(Settings())) == []
    (tmp_path / "file").write_text("")
    assert (check(tmp_path / "new"), check(tmp_path / "file")) == ("ok", "fail")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(1 << 20) - 10))
    assert check(tmp_path / "new") == "warn"


def test_captured_rows_that_other_users_could_read_are_reported(open_folder: Path) -> None:
    folder = open_folder / "captured"
    folder.mkdir()
    for mode, level in ((0o755, "fail"), (0o702, "fail"), (0o751, "ok"), (0o700, "ok")):
        folder.chmod(mode)
        assert only(files.capture(_capturing(folder))).level == level, oct(mode)
    folder.chmod(0o755)
    assert only(files.capture(_capturing(folder))).remedy == f"chmod 700 {folder}"
    open_folder.chmod(0o700)
    assert only(files.capture(_capturing(folder))).level == "ok", "no other user reaches it"


def test_a_disk_too_small_for_captured_rows_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(1 << 20) - 10))
    finding = only(files.capture(_capturing(tmp_path)))
    assert (finding.level, "SCORING_CAPTURE_MB" in (finding.remedy or "")) == ("warn", True)
    (tmp_path / "captured-1.parquet").write_bytes(b"x" * 10)
    assert only(files.capture(_capturing(tmp_path))).level == "ok"


@pytest.fixture
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "getproxies", dict)


@pytest.mark.usefixtures("_no_proxy")
def test_somebody_takes_reports_and_traces() -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        place = f"127.0.0.1:{taker.getsockname()[1]}"
        settings = Settings(sentry_dsn=f"http://key@{place}/1", otlp_endpoint=f"http://{place}")
        assert only(network.sentry(settings)) == Finding(
            "ok", "Sentry", f"{place} takes connections"
        )
        assert only(network.traces(settings, wanted=("json",))).level == "ok"


@pytest.mark.usefixtures("_no_proxy")
def test_an_unreachable_receiver_is_a_warning() -> None:
    place = f"127.0.0.1:{free_port()}"
    settings = Settings(sentry_dsn=f"http://key@{place}/1", otlp_endpoint=f"http://{place}")
    assert only(network.sentry(settings)).level == "warn"
    assert only(network.traces(settings, wanted=("json",))).level == "warn"
    nameless = Settings(sentry_dsn="https://key@errors.invalid/1")
    assert only(network.sentry(nameless)).level == "warn"


def test_nothing_is_wanted() -> None:
    assert only(network.sentry(Settings())).description == "off"
    assert only(network.traces(Settings())).description == "off"


def test_behind_a_proxy_the_level_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "getproxies", lambda: {"http": "http://proxy:3128"})
    settings = Settings(sentry_dsn="http://key@errors.example/1")
    assert only(network.sentry(settings)).level == "unknown"


def test_traces_need_their_packages() -> None:
    settings = Settings(otlp_endpoint="http://127.0.0.1:4318")
    finding = only(network.traces(settings, wanted=("no_such_sdk.trace",)))
    assert (finding.level, finding.remedy.split()[0]) == ("fail", "pip")


def _validated(
    golden: int = 16,
    variables: int = 2,
    thresholds: dict[str, float] | None = None,
    **changed: Any,
) -> Validated:
    manifest = {
        "version": "v",
        "golden": [0.5] * golden,
        "classes": ["0", "1"],
        "positive_class": "1",
        "unexplained": "",
        "reference": [{"name": "ai_len"}] * variables,
        "thresholds": thresholds,
    }
    return Validated(manifest=msgspec.Raw(msgspec.json.encode(manifest)), **changed)


def test_the_model_and_what_vouches_for_it(tmp_path: Path) -> None:
    path = tmp_path / "m.cbm"
    for validated, bundled, level in (
        (_validated(), False, "ok"),
        (_validated(), True, "warn"),
        (_validated(golden=0), False, "warn"),
        (_validated(is_derived=True), False, "warn"),
        (_validated(refused="no"), True, "fail"),
    ):
        assert only(model.model(path, validated, bundled=bundled)).level == level
    (tmp_path / "manifest.json").touch()
    stranger = _validated(is_derived=True)
    assert "names another file" in only(model.model(path, stranger, bundled=False)).description


def test_a_model_without_a_drift_reference_is_reported() -> None:
    assert only(model.drift_reference(_validated())).level == "ok"
    finding = only(model.drift_reference(_validated(variables=0)))
    assert (finding.level, finding.name) == ("warn", "drift")
    assert "--reference-from" in finding.remedy
    assert list(model.drift_reference(_validated(refused="no"))) == []
    finding = only(model.drift_reference(_validated(variables=0), "cat"))
    assert (finding.level, finding.name) == ("warn", "drift cat")
    assert "OtherModelDrift" in finding.description
    assert "--name cat" in finding.remedy
    without = Validated(manifest=msgspec.Raw(b'{"version":"v"}'))
    assert list(model.drift_reference(without, "toy")) == [], "it makes no bins"


@pytest.mark.parametrize(("name", "golden"), [("digits", 20), ("imagenet", 5), ("cat", 5)])
def test_the_bundled_models_of_pictures_are_checked(name: str, golden: int) -> None:
    entry = catalog.entry(name)
    assert entry.bundled
    manifest = entry.bundled.with_name("manifest.json").read_bytes()
    validated = Validated(manifest=msgspec.Raw(manifest))
    finding = only(model.model(entry.bundled, validated, bundled=True, name=name))
    assert (finding.level, f"{golden} golden scores agree" in finding.description) == ("ok", True)
    assert only(model.drift_reference(validated, name)).level == "ok"
    assert list(model.explanations(validated, name)) == []


def test_it_is_said_which_thresholds_decide() -> None:
    own = {"camera": 0.125, "network": 0.875}
    assert "SCORING_COST_*" in only(model.thresholds(_validated(), "manifest")).description
    finding = only(model.thresholds(_validated(thresholds=own), "manifest"))
    assert (finding.level, "0.125" in finding.description) == ("ok", True)
    finding = only(model.thresholds(_validated(thresholds=own), "costs"))
    assert "0.125" not in finding.description
    assert list(model.thresholds(_validated(refused="no"), "manifest")) == []


def test_the_bundled_model_is_known_by_its_place() -> None:
    assert catalog.entry(catalog.DEFAULT).bundled == BUNDLED
