"""The doctor's checks of addresses: ports that are taken, forbidden, or of another machine."""

import os
import socket
from pathlib import Path

import pytest

from loadgen.common.processes import free_port
from tests.support.doctor import GOOD_KEY, POWERLESS, checked, ran
from tests.support.messages import mentions

_JSON = "--json"


@pytest.mark.skipif(
    int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024,
    reason="here every user may listen at every port",
)
def test_a_port_that_this_user_may_not_have_fails(tmp_path: Path) -> None:
    report = ran(tmp_path, _JSON, through=POWERLESS, port="1023")
    assert (report.code, report.level("address")) == (1, "fail")
    assert "CAP_NET_BIND_SERVICE" in report["address"]["remedy"]


@pytest.mark.slow
def test_a_taken_port_is_reported_with_its_process(tmp_path: Path) -> None:
    with socket.socket() as taken, socket.socket() as metrics:
        for listener in (taken, metrics):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        port, other = taken.getsockname()[1], metrics.getsockname()[1]
        bind = f"127.0.0.1:{other}"
        report = checked(tmp_path, _JSON, port=str(port), metrics_bind=bind)
        assert report.code == 1
        for name in ("address", "metrics address"):
            assert report.level(name) == "fail"
            assert mentions(report[name]["description"], "taken", f"process {os.getpid()} ")
    again = checked(tmp_path, _JSON, port=str(port), metrics_bind=bind)
    assert [again.level(name) for name in ("address", "metrics address")] == ["ok", "ok"]


@pytest.mark.skipif(not POWERLESS, reason="this user sees all processes of its own")
def test_a_port_may_be_taken_by_somebody_unseen(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        report = ran(tmp_path, _JSON, through=POWERLESS, port=port)
    assert report.level("address") == "fail"
    assert mentions(report["address"]["description"], "taken", "can't see")


def test_an_address_of_another_machine_fails(tmp_path: Path) -> None:
    report = checked(
        tmp_path, _JSON, host="203.0.113.1", api_keys=f"partner:{GOOD_KEY}", port=str(free_port())
    )
    assert report.code == 1
    assert report.level("address") == "fail"
    assert "203.0.113.1" in report["address"]["description"]
