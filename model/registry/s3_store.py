"""An artifact store in a bucket of S3 or of a server with its protocol.

    <prefix>/<name>/<version>/{artifact, manifest.json, report/...}
    <prefix>/<name>/aliases.json

The manifest is written last and makes the version. Each object is written on a condition
(If-None-Match, If-Match), so of two writers one loses, with Conflict. A server without
conditions takes the last writer's aliases. Address, region and credentials are boto3's
business: AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and its other variables and files.
"""

import hashlib
import os
import stat
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from model.files import LARGEST
from model.names import is_name
from model.registry.errors import Conflict, Damaged, Refused, Unavailable
from model.registry.file_store import FileStore
from model.registry.store import (
    ALIASES,
    MANIFEST,
    REPORT,
    Entry,
    Files,
    Stored,
    VersionManifest,
    read_report,
    taken,
    unknown,
)

# Each request is tried twice: 6 s without a connection, 20 s without a reply.
_CONFIG: Final = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"total_max_attempts": 2, "mode": "standard"},
    # Servers that are not Amazon's do not all take its newer checksums, which come as trailers.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
# A server that sends a few bytes now and then must not block a caller for ever.
_PATIENCE: Final = 120.0
_CHUNK: Final = 1 << 20
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_ABSENT: Final = frozenset(("NoSuchKey", "404", "NotFound"))
_LOST: Final = frozenset(("PreconditionFailed", "ConditionalRequestConflict"))
_NO_CONDITIONS: Final = frozenset(("NotImplemented", "501"))


