"""Pictures out of requests: a file in a form or as the body, a path, or a URL."""

import logging
from typing import Any, Final, NamedTuple

import msgspec
from flask import request

from model import body_text
from model.pictures.decoder import LIMITS
from service.config.settings import Settings
from service.http.errors import Refused
from service.outbound.fetch import Fetcher, NotFetched
from service.web.local_files import named_file

# A form has more than its file.
_BODY_BYTES: Final = LIMITS.file_bytes + 64 * 1024
_NO_PICTURE: Final = "send a picture: a form with a file, a body of image/*, or JSON that names one"

log = logging.getLogger("scoring")


class Upload(NamedTuple):
    """A picture file as it was sent, and what was said with it."""

    picture: bytes
    fields: dict[str, Any]


class Uploads:
    """Reads the pictures of requests, for all threads."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.digits_data
        self._fetcher = Fetcher(
            _names(settings.image_url_hosts), _names(settings.image_url_private_hosts)
        )

    @property
    def takes_urls(self) -> bool:
        """Whether there is a host to fetch from."""
        return self._fetcher.is_on

    def read(self, *files: str, path: str = "", url: str = "") -> Upload:
        """The picture of the current request.

        A form has it in one of the fields `files`, or its address in the field `url`; JSON has that
        address, or the name of a file in a folder of this server in the field `path`.
        Raises Refused: 400, 413, 415.
        """
        request.max_content_length = _BODY_BYTES
        if (request.content_length or 0) > _BODY_BYTES:
            raise Refused(413, f"a picture has at most {LIMITS.file_bytes >> 20} MiB")
        if request.mimetype == "application/json" or request.mimetype.endswith("+json"):
            fields = json_fields()
            if path and path in fields:
                return Upload(self._of_path(path, fields[path]), fields)
        elif request.mimetype.startswith("image/") or request.mimetype == _ANY:
            return Upload(request.get_data(cache=False), dict(request.args))
        elif request.mimetype in _FORMS:
            fields = {**request.args, **request.form}
            for name in files:
                file = request.files.get(name)
                # A browser sends a field without a name where no file was chosen.
                if file is not None and ((blob := file.read()) or file.filename):
                    return Upload(blob, fields)
        else:
            raise Refused(415, _NO_PICTURE)
        if url and isinstance(fields.get(url), str) and fields[url]:
            return Upload(self._of_url(url, fields[url]), fields)
        raise Refused(400, _missing(files, path, url))

    def _of_path(self, field: str, name: object) -> bytes:
        with named_file(self._folder, field, name) as file:
            return file.read(LIMITS.file_bytes + 1)

    def _of_url(self, field: str, url: str) -> bytes:
        try:
            return self._fetcher.fetched(url)
        except NotFetched as error:
            log.warning("A picture was not fetched (%s): %s", error.reason, error.detail)
            raise Refused(400, f"{field}: {error}") from None


_ANY: Final = "application/octet-stream"
_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")


def json_fields() -> dict[str, Any]:
    """The object that is the body of the current request. Raises Refused or NotUtf8."""
    try:
        fields = msgspec.json.decode(body_text(request.get_data(cache=False)))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise Refused(400, "the body must be an object")
    return fields


def _missing(files: tuple[str, ...], path: str, url: str) -> str:
    if request.mimetype in _FORMS:
        return f"{files[0]}: is missing"
    named = " or ".join(filter(None, (path, url)))
    return f"{named}: is missing" if named else _NO_PICTURE


def _names(text: str) -> list[str]:
    return text.replace(",", " ").split()
