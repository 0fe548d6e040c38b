// SPDX-License-Identifier: GPL-2.0-only
// libuv's pool (four by default), V8's platform workers (four), and two workers of the program itself.
const { Worker } = require('worker_threads');
const fs = require('fs');
let online = 0;

function ready() {
	fs.stat('/', () => console.log(JSON.stringify({ ready: process.pid })));
}
for (let i = 0; i < 2; i++)
	new Worker('setInterval(() => {}, 1000000)', { eval: true }).on('online', () => ++online === 2 && ready());
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
