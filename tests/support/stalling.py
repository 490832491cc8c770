"""`python -m tests.support.stalling PORT EVERY STALL`: a service that stands still at times.

Every so many seconds nothing is answered for a while: what came in meanwhile is answered after.
A `STALL` of 0 makes it a quick service that knows no model.
"""

import sys
import time

from gevent.event import Event
from gevent.pywsgi import WSGIServer

_ONE = b'{"body":{"negative":0.75,"positive":0.25},"status":"ok"}'


def main() -> None:
    port, every, stall = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    began = time.monotonic()

    def answer(environ, start_response):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        environ["wsgi.input"].read()
        into = (time.monotonic() - began) % every
        # The stall ends each turn, so that a run does not begin with one.
        if into > every - stall:
            Event().wait(every - into)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [_ONE]

    WSGIServer(("127.0.0.1", port), answer, log=None).serve_forever()


if __name__ == "__main__":
    main()
