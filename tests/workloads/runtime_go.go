// SPDX-License-Identifier: GPL-2.0-only

// Go's runtime: threads that map memory by their own calls, goroutines that fill the runtime's heap, and a garbage
// collector that gives back. Commands on stdin, a JSON line back each: grow MIB (each worker), drop, truth.
// It must not know poolscope.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"
)

const workers = 3

type worker struct {
	Tid    int    `json:"tid"`
	Name   string `json:"name"`
	Mapped int    `json:"mapped"` // by its own calls, and touched
	Heap   int    `json:"heap"`   // of the runtime's heap, allocated by a goroutine that is bound to this thread
	kept   [][]byte
	orders chan int
	done   chan bool
}

func (w *worker) run() {
	runtime.LockOSThread()
	name := append([]byte(w.Name), 0)
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0)
	w.Tid = syscall.Gettid()
	w.done <- true
	for size := range w.orders {
		if size < 0 {
			w.kept, w.Heap = nil, 0
			w.done <- true
			continue
		}
		block, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			panic(err)
		}
		touch(block)
		w.Mapped += size
		for left := size; left > 0; left -= 32 << 10 {
			slice := make([]byte, 32<<10)
			touch(slice)
			w.kept = append(w.kept, slice)
			w.Heap += len(slice)
		}
		w.done <- true
	}
}

func touch(bytes []byte) {
	for i := 0; i < len(bytes); i += 4096 {
		bytes[i] = 1
	}
}

func main() {
	var all []*worker
	for i := 0; i < workers; i++ {
		w := &worker{Name: fmt.Sprintf("grow-%d", i), orders: make(chan int), done: make(chan bool)}
		all = append(all, w)
		go w.run()
		<-w.done
	}
	fmt.Printf("{\"ready\":%d}\n", os.Getpid())
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var size int
		command := input.Text()
		if n, _ := fmt.Sscanf(command, "grow %d", &size); n == 1 {
			for _, w := range all {
				w.orders <- size << 20
				<-w.done
			}
		} else if command == "drop" {
			for _, w := range all {
				w.orders <- -1
				<-w.done
			}
			debug.FreeOSMemory()
		} else if command == "truth" {
			text, _ := json.Marshal(map[string]any{"threads": all})
			fmt.Println(string(text))
			continue
		}
		fmt.Println("{\"ok\":true}")
	}
}
