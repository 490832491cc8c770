"""The target of a request: its path, without query and escapes."""

from urllib.parse import unquote_to_bytes


def path_of(target: bytes) -> bytes:
    """The path of a request's target, escapes resolved; also out of a proxy's http://host/path."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return unquote_to_bytes(path) if b"%" in path else path
