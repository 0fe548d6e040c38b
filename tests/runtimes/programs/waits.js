// SPDX-License-Identifier: GPL-2.0-only
// The workers of node's libuv in and out of tasks: `in BLOCKED SPINNING`, `out`, as waits.h has them; argv[2] is a FIFO that
// nobody writes to.
const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');

let computing = false;
let pending = 0;
let ended = () => {};
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function end() {
  pending--;
  if (!pending) ended();
}

function compute() {
  crypto.pbkdf2('secret', 'salt', 400000, 64, 'sha512', () => (computing ? compute() : end()));
}

async function serve(line) {
  const [word, blocked, spinning] = line.split(' ');
  if (word === 'in') {
    computing = true;
    pending = Number(blocked) + Number(spinning);
    for (let i = 0; i < Number(blocked); i++) fs.open(process.argv[2], 'r', (error, fd) => fs.close(fd, end));
    for (let i = 0; i < Number(spinning); i++) compute();
  } else {
    computing = false;
    const all = new Promise((resolve) => { ended = resolve; });
    const fd = fs.openSync(process.argv[2], fs.constants.O_RDWR);
    if (pending) await all;
    fs.closeSync(fd);
  }
  say({ in: pending });
}

fs.readFile('/dev/null', () => say({ ready: process.pid })); // makes them
readline.createInterface({ input: process.stdin }).on('line', serve);
