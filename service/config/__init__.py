"""What can be set, and how settings are read: the environment, a `.env` file, gunicorn's arguments.

options: names, types, bounds, defaults, former names; settings (variables): the reader; addresses:
validation of addresses; overrides: gunicorn's own arguments; files: atomic writes; announce: for
`make run`.
May import: stdlib, msgspec, python-dotenv. Never: the rest of `service`.
"""
