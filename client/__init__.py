"""Clients of the service: what its callers may use or copy.

`Client` and `AsyncClient` ask for scores, explanations, models and what pictures show; `JobClient`
and `AsyncJobClient` submit jobs, wait for them and fetch results. `python -m client` does so from
the command line. `client.amqp` sends requests over AMQP.
May import: stdlib, pika, tqdm. Never: `service`, `model`, or another room.
"""

from client.async_client import AsyncClient
from client.async_job_client import AsyncJobClient
from client.calls import ServedModel
from client.client import Client
from client.job_calls import Job
from client.job_client import JobClient
from client.transport import Refused, Unreachable

__all__ = [
    "AsyncClient",
    "AsyncJobClient",
    "Client",
    "Job",
    "JobClient",
    "Refused",
    "ServedModel",
    "Unreachable",
]
