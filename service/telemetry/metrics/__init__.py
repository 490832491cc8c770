"""What the service tells Prometheus, true over all workers.

Each worker writes its values to files in shared memory; a scrape adds them up. The files are
named after the worker's place, not its process: a successor goes on counting where the last
one stopped, so there are never more files than places.

What is written when:
- rows, scores, decisions, warnings: before the caller has its reply;
- requests and their durations: at the end of the event loop's iteration, just after the reply;
- stages, batches, drift, in flight, processes: each second, and when a worker ends.
A worker that is killed outright loses what it had not written.

http: requests; scoring: rows, stages, models; behaviour: what the model sees and says;
shadow: what a second one would have said; vitals: the processes; places: the files;
page: GET /metrics. `Metrics` holds the series.
"""

from service.telemetry.metrics.metrics import Metrics

__all__ = ["Metrics"]
