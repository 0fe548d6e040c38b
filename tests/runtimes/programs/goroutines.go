// SPDX-License-Identifier: GPL-2.0-only
// Ten goroutines that each hold a thread of their own in a blocking system call, beside those of the runtime.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
)

func main() {
	var there sync.WaitGroup
	var ends [2]int

	syscall.Pipe(ends[:])
	there.Add(10)
	for i := 0; i < 10; i++ {
		go func() {
			runtime.LockOSThread()
			there.Done()
			syscall.Read(ends[0], make([]byte, 1))
		}()
	}
	there.Wait()
	fmt.Printf("{\"ready\": %d}\n", os.Getpid())
	os.Stdin.Read(make([]byte, 1))
}
