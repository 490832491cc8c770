"""Clients of the service: what its callers may use or copy.

`Client` and `AsyncClient` ask for scores, explanations, models and what pictures show; `JobClient`
submits jobs, waits for them and fetches results. `python -m client` does so from the command line.
`client.amqp` sends requests over AMQP.
May import: stdlib, pika, tqdm. Never: `service`, `model`, or another room.
"""

from client.async_client import AsyncClient
from client.calls import ServedModel
from client.client import Client
from client.job_client import Job, JobClient
from client.transport import Refused, Unreachable

__all__ = [
    "AsyncClient",
    "Client",
    "Job",
    "JobClient",
    "Refused",
    "ServedModel",
    "Unreachable",
]
