// SPDX-License-Identifier: GPL-2.0-only
// V8: worker threads, each with an isolate of its own, that keep buffers (malloc's) and objects (of the isolate's heap).
// Commands on stdin, a JSON line back each: grow MIB (each worker), drop, truth. It must not know poolscope.
const { Worker, isMainThread, parentPort } = require('worker_threads');
const readline = require('readline');

const WORKERS = 3;

function serve() {
  let buffers = [];
  let objects = [];
  let held = 0;
  parentPort.on('message', (megabytes) => {
    if (megabytes < 0) {
      buffers = [];
      objects = [];
      held = 0;
    } else if (megabytes > 0) {
      buffers.push(Buffer.alloc(megabytes << 20, 1));
      held += megabytes << 20;
      for (let i = 0; i < megabytes * 4; i++) objects.push(new Array(32 << 10).fill(i + 0.5)); // 256 KiB each
    }
    parentPort.postMessage(held);
  });
  parentPort.postMessage(0);
}

async function main() {
  const workers = [];
  const ask = (worker, message) => new Promise((resolve) => {
    worker.once('message', resolve);
    if (message !== undefined) worker.postMessage(message);
  });
  for (let i = 0; i < WORKERS; i++) {
    workers.push(new Worker(__filename));
    await ask(workers[i]);
  }
  console.log(JSON.stringify({ ready: process.pid }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, size] = line.split(' ');
    const held = [];
    for (const worker of workers) held.push(await ask(worker, { grow: Number(size), drop: -1, truth: 0 }[command]));
    console.log(JSON.stringify(command === 'truth' ? { threads: held.map((bytes) => ({ held: bytes })) } : { ok: true }));
  }
  process.exit(0);
}

if (isMainThread) main(); else serve();
