//go:build linux

package provider

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// measureCPU starts the measurement and reports the CPU time at the end.
func measureCPU(b *testing.B) {
	b.Helper()
	used := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			b.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	before := used()
	b.Cleanup(func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1e6, "cpu-ms/op") })
	b.ResetTimer()
}

// BenchmarkRedeem measures token requests with codes, including the database and an RS256
// signature.
func BenchmarkRedeem(b *testing.B) {
	n := newNode(b)
	user := browser{}
	n.redeemWiki(n.code(user, wikiRequest())) // generates the keys
	codes := make([]string, b.N)
	for i := range codes {
		codes[i] = n.code(user, wikiRequest())
	}
	measureCPU(b)
	for _, code := range codes {
		if got := n.redeemWiki(code); got.status != http.StatusOK {
			b.Fatalf("expected tokens, seen %+v", got)
		}
	}
}

// BenchmarkRefresh measures token requests with refresh tokens that rotate.
func BenchmarkRefresh(b *testing.B) {
	n := newNode(b)
	token := n.redeemSPA(n.code(browser{}, spaRequest())).Refresh
	measureCPU(b)
	for range b.N {
		got := n.refreshSPA(token)
		if got.status != http.StatusOK {
			b.Fatalf("expected tokens, seen %+v", got)
		}
		token = got.Refresh
	}
}

// BenchmarkUserinfo measures userinfo requests.
func BenchmarkUserinfo(b *testing.B) {
	n := newNode(b)
	token := n.redeemWiki(n.code(browser{}, wikiRequest())).Access
	measureCPU(b)
	for range b.N {
		if status := n.userinfoStatus(token); status != http.StatusOK {
			b.Fatalf("expected claims, seen %d", status)
		}
	}
}
