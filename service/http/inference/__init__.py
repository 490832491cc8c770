"""The Open Inference Protocol, version 2: tensors in, tensors out, for any model's types.

signature: a model's inputs and outputs; tensors: their values in JSON and in bytes; messages:
requests and replies; errors: as the protocol has them. The protocol:
https://github.com/kserve/open-inference-protocol; bytes after the JSON are Triton's extension
`binary_tensor_data`.
May import: stdlib, msgspec, public names of `model`, service.http. Never: scorers, sockets, flask.
"""
