// SPDX-License-Identifier: GPL-2.0-only
//! Three threads without a name, and two that have one.
use std::io::Read;
use std::sync::{Arc, Barrier};
use std::thread;

fn main() {
    let there = Arc::new(Barrier::new(6));
    let builder = |i: i32| match i {
        0..=2 => thread::Builder::new(),
        _ => thread::Builder::new().name(format!("resizer-{}", i)),
    };

    for i in 0..5 {
        let there = there.clone();

        builder(i)
            .spawn(move || {
                there.wait();
                thread::park();
            })
            .unwrap();
    }
    there.wait();
    println!("{{\"ready\": {}}}", std::process::id());
    std::io::stdin().read(&mut [0]).unwrap();
}
