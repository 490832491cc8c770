"""A reply that was read to its end, by whatever client."""

import json
from http.client import HTTPResponse
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """Status, body, and headers as they came, in order, repeated ones too."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, response: HTTPResponse) -> "Reply":
        """Read a reply of the standard library to its end."""
        body = response.read()
        return cls(response.status, response.getheaders(), body)

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The value of a header that is there once."""
        (value,) = self.all(name)
        return value

    @property
    def reason(self) -> str:
        """Why the request failed: the `body` of the envelope that all errors have."""
        assert self.header("content-type") == "application/json"
        assert int(self.header("content-length")) == len(self.body)
        envelope = self.json()
        assert envelope.keys() == {"body", "status"}
        assert envelope["status"] == "fail"
        reason: str = envelope["body"]
        return reason
