# SPDX-License-Identifier: GPL-2.0-only
"""A gRPC server and a channel to it: the threads of gRPC's core, and the server's ThreadPoolExecutor."""
import json
import os
import sys
from concurrent import futures

import grpc

server = grpc.server(futures.ThreadPoolExecutor(max_workers=3))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
grpc.channel_ready_future(channel).result(timeout=60)
print(json.dumps({"ready": os.getpid()}), flush=True)
sys.stdin.read()
os._exit(0)
