"""What each role does with a batch: parse, take a pure step, say what to send and what is finished.

A stage knows no broker. It runs in a thread beside the event loop, one batch at a time.
"""
