"""Inputs of jobs out of requests: read to the disk within a limit, and checked.

A JSON body names the model and holds the body of that model's own route; it is checked at once. A
file comes as the body itself or as the field `file` of a form; what is in it is the job's to say.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePath
from tempfile import SpooledTemporaryFile
from threading import BoundedSemaphore
from time import time
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast

import msgspec
from gunicorn.http.errors import ParseException
from msgspec import Raw, Struct
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header
from werkzeug.wsgi import get_input_stream

from model import catalog, is_array
from model.json_split import ends_of_elements
from model.redaction import redact
from model.utf8 import checking
from service.config.models import served
from service.config.settings import Settings
from service.http import body
from service.http.errors import Refused
from service.http.query import wants_details
from service.jobs.blobs import Blobs, BlobsUnavailable
from service.jobs.job import SCORE, TABLE, new_id
from service.jobs.parameters import table_parameters
from service.telemetry.record import record_of
from service.web.arguments import check_known

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
# The media types of files. How a file is written is found out from its content.
FILES: Final = (
    "text/csv",
    "text/tab-separated-values",
    "application/jsonl",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/gzip",
    "application/octet-stream",
)
# The arguments of a table, in the query string or in fields of a form.
_OF_TABLES: Final = ("detail", "format", "sep", "encoding", "decimal", "dates", "sheet")
# The arguments of a submission, in the query string; those of a form are its fields, too.
ARGUMENTS: Final = (*_OF_TABLES, "model", "webhook", "filename")
_ANY: Final = "application/octet-stream"
_PIECE: Final = 256 * 1024
# JSON bodies up to this size are read and checked in memory; of longer ones one at a time.
_SMALL: Final = 1 << 20
_MIB: Final = 1 << 20
_FORM_FIELD: Final = 64 * 1024
_FORM_FIELDS: Final = 10
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_NAME: Final = 120
_ROWS: Final = 1 << 40  # an array may be as long as its body


class Input(NamedTuple):
    """An input that is stored: the parts of a job that come from its request's body."""

    id: str
    kind: str
    model: str
    media_type: str
    parameters: dict[str, str]
    webhook: str
    input: str
    fingerprint: str


class _Submission(Struct, forbid_unknown_fields=True):
    """A JSON body; `input` is as it came."""

    model: str
    input: Raw
    webhook: str = ""


class _Submitted(NamedTuple):
    """What a JSON body holds, apart from its memory."""

    model: str
    input: bytes
    webhook: str


class _Described(NamedTuple):
    """What a request says about its file."""

    model: str
    webhook: str
    filename: str


