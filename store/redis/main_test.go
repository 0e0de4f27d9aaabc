package redis

import (
	"flag"
	"os"
	"testing"
)

// The tests mostly wait for servers, so more of them than there are processors may run
// at once.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
