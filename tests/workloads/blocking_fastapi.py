# SPDX-License-Identifier: GPL-2.0-only
"""A service whose `def` endpoint blocks until /open is asked for; anyio's default limiter has as many tokens as told."""
import argparse
import json
import os
import socket
import threading

import anyio.to_thread
import fastapi
import uvicorn

parser = argparse.ArgumentParser()
parser.add_argument("--loop", default="asyncio")
parser.add_argument("--tokens", type=int, default=40)
options = parser.parse_args()
app = fastapi.FastAPI()
gate = threading.Event()


@app.on_event("startup")
async def limit():
    anyio.to_thread.current_default_thread_limiter().total_tokens = options.tokens


@app.get("/sync")
def blocked():
    gate.wait()
    return {}


@app.get("/async")
async def at_once():
    return {}


@app.get("/open")
async def open_gate():
    gate.set()
    return {}


server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(128)
print(json.dumps({"ready": os.getpid(), "port": server.getsockname()[1]}), flush=True)
uvicorn.Server(uvicorn.Config(app, loop=options.loop, log_level="error")).run(sockets=[server])
