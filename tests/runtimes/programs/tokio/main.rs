// SPDX-License-Identifier: GPL-2.0-only
//! A tokio runtime of four workers, and two tasks that each block a thread. A word on the command line is the name of
//! its threads.
use std::io::Read;
use std::sync::{Arc, Barrier};

fn main() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let there = Arc::new(Barrier::new(3));

    builder.worker_threads(4);
    if let Some(name) = std::env::args().nth(1).filter(|name| !name.is_empty()) {
        builder.thread_name(name);
    }
    let runtime = builder.build().unwrap();
    for _ in 0..2 {
        let there = there.clone();

        runtime.spawn_blocking(move || {
            there.wait();
            there.wait();
        });
    }
    there.wait();
    println!("{{\"ready\": {}}}", std::process::id());
    std::io::stdin().read(&mut [0]).unwrap();
    there.wait();
}
