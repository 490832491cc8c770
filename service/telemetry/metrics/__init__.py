"""The service's Prometheus metrics, summed over all workers.

Each worker writes its values to files in shared memory; a scrape adds them up. The files are
named after the worker's place, not its process: a successor continues the counts of the former
worker, so there are never more files than places.

What is written when:
- rows, scores, decisions, warnings: before the caller has its reply;
- requests and their durations: at the end of the event loop's iteration, just after the reply;
- stages, batches, drift, in flight, processes: each second, and when a worker ends.
A worker that is killed outright loses what it had not written.

http: requests; scoring: rows, stages, batches; predictions and drift: inputs, scores, decisions;
shadow: the shadow model's differences; rollout: the model that serves, and its changes; capture:
captured rows; decisions: the decision log; cache: lookups of results; models: the catalog's other
models; process: the processes; background: what a worker does in addition to requests; jobs, amqp,
pictures: the other kinds of processes; multiprocess: the files.
`Metrics` holds the series of the scoring processes, `ServerMetrics` what every server counts.
May import: prometheus_client, `service.config`, `runtime`, `overload`, public names of `model`.
Never: flask, a scorer, what is counted.
"""

from service.telemetry.metrics.metrics import Metrics
from service.telemetry.metrics.server import ServerMetrics

__all__ = ["Metrics", "ServerMetrics"]
