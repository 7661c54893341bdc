"""The blob trigger: finds new blobs, queues one message for each, and invokes the message's function."""
