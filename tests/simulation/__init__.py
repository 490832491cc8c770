"""The serving core in simulation: seeded schedules on detangle's deterministic loop.

A schedule is one server of one or two workers, up to nineteen callers, good and bad, and what
happens meanwhile: swaps, shadows, a registry out of reach, a worker that is replaced, a stop. All
that is left to chance is a choice of detangle's, so that a seed makes the same schedule each time,
in some 25 ms. Real are worker, acceptor, connections, parser, endpoints, admission, batcher and
follower; not real are time, sockets, threads, signals, the registry and what the model predicts.

`make test` plays 1,000 schedules, `make soak` 100,000. The first that breaks a rule is named, with
the command that shows it again, step by step, in the simplest form that breaks the same rule:

    python -m tests.simulation --seed 1346

Where the rules are: `dialogue.py` for one connection (each request is answered once, by one
version, in its time, or refused for a reason; nobody waits for nothing or for too long; unread
replies end), `server.py` for a worker (what is counted is right, and nothing is left at the end),
`audit.py` for deadlines and versions. A rule looks at bytes and counts, not at what the server says
of itself. `test_rules.py` plants faults to see that the rules find them; a fault that is found and
repaired becomes a short story in `test_faults.py`.
"""
