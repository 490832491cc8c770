"""Pictures: files that somebody sent become pixels, in processes with limits.

decoder: files to pixels, by a pool of processes; process: such a process; rgb: one file to pixels,
within it; formats: what a file is, by how it begins; png: pixels to a file without metadata;
picture_decoder: bodies with files to requests; picture_table: tables with files to requests.
onnx_session: networks that score pictures; extra: the packages of the extra `images`.
May import: stdlib, numpy, msgspec, `model.errors`, request decoding and, in `picture_table`,
`model.tables`; Pillow and onnxruntime on use, from the extra `images`.
Never: scorers. No process but those of `process` decodes a file that was sent.
"""
