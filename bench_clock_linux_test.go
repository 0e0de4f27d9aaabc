package oidcrp_test

import (
	"syscall"
	"time"
)

// cpuUsed returns the CPU time that this process has used.
func cpuUsed() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
