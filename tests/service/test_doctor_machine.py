"""What the doctor makes of a machine: limits, control groups, memory, folders, the clock."""

import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.config.settings import Settings
from service.doctor import folders, limits, memory, ports, workers
from service.doctor.machine import Machine
from service.process import run_folder
from service.process.open_files import OTHERS
from tests.support.doctor import machine, only

_MIB = 1 << 20
_V2 = "0::/system.slice/scoring.service\n"
_V1 = "5:cpu,cpuacct:/unit\n4:memory:/unit\n3:pids:/unit\n0::/\n"
_SLICE = "sys/fs/cgroup/system.slice"


def _meminfo(**kib: int) -> dict[str, str]:
    usual = {"MemAvailable": 8 << 20, "SwapTotal": 0, "SwapFree": 0}
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


@pytest.mark.parametrize("told", _TWO_CPUS)
@pytest.mark.parametrize(("wanted", "level"), [(1, "ok"), (2, "ok"), (3, "warn"), (8, "warn")])
def test_workers_are_held_against_the_quota_wherever_it_is_set(
    told: dict[str, str], wanted: int, level: str, tmp_path: Path
) -> None:
    found = only(workers.workers(machine(tmp_path, told), wanted, cores=8))
    assert found.level == level
    assert found.mend == ("SCORING_WORKERS=2" if level == "warn" else "")


def test_a_part_of_a_cpu_makes_all_workers_stand_still(tmp_path: Path) -> None:
    told = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000"}
    found = only(workers.workers(machine(tmp_path, told), 2, cores=8))
    assert (found.level, found.mend) == ("warn", "a quota of 2 whole CPUs")


def test_without_a_quota_the_cores_count(tmp_path: Path) -> None:
    told = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}
    assert only(workers.workers(machine(tmp_path, told), 4, cores=4)).level == "ok"
    assert only(workers.workers(machine(tmp_path, told), 5, cores=4)).level == "warn"


_NEEDED = limits.CONNECTIONS + OTHERS


@pytest.mark.parametrize(
    ("hard", "level", "found"),
    [
        (_NEEDED, "ok", "1,048 for each worker"),
        (resource.RLIM_INFINITY, "ok", "without limit"),
        (_NEEDED - 1, "warn", "1,047 for each worker: it takes 999 connections, 1,000 otherwise"),
        (148, "warn", "148 for each worker: it takes 100 connections, 1,000 otherwise"),
        (147, "fail", "147 for each worker: it takes 99 connections, 1,000 otherwise"),
        (16, "fail", "16 for each worker: it takes 0 connections, 1,000 otherwise"),
    ],
)
def test_open_files(hard: int, level: str, found: str) -> None:
    finding = only(limits.open_files(hard))
    assert (finding.level, finding.found) == (level, found)


@pytest.mark.parametrize(("allowed", "level"), [(128, "warn"), (2047, "warn"), (2048, "ok")])
def test_the_backlog(allowed: int, level: str, tmp_path: Path) -> None:
    there = machine(tmp_path, {"proc/sys/net/core/somaxconn": f"{allowed}\n"})
    assert only(limits.backlog(there)).level == level


@pytest.mark.parametrize(
    ("ceiling", "level"),
    [("8", "fail"), ("9", "warn"), ("16", "warn"), ("17", "ok"), ("max", "ok")],
)
def test_the_processes_of_two_workers(ceiling: str, level: str, tmp_path: Path) -> None:
    told = {"proc/self/cgroup": _V2, f"{_SLICE}/scoring.service/pids.max": ceiling}
    assert only(limits.processes(machine(tmp_path, told), 2)).level == level


@pytest.mark.parametrize(
    ("mode", "limit", "level"),
    [(0, 0, "ok"), (1, 0, "ok"), (2, 2 * 1200 * 1024 - 1, "warn"), (2, 2 * 1200 * 1024, "ok")],
)
def test_memory_that_is_promised(mode: int, limit: int, level: str, tmp_path: Path) -> None:
    told = {"proc/sys/vm/overcommit_memory": str(mode)}
    told |= _meminfo(CommitLimit=limit, Committed_AS=0)
    assert only(limits.overcommit(machine(tmp_path, told), 2)).level == level


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
    told = {
        1: {"proc/self/cgroup": _V1, "sys/fs/cgroup/memory/unit/memory.limit_in_bytes": text},
        2: {"proc/self/cgroup": _V2, f"{_SLICE}/memory.max": text},
    }[version]
    there = machine(tmp_path, {**told, **_meminfo()})
    assert only(memory.memory(there, 2, 100 * _MIB)).level == level


def test_without_a_limit_the_free_memory_counts(tmp_path: Path) -> None:
    told = {"proc/self/cgroup": _V2, **_meminfo(MemAvailable=100 * 1024)}
    found = only(memory.memory(machine(tmp_path, told), 2, None))
    assert (found.level, found.found.split(";")[0]) == ("fail", "100 MiB available")


