#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The origin's service: a `def` endpoint, which the framework runs in its thread pool, and the same as
`async def`, which blocks the loop but needs one thread. Prints its port as JSON; ends with its stdin."""
import asyncio
import json
import os
import socket
import sys

import fastapi
import uvicorn

import akaze

app = fastapi.FastAPI()


@app.get("/sync")
def in_the_thread_pool():
    return {"key_points": akaze.count_key_points()}


@app.get("/async")
async def in_the_loop():
    return {"key_points": akaze.count_key_points()}


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: sys.stdin.buffer.read1(1) or os._exit(0))
    print(json.dumps({"ready": os.getpid(), "port": listener.getsockname()[1]}), flush=True)
    await server.serve([listener])


asyncio.run(main())
