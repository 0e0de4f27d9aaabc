package explain

import (
	"encoding/json"
	"strings"
	"testing"
)

var report = Report{
	Site: "app.example.com", Path: "/admin;x/y", User: "alice", Provider: "corp",
	Readings: []Reading{{"/admin;x/y", "private"}, {"/admin/y", "private /admin /admin/*"}},
	Rules: []Rule{
		{"require group staff", "site", Satisfied}, {"require group <admins>", "private /admin /admin/*", Refuses}, {"require acr gold", "private /admin /admin/*", Asks},
	},
	Verdict: Refused, Reason: "require group <admins>",
}

func TestReportAsText(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	const want = `
site      app.example.com
path      /admin;x/y
user      alice (provider corp)
readings  /admin;x/y                private
          /admin/y                  private /admin /admin/*
rules     ✔ require group staff     site
          ✘ require group <admins>  private /admin /admin/*
          ! require acr gold        private /admin /admin/*
verdict   refused: require group <admins>
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("expected %s, seen %s", want, got)
	}
}

func TestReportWithoutRulesAndUser(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := Report{Site: ":8080", Path: "/", Readings: []Reading{{"/", "public"}}, Verdict: Allowed, Reason: "the page is public"}
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	const want = `
site      :8080
path      /
readings  /  public
rules     none
verdict   allowed: the page is public
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("expected %s, seen %s", want, got)
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var read Report
	if err := json.Unmarshal([]byte(out.String()), &read); err != nil {
		t.Fatal(err)
	}
	if len(read.Rules) != 3 {
		t.Errorf("expected three rules, seen %s", out.String())
	}
	if read.Verdict != Refused {
		t.Errorf("expected the verdict refused, seen %s", read.Verdict)
	}
}
