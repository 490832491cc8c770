"""Traces are off by default, and off means: no spans, no thread."""

import threading

from service.config.settings import Settings
from service.telemetry.spans import Spans
from service.telemetry.tracing import Traces


def _no_secret(_: str) -> bool:
    return False


def test_without_a_collector_there_are_no_spans_and_no_thread() -> None:
    threads = set(threading.enumerate())
    traces = Traces()
    traces.preload(Settings())
    traces.start(Settings(), _no_secret)
    assert traces.spans is None
    assert set(threading.enumerate()) <= threads
    traces.stop()


def test_with_a_collector_spans_are_made_and_the_stop_ends_the_thread() -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    traces = Traces()
    # Nothing listens there and nothing is sent, as no request is made.
    traces.start(Settings(otlp_endpoint="http://127.0.0.1:9"), _no_secret)
    assert isinstance(traces.spans, Spans)
    (sender,) = set(threading.enumerate()) - before
    traces.stop()
    assert not sender.is_alive()
