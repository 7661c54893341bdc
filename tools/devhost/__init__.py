"""A Functions host for one machine: what ``func start`` does for blob, queue and timer triggers, in Python.

It exists because Azure Functions Core Tools cannot be installed everywhere. The folder it serves runs unchanged under
``func start`` and on Azure. Scale is Azure Functions' own (Flex Consumption), not ours.

    app            functions and triggers, read from function_app.py
    blob_trigger   finds new blobs         --> receipts --> messages on the internal queue
    listener       serves one queue        --> a message becomes an invocation
    timer_trigger  runs functions on schedule
    invoker        runs functions on the worker's thread pool or event loop, with arguments made by bindings
    host           assembles, starts and stops all of these
    process        the host as a child process
"""
