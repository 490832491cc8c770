"""The doctor's checks of a machine: limits, control groups, memory, folders, packages."""

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from service.config.settings import Settings
from service.doctor import files, network
from service.doctor import machine as checks
from service.doctor.machine import Machine
from service.process.ulimits import OWN_FILES
from tests.support.doctor import machine, only
from tests.support.messages import mentions

_MIB = 1 << 20
_V2 = "0::/system.slice/scoring.service\n"
_V1 = "5:cpu,cpuacct:/unit\n4:memory:/unit\n3:pids:/unit\n0::/\n"
_SLICE = "sys/fs/cgroup/system.slice"


def _meminfo(**kib: int) -> dict[str, str]:
    usual = {"MemAvailable": 8 << 20}
    lines = (f"{name}: {value} kB" for name, value in {**usual, **kib}.items())
    return {"proc/meminfo": "\n".join(lines)}


# Version 2 with a limit above, version 1 in the group itself, and a container without a name
# space of its own, whose group's name exists outside only.
_TWO_CPUS = [
    {"proc/self/cgroup": _V2, f"{_SLICE}/cpu.max": "200000 100000", "sys/fs/cgroup/x": ""},
    {
        "proc/self/cgroup": _V1,
        "sys/fs/cgroup/cpu/unit/cpu.cfs_quota_us": "200000",
        "sys/fs/cgroup/cpu/unit/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    },
    {"proc/self/cgroup": "0::/docker/4f2a\n", "sys/fs/cgroup/cpu.max": "200000 100000"},
]


@pytest.mark.parametrize("kernel_files", _TWO_CPUS)
@pytest.mark.parametrize(("wanted", "level"), [(1, "ok"), (2, "ok"), (3, "warn"), (8, "warn")])
def test_workers_are_held_against_the_quota_wherever_it_is_set(
    kernel_files: dict[str, str], wanted: int, level: str, tmp_path: Path
) -> None:
    finding = only(checks.workers(machine(tmp_path, kernel_files), wanted, cores=8))
    assert finding.level == level
    assert finding.remedy == ("SCORING_WORKERS=2" if level == "warn" else "")


def test_a_part_of_a_cpu_makes_all_workers_stand_still(tmp_path: Path) -> None:
    kernel_files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000"}
    finding = only(checks.workers(machine(tmp_path, kernel_files), 2, cores=8))
    assert finding.level == "warn"
    assert mentions(finding.remedy, "quota", "2 whole CPUs")


def test_without_a_quota_the_cores_count(tmp_path: Path) -> None:
    kernel_files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}
    assert only(checks.workers(machine(tmp_path, kernel_files), 4, cores=4)).level == "ok"
    assert only(checks.workers(machine(tmp_path, kernel_files), 5, cores=4)).level == "warn"


_NEEDED = checks.CONNECTIONS + OWN_FILES


@pytest.mark.parametrize(
    ("hard", "level", "facts"),
    [
        (_NEEDED, "ok", ("1,048 ",)),
        (resource.RLIM_INFINITY, "ok", ("without limit",)),
        (_NEEDED - 1, "warn", ("1,047 for each worker", "999 connections", "1,000")),
        (148, "warn", ("148 for each worker", "100 connections", "1,000")),
        (147, "fail", ("147 for each worker", "99 connections", "1,000")),
        (16, "fail", ("16 for each worker", "0 connections", "1,000")),
    ],
)
def test_open_files(hard: int, level: str, facts: tuple[str, ...]) -> None:
    finding = only(checks.open_files(hard))
    assert finding.level == level
    assert mentions(finding.description, *facts)


@pytest.mark.parametrize(
    ("ceiling", "level"),
    [("8", "fail"), ("9", "warn"), ("16", "warn"), ("17", "ok"), ("max", "ok")],
)
def test_the_processes_of_two_workers(ceiling: str, level: str, tmp_path: Path) -> None:
    kernel_files = {"proc/self/cgroup": _V2, f"{_SLICE}/scoring.service/pids.max": ceiling}
    assert only(checks.processes(machine(tmp_path, kernel_files), 2)).level == level


