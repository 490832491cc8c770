"""Traces are off by default, and off means: nothing around the app, no thread."""

import threading

from flask import Flask

from service.settings import Settings
from service.spans import Traced
from service.traces import Traces


def test_without_a_collector_the_app_is_let_be(app: Flask) -> None:
    before, threads = app.wsgi_app, threading.active_count()
    traces = Traces()
    traces.preload(Settings())
    traces.start(Settings(), app)
    assert app.wsgi_app is before
    assert threading.active_count() == threads
    traces.stop()


def test_with_a_collector_the_door_is_inside_and_the_stop_ends_the_thread(app: Flask) -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    traces = Traces()
    # Nobody listens there, and nothing is sent: no request is made.
    traces.start(Settings(otlp_endpoint="http://127.0.0.1:9"), app)
    assert isinstance(app.wsgi_app, Traced)
    (sender,) = set(threading.enumerate()) - before
    traces.stop()
    assert not sender.is_alive()
