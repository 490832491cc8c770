"""The scoring core: from readings to outcomes, whatever interface they came by.

core: guards, rows or a table, batches, counts, the newest readings; live: the live model and its
slot; batching: one CatBoost call for all rows of a loop iteration; shadow: a second model.
May import: public names of `model`, `service.telemetry`, `overload`, `config`. Never: HTTP,
sockets.
"""
