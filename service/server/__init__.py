"""The gunicorn worker: an event loop, connections, HTTP/1.1 parsing, accepting, shutdown.

May import: gunicorn, uvloop, httptools, and of `service` what every request needs: records,
replies, failures, settings. Never a scorer, never flask: endpoints are handed in.

`worker` is the edge of the process: listening sockets (`acceptor`), signals, the tick. What lies
behind it (`connection`, `site`, `wsgi`) takes its loop from `asyncio.get_running_loop()` and
touches no socket, so that it runs on any loop, a simulated one included.
"""
