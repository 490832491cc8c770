"""Changing the live version while serving: all workers of a host follow the registry's aliases.

May import: the public names of `model` and `model.registry`, `service.scoring`, `telemetry`,
`runtime`, `config`. Never flask: the address for operators is `service.routes.models`.
follower (one for each model in each worker) → loader (a version, validated and warm) and
rollout_state (each worker's status and the order, in shared memory). startup builds them. A model's
gate says what may be promoted.

A rollout: each worker reads the alias, loads the version in a thread, and writes that it is ready.
The first worker that finds all others ready writes the order: the version and the moment of the
change. All workers follow it, also those that start later, so all workers of a host end with the
same version, whichever of them dies.
"""
