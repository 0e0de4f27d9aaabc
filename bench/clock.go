package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// cpuTime returns the user and system CPU time that a process has used, in
// nanosecond resolution, including threads that have ended. It reads the clock
// of clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const perProcess = 2 // CPUCLOCK_SCHED
	clock := ^pid<<3 | perProcess
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}

// tick is the unit of times in /proc/<pid>/stat. USER_HZ is 100 on all
// architectures that Go supports.
const tick = 10 * time.Millisecond

// accountedTime returns the same time as cpuTime, from /proc and in multiples
// of tick.
func accountedTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may contain any character. utime is field 14,
	// and stime field 15.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	var sum time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// checkClock returns an error if cpuTime and accountedTime disagree.
func checkClock(pid int) error {
	fine, err := cpuTime(pid)
	if err != nil {
		return err
	}
	coarse, err := accountedTime(pid)
	if err != nil {
		return err
	}
	if off := math.Abs(float64(fine - coarse)); off > float64(3*tick)+0.02*float64(fine) {
		return fmt.Errorf("process %d has used %s of CPU time by its clock, but %s by /proc", pid, fine, coarse)
	}
	return nil
}

// busyTime returns how long a core has been busy, with any process or the
// kernel.
func busyTime(core int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != fmt.Sprintf("cpu%d", core) {
			continue
		}
		var sum time.Duration
		for i, field := range fields[1:9] {
			if i == 3 || i == 4 { // idle, and waiting for a disk
				continue
			}
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			sum += time.Duration(ticks) * tick
		}
		return sum, nil
	}
	return 0, fmt.Errorf("/proc/stat has no core %d", core)
}

// residentKiB returns the resident memory of a process, in KiB.
func residentKiB(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
		}
	}
	return 0, fmt.Errorf("process %d has no memory", pid)
}
