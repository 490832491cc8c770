"""What can be set, and how settings are read: the environment, a `.env` file, gunicorn's arguments.

options: names, types, bounds, defaults; settings (variables): the reader; addresses: what addresses
may be; overrides: gunicorn's own arguments; files: files written whole; announce: for `make run`.
May import: stdlib, msgspec, python-dotenv. Never: the rest of `service`.
"""
