"""A real server of S3's protocol: moto, as a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.support.paths import ROOT
from tests.support.server import environment, eventually, free_port

BUCKET = "models-of-the-tests"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Moto:
    """A running server with the bucket `BUCKET`."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
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
        """boto3's client, for looks behind the registry's back."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="tests",
            aws_secret_access_key="planted",
            region_name="us-east-1",
        )

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return httpx.get(f"{self.url}/moto-api/").status_code < 500
        except httpx.TransportError:
            return False


@contextmanager
def moto(folder: Path, *, conditions: bool = True) -> Iterator[Moto]:
    """A server; without `conditions` it refuses If-Match and If-None-Match with a 501."""
    port = free_port()
    with (folder / "moto.log").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.moto_process", str(port), str(int(conditions))],
            cwd=ROOT,
            env=environment(folder, {}),
            stdout=out,
            stderr=out,
        )
    server = Moto(port, process)
    try:
        eventually(server.answers, "moto answers")
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        server.resume()
        process.terminate()
        process.wait(10)
