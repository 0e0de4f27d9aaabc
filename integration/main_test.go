package integration_test

import (
	"flag"
	"os"
	"testing"
)

// The tests spend most of their time waiting for servers and clocks, so more of them than
// there are processors may run at once.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	endRedis()
	os.Exit(code)
}
