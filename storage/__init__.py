"""Everything outside the process: blobs, tables, queues and the environment. Knows nothing of ONNX or pixels."""
