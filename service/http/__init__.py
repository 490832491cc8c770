"""One HTTP request apart from its transport: body, keys, ids, errors, replies.

May import: flask, msgspec, `service.config`, `telemetry`, `overload`, public names of `model`.
Never: `service.server`, `service.rollout`.
"""
