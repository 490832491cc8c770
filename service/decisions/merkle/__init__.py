"""A transparency log of hashes in the formats of C2SP: tiles, checkpoints, signed notes.

Any verifier of these formats can check what it writes.
May import: stdlib, cryptography. Never: anything of this project.
"""
