"""Clients of the service: what its callers may use or copy.

`JobClient` submits jobs over HTTP, waits for them and fetches results; `python -m client.jobs`,
which is `plate-scoring jobs`, does so from the command line. `client.amqp` asks over AMQP.
May import: stdlib, pika, tqdm. Never: `service`, `model`, or another room.
"""

from client.job_client import Job, JobClient
from client.transport import Refused, Unreachable

__all__ = ["Job", "JobClient", "Refused", "Unreachable"]
