"""The blob trigger: finding blobs that are new, one message for each, and the invocation of its message."""
