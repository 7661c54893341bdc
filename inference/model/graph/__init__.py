"""Reads an ONNX graph without loading it: protobuf fields, nodes and small constants."""
