// Command figures measures what sessions and their ends cost in Redis and in a shared
// folder, with the plugin's own code, and prints the figures in docs/scaling.md. It needs
// the URL of a dedicated Redis, which it empties, and an empty folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"runtime"
	"syscall"
	"time"
)

func main() {
	url := flag.String("redis", "", "the URL of a Redis that may be emptied")
	folder := flag.String("folder", "", "an empty folder")
	number := flag.Int("sessions", 20_000, "how many sessions to keep")
	flag.Parse()
	if *url == "" || *folder == "" || *number < 100 {
		log.Fatal("-redis and -folder are missing, or there are fewer than 100 sessions")
	}
	ctx := context.Background()
	fmt.Printf("%s %s, %d CPUs, %d sessions\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *number)
	if err := measureRedis(ctx, *url, *number); err != nil {
		log.Fatal(err)
	}
	if err := measureFolder(ctx, *folder, min(*number, 20_000)); err != nil {
		log.Fatal(err)
	}
}

// spent returns the CPU time that this process has used so far.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// each calls do for every number below n, many at a time, like the requests of a busy
// node.
func each(n int, do func(i int) error) error {
	const atOnce = 64
	errs := make(chan error, atOnce)
	for worker := range atOnce {
		go func() {
			for i := worker; i < n; i += atOnce {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var first error
	for range atOnce {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// tell prints a figure.
func tell(what, format string, values ...any) {
	fmt.Printf("%-52s %s\n", what, fmt.Sprintf(format, values...))
}
