# SPDX-License-Identifier: GPL-2.0-only
# Three threads without a name, two with one, and the timer that Ruby starts by itself.
3.times { Thread.new { sleep } }
2.times { |i| Thread.new { sleep }.name = "mailer-#{i}" }
Thread.pass while Thread.list.any? { |thread| thread != Thread.main && thread.status != "sleep" }
puts %({"ready": #{Process.pid}})
$stdout.flush
$stdin.read
exit!
