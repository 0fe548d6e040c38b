// SPDX-License-Identifier: GPL-2.0-only
// Two executors of 3 and 12 threads, one of threads with a name that the kernel cuts, two of the common pool, two of a
// pool of its own.
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ForkJoinPool;

public class Executors {
	static void fill(ExecutorService pool, int count) throws Exception {
		CountDownLatch there = new CountDownLatch(count);

		for (int i = 0; i < count; i++)
			pool.execute(() -> {
				there.countDown();
				try {
					Thread.sleep(1000000);
				} catch (InterruptedException ended) {
				}
			});
		there.await();
	}

	public static void main(String[] arguments) throws Exception {
		int[] number = {0};

		fill(java.util.concurrent.Executors.newFixedThreadPool(3), 3);
		fill(java.util.concurrent.Executors.newFixedThreadPool(12), 12);
		fill(java.util.concurrent.Executors.newFixedThreadPool(4, job ->
			new Thread(job, "resize-images-worker-" + number[0]++)), 4);
		fill(ForkJoinPool.commonPool(), 2);
		fill(new ForkJoinPool(2), 2);
		System.out.println("{\"ready\": " + ProcessHandle.current().pid() + "}");
		while (System.in.read() >= 0)
			;
		Runtime.getRuntime().halt(0);
	}
}
