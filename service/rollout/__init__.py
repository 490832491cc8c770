"""Changing the live model while serving: all workers of a host follow the registry's aliases.

May import: the public names of `model` and `model.registry`. Never flask: the address for
operators is `service.routes.models`.
follower (one in each worker) → loading (a model, checked and warm) and whiteboard (what the
workers tell each other, in shared memory). What may be promoted, `model.regno.Gate` says.

The way of a swap: each worker looks at the alias; loads beside the event loop; writes on the
whiteboard that it is ready. Who sees that all are ready writes the order: this version, at that
moment. All obey it, those that start later too, so that a host ends in one version whoever dies.
"""
