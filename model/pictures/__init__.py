"""Pictures: files that somebody sent become pixels, in processes with limits.

decoder: files to pixels, by a pool of processes; formats: what a file is, by how it begins;
process: such a process; rgb: one file to pixels, within it; png: pixels to a file without metadata.
May import: stdlib, numpy, msgspec, `model.errors`; Pillow where it is needed, from the extra
`images`. Never: scorers. No process but those of `process` decodes a file that was sent.
"""
