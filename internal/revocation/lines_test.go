package revocation

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func FuzzParseEvents(f *testing.F) {
	event := ForSubject(issuer, "ada", moment0, moment0.Add(time.Hour))
	line, dated := event.appendLine(nil), event.Issued(moment0, moment0).appendLine(nil)
	for _, seed := range [][]byte{nil, line, line[:30], append(line, line...), dated, dated[:70], []byte("a b c d\n"), []byte("AQAAAAAAAAAAAAAAAAAAAA at -1 -9223372036854775808\n"), {0, '\n'}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _ := parseEvents(data)
		if len(events) > bytes.Count(data, []byte("\n")) {
			t.Errorf("%d events in %q", len(events), data)
		}
		var lines []byte
		for _, event := range events {
			lines = event.appendLine(lines)
		}
		again, all := parseEvents(lines)
		if len(again) != len(events) {
			t.Errorf("expected %d events again, seen %d", len(events), len(again))
		}
		if !all {
			t.Error("expected all lines to be read, seen that some were not")
		}
		var k index
		k.add(events...)
		k.RevokedSession(&session.Session{Subject: "ada"}, issuer)
		k.sweep(moment0)
	})
}