@pytest.mark.parametrize(
    ("total", "free", "level"), [(0, 0, "ok"), (1000, 800, "ok"), (1000, 799, "warn")]
)
def test_swap(total: int, free: int, level: str, tmp_path: Path) -> None:
    there = machine(tmp_path, _meminfo(SwapTotal=total, SwapFree=free))
    assert only(memory.swap(there)).level == level


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (limits.backlog, "backlog"),
        (lambda there: limits.overcommit(there, 2), "overcommit"),
        (lambda there: limits.processes(there, 2), "processes"),
        (lambda there: memory.memory(there, 2, None), "memory"),
        (memory.swap, "swap"),
        (lambda there: workers.workers(there, 2, cores=2), "workers"),
        (lambda there: ports.borrowed_ports(there, Settings()), "ports"),
    ],
)
def test_a_kernel_that_tells_nothing_is_for_the_caller(
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
    found = only(folders.work_folder(there, 2, tmp_path))
    assert found.level == level


def test_the_work_folder_has_room_and_is_there(tmp_path: Path) -> None:
    there = _mounted(tmp_path / "root", "tmpfs", tmp_path)
    crowded = only(folders.work_folder(there, 1 << 40, tmp_path))
    assert (crowded.level, "not start" in crowded.mend) == ("fail", True)
    assert only(folders.work_folder(there, 2, None)).level == "fail"


def _old(folder: Path) -> Path:
    folder.mkdir()
    ago = time.time() - 7200
    os.utime(folder, (ago, ago))
    return folder


def test_left_over_metrics(tmp_path: Path) -> None:
    assert only(folders.left_over_metrics(tmp_path)).found == "none"
    (tmp_path / f"{run_folder.PREFIX}young").mkdir()  # its server may just be starting
    assert only(folders.left_over_metrics(tmp_path)).found == "none"
    killed = tmp_path / f"{run_folder.PREFIX}killed"
    killed.mkdir()
    (killed / run_folder.LOCK).touch()
    found = only(folders.left_over_metrics(tmp_path))
    assert (found.level, found.found[0]) == ("ok", "1")
    assert killed.exists(), "the doctor looks and touches nothing"
    stuck = _old(tmp_path / f"{run_folder.PREFIX}stuck")
    found = only(folders.left_over_metrics(tmp_path))
    assert (found.level, found.mend) == ("warn", f"rm -r {stuck}")


def test_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.cbm"
    model.touch()
    assert only(folders.temporary_folder(tmp_path, model, [])).level == "ok"
    assert only(folders.temporary_folder(None, model, [])).level == "fail"
    os.truncate(model, 1 << 43)  # a hole: it takes no room itself
    assert only(folders.temporary_folder(tmp_path, model, [])).level == "fail"
    os.truncate(model, 0)
    monkeypatch.chdir(tmp_path)
    assert only(folders.temporary_folder(tmp_path, model, [])).level == "warn"
    assert only(folders.temporary_folder(tmp_path, model, [str(tmp_path)])).level == "ok"


_RANGE = {"proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n"}
_RESERVED = "proc/sys/net/ipv4/ip_local_reserved_ports"


@pytest.mark.parametrize(
    ("port", "reserved", "level"),
    [
        (5000, "", "ok"),
        (32767, "", "ok"),
        (32768, "", "warn"),
        (60999, "", "warn"),
        (40000, "40000", "ok"),
        (40000, "8080,39000-41000", "ok"),
        (40000, "40001", "warn"),
    ],
)
def test_a_port_that_outgoing_connections_take(
    port: int, reserved: str, level: str, tmp_path: Path
) -> None:
    there = machine(tmp_path, {**_RANGE, _RESERVED: f"{reserved}\n"})
    assert only(ports.borrowed_ports(there, Settings(port=port))).level == level
    bind = Settings(host="unix:/run/s", metrics_bind=f"127.0.0.1:{port}")
    assert only(ports.borrowed_ports(there, bind)).level == level


def test_the_path_of_a_socket(tmp_path: Path) -> None:
    def level(path: Path) -> str:
        return only(ports.address(Machine(), Settings(host=f"unix:{path}"))).level

    path = tmp_path / "s"
    assert level(path) == "ok"
    assert level(tmp_path / "none" / "s") == "fail"
    assert level(tmp_path / ("x" * 108)) == "fail"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        taken = only(ports.address(Machine(), Settings(host=f"unix:{path}")))
        assert (taken.level, f"process {os.getpid()} " in taken.found) == ("fail", True)
    assert level(path) == "ok"  # left over: a start replaces it
    path.unlink()
    path.touch()
    assert level(path) == "fail"
