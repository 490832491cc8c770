"""A real server of the S3 protocol: moto, in its own process."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import boto3
import httpx

from loadgen.common.processes import free_port, running

BUCKET = "models-of-the-tests"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Moto:
    """A running server with the bucket `BUCKET`."""

    def __init__(self, port: int, process: Popen[bytes]) -> None:
        self._process = process
        self.settings: Mapping[str, str] = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        }
        self.url = f"http://127.0.0.1:{port}"

    def pause(self) -> None:
        """Take requests, and answer none."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Refuse connections."""
        self._process.kill()

    @property
    def client(self) -> Any:
        """A boto3 client, to access the bucket without the registry."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="tests",
            aws_secret_access_key="planted",
            region_name="us-east-1",
        )


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/moto-api/").status_code < 500
    except httpx.TransportError:
        return False


@contextmanager
def moto(folder: Path, *, conditions: bool = True) -> Iterator[Moto]:
    """A server; without `conditions` it refuses If-Match and If-None-Match with a 501."""
    port = free_port()
    command = (sys.executable, "-m", "tests.support.moto_process", str(port), str(int(conditions)))
    settings = {"TMPDIR": str(folder)}
    with running(command, folder / "moto.log", lambda: _answers(port), settings) as process:
        server = Moto(port, process)
        try:
            server.client.create_bucket(Bucket=BUCKET)
            yield server
        finally:
            server.resume()  # a paused process would not take the signal to end