class S3Store:
    """A store at `s3://bucket/prefix`, with copies of what was fetched in a local folder."""

    def __init__(self, address: str, name: str, cache: Path, artifact: str) -> None:
        """`address` is what follows s3://."""
        self.artifact = artifact
        self._bucket, _, prefix = address.partition("/")
        if not self._bucket:
            raise Refused("s3:// needs a bucket: s3://bucket/prefix")
        self._prefix = "/".join([*filter(None, prefix.split("/")), name, ""])
        self.where = f"s3://{self._bucket}/{self._prefix.rstrip('/')}"
        with self._errors_mapped():
            self._client: Any = boto3.session.Session().client("s3", config=_CONFIG)
        place = f"{self._client.meta.endpoint_url} {self.where}"
        digest = hashlib.sha256(place.encode()).hexdigest()[:12]
        self._cache = cache
        self._copies = FileStore(cache / f"{self._bucket}-{digest}" / name, artifact)

    def entries(self) -> list[Entry]:
        """The versions, oldest first."""
        found = [
            Entry(
                version,
                files[self.artifact]["Size"] if self.artifact in files else -1,
                files[MANIFEST]["LastModified"].timestamp(),
            )
            for version, files in self._listed().items()
            if MANIFEST in files
        ]
        return sorted(found, key=lambda entry: (entry.added, entry.version))

    def strays(self) -> list[str]:
        """Versions without a manifest."""
        return sorted(version for version, files in self._listed().items() if MANIFEST not in files)

    def fetch(self, version: str, *, afresh: bool = False) -> Path:
        """The folder of a version. A copy whose hash holds is used without a request.

        The hash is stored in the same folder: a user who may write there chooses the model. So only
        this user may.
        """
        with self._errors_mapped():
            _keep_closed(self._cache)
        if not afresh:
            with suppress(Refused, Damaged):
                return self._copies.fetch(version)
        files = self._download(version)
        files.check(version, self.artifact)
        try:
            self._copies.add(version, files)
            return self._copies.fetch(version)
        except (Refused, Damaged):  # the copy is bad or of a bucket that was since made anew
            self._copies.remove(version)
            self._copies.add(version, files)
            return self._copies.fetch(version)

    def manifest(self, version: str) -> bytes:
        """The manifest of a version, unverified."""
        if not is_name(version):
            raise unknown(version)
        try:
            return self._get(f"{version}/{MANIFEST}")[0]
        except KeyError as error:
            raise unknown(version) from error

    def add(self, version: str, files: Files) -> bool:
        """Store a version. The same model completes an add that was cut off."""
        files.check(version, self.artifact)
        new = self._put_once(version, self.artifact, files.model)
        if not new and self._get(f"{version}/{self.artifact}")[0] != files.model:
            if self._has(version, MANIFEST):
                raise taken(version)
            raise Refused(
                f"version {version} has another model and no manifest: its add is under way or "
                f"was cut off. Take another name, or remove {self.where}/{version}/{self.artifact}"
            )
        if self._has(version, MANIFEST):
            return False
        for name, content in files.report.items():  # of an add that was cut off, another's may lie
            self._put(f"{version}/{REPORT}/{name}", content, {})
        return self._put_once(version, MANIFEST, files.manifest)

    def report(self, version: str) -> dict[str, bytes]:
        """The files of a version's report, verified."""
        described = VersionManifest.parse(self.manifest(version))

        def read(name: str) -> bytes:
            try:
                return self._get(f"{version}/{name}")[0]
            except KeyError as error:
                raise Damaged(f"it has no {name}") from error

        return read_report(described, read)

    def remove(self, version: str) -> None:
        """Remove a version: the manifest first, so that the rest does not count as a version."""
        names = self._listed().get(version, {})
        with self._errors_mapped():
            for name in sorted(names, key=lambda name: name != MANIFEST):
                key = f"{self._prefix}{version}/{name}"
                self._client.delete_object(Bucket=self._bucket, Key=key)
            _keep_closed(self._cache)
        self._copies.remove(version)

    def read(self) -> Stored:
        """The aliases."""
        try:
            return Stored(*self._get(ALIASES))
        except KeyError:
            return Stored(b"", "")

    def write(self, text: bytes, token: str) -> None:
        """Replace the aliases at once."""
        condition = {"IfMatch": token} if token else {"IfNoneMatch": "*"}
        if not self._put(ALIASES, text, condition):
            raise Conflict("the aliases were changed meanwhile")

    def _listed(self) -> dict[str, dict[str, Any]]:
        """For each version its objects by name."""
        versions: dict[str, dict[str, Any]] = {}
        with self._errors_mapped():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for found in (found for page in pages for found in page.get("Contents", ())):
                version, _, name = found["Key"].removeprefix(self._prefix).partition("/")
                if name and is_name(version):
                    versions.setdefault(version, {})[name] = found
        return versions

    def _download(self, version: str) -> Files:
        manifest = self.manifest(version)
        try:
            return Files(self._get(f"{version}/{self.artifact}")[0], manifest)
        except KeyError as error:
            raise Damaged(f"it has no {self.artifact}") from error

    def _has(self, version: str, name: str) -> bool:
        return name in self._listed().get(version, ())

    def _get(self, name: str) -> tuple[bytes, str]:
        """An object and its ETag. Raises KeyError when there is none."""
        with self._errors_mapped():
            reply = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            if reply["ContentLength"] > LARGEST:
                size = reply["ContentLength"]
                raise Damaged(f"its {name} of {size} bytes is larger than {LARGEST}")
            return self._body(name, reply["Body"]), reply["ETag"]

    def _body(self, name: str, stream: Any) -> bytes:
        deadline = time.monotonic() + _PATIENCE
        chunks = []
        with stream:
            for chunk in stream.iter_chunks(_CHUNK):
                chunks.append(chunk)
                if time.monotonic() > deadline:
                    raise Unavailable(f"{self.where}: {name} took longer than {_PATIENCE:g} s")
        return b"".join(chunks)

    def _put_once(self, version: str, name: str, content: bytes) -> bool:
        """Write an object of a version; False if there is one."""
        # A look too: versions must not change where a server knows no conditions either.
        if self._has(version, name):
            return False
        return self._put(f"{version}/{name}", content, {"IfNoneMatch": "*"})

    def _put(self, name: str, content: bytes, condition: dict[str, str]) -> bool:
        """Write an object if the condition holds; whether it did."""
        checksum = b64encode(hashlib.sha256(content).digest()).decode()
        what = {"Bucket": self._bucket, "Key": self._prefix + name, "Body": content}
        with self._errors_mapped():
            try:
                self._client.put_object(**what, **condition, ChecksumSHA256=checksum)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in _LOST or (code in _ABSENT and "IfMatch" in condition):
                    return False
                if code not in _NO_CONDITIONS:
                    raise
                self._client.put_object(**what, ChecksumSHA256=checksum)
        return True

    @contextmanager
    def _errors_mapped(self) -> Iterator[None]:
        """Turn boto3's failures into those of a store; KeyError: there is no such object."""
        try:
            yield
        except ClientError as error:
            details = error.response["Error"]
            if details["Code"] in _ABSENT:
                raise KeyError(details["Code"]) from error
            reason = details.get("Message") or details["Code"]
            raise Unavailable(f"{self.where}: {reason} ({details['Code']})") from error
        except (BotoCoreError, HTTPClientError) as error:
            raise Unavailable(f"{self.where}: {error}") from error
        except OSError as error:
            raise Unavailable(f"{error.filename}: {error.strerror}") from error


def _keep_closed(cache: Path) -> None:
    """Make a folder for copies that only this user gets into. Raises Unavailable, OSError.

    One that others could look into is closed once nothing in it is theirs or open to their writing.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = cache.stat().st_mode
    suspects = [cache, *(cache.rglob("*") if mode & _OF_OTHERS else ())]
    for path in suspects:
        if not _is_own(path):
            reason = "models are not taken from what another user owns or may write to. Remove it"
            raise Unavailable(f"{path}: {reason}")
    if mode & _OF_OTHERS:
        cache.chmod(0o700)


def _is_own(path: Path) -> bool:
    """Whether a path is this user's, is not a link, and is not for others to write to."""
    status = path.lstat()
    own = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
