"""`python -m tests.support.moto_process PORT CONDITIONS`: moto's server.

With CONDITIONS 0 it stands for the servers that know no conditional writes: they say 501.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

_ERROR = b"<Error><Code>NotImplemented</Code><Message>no conditions here</Message></Error>"


class Unconditional:
    """An application that answers conditional writes with a 501."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        conditional = environ.keys() & {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"}
        if environ["REQUEST_METHOD"] == "PUT" and conditional:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("501 Not Implemented", [("Content-Type", "application/xml")])
            return [_ERROR]
        return self._app(environ, start)


if __name__ == "__main__":
    dispatcher = DomainDispatcherApplication(create_backend_app)
    app = dispatcher if int(sys.argv[2]) else Unconditional(dispatcher)
    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
