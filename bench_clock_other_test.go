//go:build !linux

package oidcrp_test

import "time"

// cpuUsed returns 0: on this platform benchmarks report only the elapsed time.
func cpuUsed() time.Duration { return 0 }