class Inputs:
    """Reads and stores the inputs of one process."""

    def __init__(self, settings: Settings, blobs: Blobs, folder: Path) -> None:
        """`folder` takes long JSON bodies while they are checked."""
        self._folder = folder
        self._models = tuple(served(settings))
        self._limit = settings.job_max_mb * _MIB
        self._single_limit = settings.max_body
        self._blobs = blobs
        self._large = BoundedSemaphore(1)

    def read(self, environ: "WSGIEnvironment", arguments: dict[str, str]) -> Input:
        """Read the body of a request, and store the input.

        `arguments` are those of the query string. Raises InvalidRequest, or Refused: 400, 408, 413,
        415. Nothing is stored then.
        """
        kind, options = parse_options_header(environ.get("CONTENT_TYPE", ""))
        kind = kind.lower()
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise Refused(415, "Content-Encoding must be identity")
        if int(environ.get("CONTENT_LENGTH") or 0) > self._limit + _FORM_FIELD * _FORM_FIELDS:
            raise body.too_long(self._limit)
        table_parameters(arguments)
        parameters = {"detail": "1"} if wants_details(environ.get("QUERY_STRING", "")) else {}
        if kind == JSON or kind.endswith("+json"):
            body.check_kind(environ["CONTENT_TYPE"].encode("latin-1"), None)
            return self._json(environ, arguments, parameters)
        if kind == FORM:
            return self._form(environ, options, arguments, parameters)
        if kind not in FILES:
            known = ", ".join((JSON, FORM, *FILES))
            raise Refused(415, f"Content-Type must be one of {known}")
        described = _described(arguments, "", self._models)
        parameters |= _of_table(arguments, options)
        with self._file() as file:
            for piece in self._pieces(environ):
                file.write(piece)
        return file.described(TABLE, kind, described, parameters)

    # JSON.

    def _json(
        self,
        environ: "WSGIEnvironment",
        arguments: Mapping[str, str],
        parameters: dict[str, str],
    ) -> Input:
        with SpooledTemporaryFile(_SMALL, dir=str(self._folder)) as spooled:
            for piece in self._pieces(environ):
                spooled.write(piece)
            if spooled.tell() <= _SMALL:
                spooled.seek(0)
                return self._of_submission(_submitted(spooled.read()), arguments, parameters)
            spooled.flush()
            # Of a longer one the process holds the input alone: the body stays in its file.
            with self._large:
                mapped = mmap(spooled.fileno(), 0, access=ACCESS_READ)
                return self._of_submission(_submitted(mapped), arguments, parameters)

    def _of_submission(
        self, given: _Submitted, arguments: Mapping[str, str], parameters: dict[str, str]
    ) -> Input:
        if arguments.get("model", given.model) != given.model:
            raise Refused(400, "model: the body names another one than the query string")
        webhook = given.webhook or arguments.get("webhook", "")
        return self.store(given.model, given.input, parameters, webhook)

    def store(
        self, model: str, given: bytes, parameters: dict[str, str], webhook: str = ""
    ) -> Input:
        """Check the body of a model's own route, and store it. Raises InvalidRequest or Refused."""
        described = _checked_description(model, webhook, "", self._models)
        body.check_size(given, self._single_limit, self._limit)
        decoder = catalog.entry(described.model).load().decoder(_ROWS)
        if is_array(given):
            for _ in decoder.slices(given):
                pass  # a row that can't be read is an error in its place, as in the reply to a POST
        else:
            decoder(given)
        with self._file() as file:
            file.write_json(given)
        return file.described(SCORE, JSON, described, parameters)

    # Files.

    def keep(
        self, kind: str, model: str, pieces: Iterable[bytes], parameters: dict[str, str]
    ) -> Input:
        """Store the input of another kind of job, which is bytes of this server. Raises Refused."""
        with self._file() as file:
            for piece in pieces:
                file.write(piece)
        return file.described(kind, _ANY, _Described(model, "", ""), parameters)

    def _form(
        self,
        environ: "WSGIEnvironment",
        options: dict[str, str],
        arguments: dict[str, str],
        parameters: dict[str, str],
    ) -> Input:
        with self._file() as file:
            parser = FormDataParser(
                stream_factory=file.only,
                max_form_memory_size=_FORM_FIELD,
                max_form_parts=_FORM_FIELDS,
                silent=False,
            )
            body_stream = cast("IO[bytes]", _Counted(self, environ))  # only its `read` is called
            length = int(environ.get("CONTENT_LENGTH") or 0) or None
            try:
                _, fields, files = parser.parse(body_stream, FORM, length, options)
            except (ValueError, RequestEntityTooLarge):
                raise Refused(400, "the form can't be read") from None
            uploaded = files.get("file")
            if uploaded is None:
                raise Refused(400, "file: is missing")
            check_known(fields, ARGUMENTS)
            given = {**arguments, **fields.to_dict()}
            described = _described(given, uploaded.filename or "", self._models)
            kind, options = parse_options_header(uploaded.content_type or "")
            parameters |= _of_table(given, options)
        media_type = kind if kind in FILES else _ANY
        return file.described(TABLE, media_type, described, parameters)

    @contextmanager
    def _file(self) -> Iterator["_File"]:
        """A file to write the input to; it is stored when the block ends, and gone if it raises."""
        job = new_id(time())
        try:
            with self._blobs.writing(job) as blob:
                file = _File(job, blob.file, self._limit)
                yield file
                file.check_size()
        except BlobsUnavailable:
            raise  # nothing is stored, and to ask again would take as long again
        except BaseException:
            self._blobs.remove(job)
            raise
        file.reference = blob.reference

    def _pieces(self, environ: "WSGIEnvironment") -> Iterator[bytes]:
        counted = _Counted(self, environ)
        while piece := counted.read(_PIECE):
            yield piece


class _Counted:
    """The body of a request as a stream. Raises Refused where it is too long or does not come."""

    def __init__(self, inputs: Inputs, environ: "WSGIEnvironment") -> None:
        self._stream = get_input_stream(environ, safe_fallback=True)
        self._record = record_of(environ)
        self._limit = inputs._limit + _FORM_FIELD * _FORM_FIELDS  # noqa: SLF001
        self._stated = environ.get("CONTENT_LENGTH")

    def read(self, size: int = -1) -> bytes:
        """The next bytes, b"" at the end."""
        try:
            piece = self._stream.read(size if size >= 0 else _PIECE)
        except ClientDisconnected:
            raise Refused(400, "the body ends before its Content-Length") from None
        except ParseException:
            raise Refused(400, "the chunks of the body can't be read") from None
        except OSError:
            raise Refused(408, "the body did not arrive in time") from None
        self._record.body_bytes += len(piece)
        if not piece and self._stated and self._record.body_bytes < int(self._stated):
            raise Refused(400, "the body ends before its Content-Length")
        if self._record.body_bytes > self._limit:
            raise body.too_long(self._limit)
        return piece


