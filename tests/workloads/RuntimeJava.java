// SPDX-License-Identifier: GPL-2.0-only

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.concurrent.SynchronousQueue;

/**
 * HotSpot: a pool whose threads take direct buffers (malloc's), and one whose threads fill the garbage-collected heap.
 * Commands on stdin, a JSON line back each: grow MIB (each thread), drop, truth. It must not know poolscope.
 */
class RuntimeJava {
    static final int THREADS = 3;
    static final SynchronousQueue<Boolean> done = new SynchronousQueue<>();
    static final List<Worker> workers = new ArrayList<>();

    static class Worker extends Thread {
        final boolean isDirect;
        final SynchronousQueue<Integer> orders = new SynchronousQueue<>();
        final List<Object> kept = new ArrayList<>();
        long held;

        Worker(String name, boolean isDirect) {
            super(name);
            this.isDirect = isDirect;
            setDaemon(true);
        }

        @Override
        public void run() {
            try {
                while (true) {
                    int size = orders.take();
                    if (size < 0) {
                        kept.clear();
                        held = 0;
                    } else if (isDirect) {
                        kept.add(ByteBuffer.allocateDirect(size)); // filled with zeros, so every page is touched
                        held += size;
                    } else {
                        for (int left = size; left > 0; left -= 64 << 10) {
                            kept.add(new byte[64 << 10]);
                            held += 64 << 10;
                        }
                    }
                    done.put(true);
                }
            } catch (InterruptedException end) {
                return;
            }
        }
    }

    static void order(int size) throws InterruptedException {
        for (Worker worker : workers) {
            worker.orders.put(size);
            done.take();
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        for (int i = 0; i < THREADS; i++) {
            workers.add(new Worker("direct-" + i, true));
            workers.add(new Worker("objects-" + i, false));
        }
        workers.forEach(Thread::start);
        System.out.println("{\"ready\":" + ProcessHandle.current().pid() + "}");
        Scanner input = new Scanner(System.in);
        while (input.hasNextLine()) {
            String[] words = input.nextLine().split(" ");
            if (words[0].equals("grow")) {
                order(Integer.parseInt(words[1]) << 20);
            } else if (words[0].equals("drop")) {
                order(-1);
                System.gc();
            } else if (words[0].equals("truth")) {
                StringBuilder text = new StringBuilder();
                for (Worker worker : workers)
                    text.append(text.isEmpty() ? "" : ",").append("{\"name\":\"" + worker.getName() + "\",\"held\":" + worker.held + "}");
                System.out.println("{\"threads\":[" + text + "]}");
                continue;
            }
            System.out.println("{\"ok\":true}");
        }
    }
}
