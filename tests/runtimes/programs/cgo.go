// SPDX-License-Identifier: GPL-2.0-only
// Beside a program in Go: C's libraries make its threads then.
package main

import "C"
