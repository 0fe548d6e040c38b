// SPDX-License-Identifier: GPL-2.0-only
// A thread that makes Rust's collections grow in functions of the program's own, each when a line is read.
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::thread;

#[inline(never)]
fn load_rows(rows: &mut Vec<String>) {
    for i in 0..60000 {
        rows.push(format!("a row that is long enough to be one of many {}", i));
    }
}

#[inline(never)]
fn load_points(points: &mut Vec<f64>) {
    points.reserve_exact(1 << 19);
    for i in 0..1 << 19 {
        points.push(i as f64);
    }
}

#[inline(never)]
fn load_index(index: &mut HashMap<u64, [u64; 8]>) {
    for i in 0..40000 {
        index.insert(index.len() as u64 + i, [i; 8]);
    }
}

fn main() {
    let (wanted, come) = mpsc::channel::<()>();
    let (done, made) = mpsc::channel::<()>();
    thread::Builder::new()
        .name("loader-1".into())
        .spawn(move || {
            let mut kept = Vec::new();
            while come.recv().is_ok() {
                let (mut rows, mut points, mut index) = (Vec::new(), Vec::new(), HashMap::new());
                load_rows(&mut rows);
                load_points(&mut points);
                load_index(&mut index);
                kept.push((rows, points, index));
                done.send(()).unwrap();
            }
        })
        .unwrap();
    println!("{{\"ready\": {}}}", std::process::id());
    for _ in io::stdin().lock().lines() {
        wanted.send(()).unwrap();
        made.recv().unwrap();
        println!("{{}}");
        io::stdout().flush().unwrap();
    }
}
