# SPDX-License-Identifier: GPL-2.0-only
"""Lines on stdin, each answered with a line of JSON, until they end. It must not know what a command does."""
import json
import os
import sys


def serve(command):
    """command(word, arguments): what to answer; None: there is no such command."""
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        word, *arguments = line.split()
        answer = command(word, arguments)
        print(json.dumps({"error": f"what is {word}?"} if answer is None else answer), flush=True)
    os._exit(0)