class _File:
    """An input that is being written, with what its fingerprint is made of."""

    def __init__(self, job: str, file: BinaryIO, limit: int) -> None:
        self._job = job
        self._file = file
        self._limit = limit
        self._digest = sha256()
        self._is_taken = False
        self.size = 0
        self.reference = ""

    def write(self, piece: bytes) -> int:
        """Write some bytes."""
        self._digest.update(piece)
        return self._add(piece)

    def write_json(self, given: bytes) -> None:
        """Write valid JSON; white space between its tokens is not part of the fingerprint."""
        for piece in _without_blanks(given):
            self._digest.update(piece)
        for begin in range(0, len(given), _PIECE):  # what is written at once is copied
            self._add(given[begin : begin + _PIECE])

    def _add(self, piece: bytes) -> int:
        self.size += len(piece)
        if self.size > self._limit:
            raise body.too_long(self._limit)
        return self._file.write(piece)

    def check_size(self) -> None:
        """Raise Refused if nothing was written."""
        if not self.size:
            raise Refused(400, "the input is empty")

    def only(self, *_: object, **__: object) -> Any:
        """This file for the one file of a form. Raises Refused for a second one."""
        if self._is_taken:
            raise Refused(400, "file: exactly one file is required")
        self._is_taken = True
        return self

    def seek(self, _offset: int) -> int:
        """Nothing: the form's parser would read from the beginning, and nobody does here."""
        return 0

    def described(
        self, kind: str, media_type: str, described: _Described, parameters: dict[str, str]
    ) -> Input:
        """The input, once it is stored."""
        if described.filename:
            parameters["filename"] = described.filename
        about = (kind, described.model, parameters, described.webhook)
        named = msgspec.json.encode(about, order="sorted")
        fingerprint = sha256(named + self._digest.digest()).hexdigest()
        return Input(
            self._job,
            kind,
            described.model,
            media_type,
            parameters,
            described.webhook,
            self.reference,
            fingerprint,
        )


def _submitted(text: bytes | mmap) -> _Submitted:
    """What a JSON body holds. Raises Refused or NotUtf8."""
    view = memoryview(text)[len(BOM_UTF8) if text[: len(BOM_UTF8)] == BOM_UTF8 else 0 :]
    try:
        read = msgspec.json.decode(view, type=_Submission)
    except msgspec.ValidationError as error:
        raise Refused(400, _reason(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        for _ in checking(view, _PIECE):
            pass  # another encoding has a status of its own
        raise Refused(400, "the body is not JSON") from None
    return _Submitted(read.model, bytes(read.input), read.webhook)


def _without_blanks(given: bytes) -> Iterator[bytes]:
    """Valid JSON without white space between its tokens, an array piece by piece."""
    if given[:1] != b"[":
        yield msgspec.json.format(given, indent=-1)
        return
    yield b"["
    begin, last = 1, len(given) - 1
    for ends in ends_of_elements(given):
        if ends:
            end = ends[-1]
            yield msgspec.json.format(b"[%b]" % given[begin:end], indent=-1)[1:-1]
            yield b"]" if end == last else b","
            begin = end + 1


def _described(arguments: dict[str, str], filename: str, models: Sequence[str]) -> _Described:
    """The model, one of these, the endpoint and the name of a file. Raises Refused."""
    model = arguments.get("model", "")
    if not model:
        raise Refused(400, "model: is missing")
    given = arguments.get("filename", filename)
    return _checked_description(model, arguments.get("webhook", ""), given, models)


def _checked_description(
    model: str, webhook: str, filename: str, models: Sequence[str]
) -> _Described:
    if model not in models:
        raise Refused(400, f"model: must be one of {', '.join(models)}")
    if webhook and not _NAME.fullmatch(webhook):
        raise Refused(400, "webhook: must be the name of a registered endpoint")
    return _Described(model, webhook, _plain_name(filename))


def _plain_name(filename: str) -> str:
    """The last part of a file's name, without a plate and what could end a header."""
    name = PurePath(filename.replace("\\", "/")).name
    printable = "".join(c for c in name if c.isprintable() and c not in '"%')
    return redact(printable[-_LONGEST_NAME:])


def _of_table(arguments: Mapping[str, str], options: Mapping[str, str]) -> dict[str, str]:
    """The arguments of how a file is read and its result written. Raises InvalidRequest.

    `options` are those of its media type, of which the charset counts.
    """
    charset = {"encoding": options["charset"]} if options.get("charset") else {}
    given = {**charset, **arguments}
    known: dict[str, str] = {name: given[name] for name in _OF_TABLES if name in given}
    table_parameters(known)
    if known.get("detail") == "0":
        del known["detail"]
    return known


def _reason(error: msgspec.ValidationError) -> str:
    """The field and what is wrong with it, without the client's own words."""
    reason, _, path = str(error).partition(" - at `$.")
    if "unknown field" in reason:
        return f"only these fields are known: {', '.join(_Submission.__struct_fields__)}"
    if "missing required field" in reason:
        return f"{reason.rpartition('field ')[2].strip('`')}: is missing"
    field = path.rstrip("`")
    return f"{field}: must be a string" if field else "the body must be an object"
