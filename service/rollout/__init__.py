"""Changing the live version while serving: all workers of a host follow the registry's aliases.

May import: the public names of `model` and `model.registry`, `service.scoring`, `telemetry`,
`runtime`, `config`. Never flask: the address for operators is `service.routes.models`.
follower (one for each model in each worker) → loader (a version, validated and warm) and
rollout_state (each worker's status and the order, in shared memory). startup builds them. A model's
gate says what may be promoted.

A rollout: each worker reads the alias, loads the version in a thread, and writes that it is ready.
The worker that sees all others ready writes the order: this version, at that moment. All workers
obey it, those that start later too, so a host ends in one version whichever worker dies.
"""
