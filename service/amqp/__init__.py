"""Scores over AMQP: requests from queues of RabbitMQ, replies to where each request says.

A worker of gunicorn that consumes instead of accepting connections, so that processes, models,
rollouts, metrics, logs and stops are those of the scoring processes. A request's body and its
reply's body are those of HTTP.
topology: exchanges and queues; call: one request; consumer: deliveries in, replies out;
connection: the connection to the broker, opened again when it is lost; worker: the process.
May import: pika, `service.http`, `service.scoring`, `service.server`, `service.process`.
Never: flask, `service.jobs`, `service.web`.
"""
