# SPDX-License-Identifier: GPL-2.0-only
"""The pools of torch on CPUs: OpenMP teams of three within an operator, three threads between operators, libpthreadpool's
and those of its BLAS."""
import json
import os
import sys

import torch

torch.set_num_threads(3)
torch.set_num_interop_threads(3)


@torch.jit.script
def product(left, right):
    return left @ right


@torch.jit.script
def both(left, right):
    one = torch.jit.fork(product, left, right)
    other = torch.jit.fork(product, right, left)
    return torch.jit.wait(one) + torch.jit.wait(other)


image = torch.rand(2, 3, 64, 64, requires_grad=True)
torch.nn.Conv2d(3, 8, 3)(image).sum().backward()
square = torch.rand(256, 256)
both(square, square)
print(json.dumps({"ready": os.getpid()}), flush=True)
sys.stdin.read()
os._exit(0)
