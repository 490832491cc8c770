"""How long a caller waits, as the headers say."""

import time

import pytest

from service.http import deadline as module
from service.http.deadline import left_in, left_of, timeout_of
from service.http.errors import Refused
from tests.support.messages import stating


@pytest.mark.parametrize(
    ("stated", "seconds"), [("1", 0.001), ("250", 0.25), ("600000", 600.0), ("0000005", 0.005)]
)
def test_a_timeout_is_a_whole_number_of_milliseconds(stated: str, seconds: float) -> None:
    assert timeout_of(stated) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-1", "+1", "1.5", "1e3", "soon", "", " 1", "600001", "９", "99999999999999"),
        *("0600000000", "0000001" + "0" * 5000),
    ],
)
def test_any_other_is_a_bad_request(text: str) -> None:
    with pytest.raises(Refused, match=stating("X-Request-Timeout-Ms", "whole number")) as refused:
        timeout_of(text)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "start", ["", "t=", "t=soon", "t=nan", "t=inf", "1234", "t=99999999999", "t=1", "T=1"]
)
def test_an_invalid_request_start_is_ignored(start: str) -> None:
    assert left_of("100", start, 0.02) == pytest.approx(0.08)


def test_the_time_since_the_edge_passed_it_on_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", lambda: 2000.0)
    assert left_of("500", "t=1999.900", 0.0) == pytest.approx(0.4)
    assert left_of("500", "t=1999", 0.0) == pytest.approx(-0.5)
    # A start in the future or a minute ago comes from another clock, so it is ignored.
    assert left_of("500", "t=2000.001", 0.1) == pytest.approx(0.4)
    assert left_of("500", "t=1939", 0.1) == pytest.approx(0.4)


def test_else_the_time_since_its_head_was_here_counts() -> None:
    assert left_of("500", "", 0.3) == pytest.approx(0.2)
    assert left_of("500", "", 10.0) == pytest.approx(-9.5)


def test_a_request_without_a_timeout_has_none() -> None:
    assert left_in({"HTTP_X_REQUEST_START": f"t={time.time() - 1:.3f}"}) is None


def test_a_request_of_another_server_has_all_of_its_time() -> None:
    assert left_in({"HTTP_X_REQUEST_TIMEOUT_MS": "500"}) == 0.5