# With 100 MiB for the model: 20 for the server, 40 for each of two workers, twice at a reload.
@pytest.mark.parametrize(
    ("mib", "level"), [(199, "fail"), (200, "warn"), (279, "warn"), (280, "ok"), (None, "ok")]
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_memory_limit_of_two_workers(
    mib: int | None, level: str, version: int, tmp_path: Path
) -> None:
    none = "max" if version == 2 else "9223372036854771712"
    text = none if mib is None else str(mib * _MIB)
    kernel_files = {
        1: {"proc/self/cgroup": _V1, "sys/fs/cgroup/memory/unit/memory.limit_in_bytes": text},
        2: {"proc/self/cgroup": _V2, f"{_SLICE}/memory.max": text},
    }[version]
    there = machine(tmp_path, {**kernel_files, **_meminfo()})
    assert only(checks.memory(there, 2, 100 * _MIB)).level == level


def test_without_a_limit_the_free_memory_counts(tmp_path: Path) -> None:
    kernel_files = {"proc/self/cgroup": _V2, **_meminfo(MemAvailable=100 * 1024)}
    finding = only(checks.memory(machine(tmp_path, kernel_files), 2, None))
    assert (finding.level, finding.description.split(";")[0]) == ("fail", "100 MiB available")


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (lambda there: checks.processes(there, 2), "processes"),
        (lambda there: checks.memory(there, 2, None), "memory"),
        (lambda there: checks.workers(there, 2, cores=2), "workers"),
    ],
)
def test_missing_kernel_files_raise_an_os_error(
    check: Callable[[Machine], object], name: str, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=r"No such file"):
        list(check(Machine(tmp_path)))  # type: ignore[call-overload]
    assert name


def _mounted(root: Path, kind: str, folder: Path) -> Machine:
    text = f"/dev/sda / ext4 rw 0 0\nx {folder} {kind} rw 0 0\nproc /proc proc rw 0 0\n"
    return machine(root, {"proc/mounts": text})


@pytest.mark.parametrize(("kind", "level"), [("tmpfs", "ok"), ("ramfs", "ok"), ("ext4", "warn")])
def test_the_work_folder_is_in_memory(kind: str, level: str, tmp_path: Path) -> None:
    there = _mounted(tmp_path / "root", kind, tmp_path)
    finding = only(files.work_folder(there, 2, tmp_path))
    assert finding.level == level


def test_a_full_or_missing_work_folder_fails(tmp_path: Path) -> None:
    there = _mounted(tmp_path / "root", "tmpfs", tmp_path)
    crowded = only(files.work_folder(there, 1 << 40, tmp_path))
    assert (crowded.level, "not start" in crowded.remedy) == ("fail", True)
    assert only(files.work_folder(there, 2, None)).level == "fail"


def test_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.cbm"
    model.touch()
    assert only(files.temporary_folder(tmp_path, model, [])).level == "ok"
    assert only(files.temporary_folder(None, model, [])).level == "fail"
    os.truncate(model, 1 << 43)  # a hole: it takes no room itself
    assert only(files.temporary_folder(tmp_path, model, [])).level == "fail"
    os.truncate(model, 0)
    monkeypatch.chdir(tmp_path)
    assert only(files.temporary_folder(tmp_path, model, [])).level == "warn"
    assert only(files.temporary_folder(tmp_path, model, [str(tmp_path)])).level == "ok"


def test_the_path_of_a_socket(tmp_path: Path) -> None:
    def level(path: Path) -> str:
        return only(network.address(Machine(), Settings(host=f"unix:{path}"))).level

    path = tmp_path / "s"
    assert level(path) == "ok"
    assert level(tmp_path / "none" / "s") == "fail"
    assert level(tmp_path / ("x" * 108)) == "fail"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        taken = only(network.address(Machine(), Settings(host=f"unix:{path}")))
        assert (taken.level, f"process {os.getpid()} " in taken.description) == ("fail", True)
    assert level(path) == "ok"  # left over: a start replaces it
    path.unlink()
    path.touch()
    assert level(path) == "fail"


def test_the_packages_are_those_that_were_tested(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    assert only(checks.packages(lock)).level == "unknown"
    assert only(checks.packages()).level == "ok"
    lock.write_text("gunicorn==1.0 \\\n    --hash=sha256:0\n")
    other = only(checks.packages(lock))
    assert other.level == "warn"
    assert other.description.endswith(", tested 1.0")
    lock.write_text("no-such-package==1.0 \\\nelsewhere==1 ; sys_platform == 'win32' \\\n")
    missing = only(checks.packages(lock))
    assert (missing.level, missing.description) == ("fail", "not installed: no-such-package")


def test_the_user() -> None:
    assert only(files.user(0)).level == "warn"
    assert only(files.user(1000)).level == "ok"
