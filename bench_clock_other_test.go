//go:build !linux

package oidcrp_test

import "time"

// cpuUsed is not known here: benchmarks report the time that has passed.
func cpuUsed() time.Duration { return 0 }
