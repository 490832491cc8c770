"""The path of a request's target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.request import path_of


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", b"/"),
        (b"/reg/", b"/reg/"),
        (b"/reg/?detail=1", b"/reg/"),
        (b"/reg/?a=/b?c", b"/reg/"),
        (b"/reg?", b"/reg"),
        (b"/%72eg%2f", b"/reg/"),
        (b"/%D0%90", "/А".encode()),
        (b"/%D0", b"/\xd0"),
        (b"/100%", b"/100%"),
        (b"/%zz%4", b"/%zz%4"),
        (b"/%2572", b"/%72"),
        (b"/a%3Fb", b"/a?b"),
        (b"//reg", b"//reg"),
        (b"/a//b/../c", b"/a//b/../c"),
        (b"http://a/reg/?x", b"/reg/"),
        (b"http://a:80/reg", b"/reg"),
        (b"http://a", b"/"),
        (b"http://a?x=/reg", b"/"),
        (b"http://u@a/%72eg", b"/reg"),
        (b"/http://a/reg", b"/http://a/reg"),
        (b"*", b"*"),
        (b"", b""),
    ],
)
def test_the_path(target: bytes, path: bytes) -> None:
    assert path_of(target) == path


@given(st.binary(max_size=40), st.binary(max_size=20))
def test_neither_a_query_nor_a_host_changes_it(path: bytes, query: bytes) -> None:
    path = b"/" + path.replace(b"?", b"")
    assert path_of(path + b"?" + query) == path_of(path) == path_of(b"http://a" + path)


@given(st.binary(max_size=40))
def test_escapes_are_resolved_once(raw: bytes) -> None:
    assert path_of(b"/" + b"".join(b"%%%02X" % byte for byte in raw)) == b"/" + raw
