package seal

import (
	"strings"
	"testing"
)

func FuzzOpen(f *testing.F) {
	// These are the same in all processes of a fuzzing run.
	const aad = "__Host-oidc_rp app.example"
	const sealed = "AaiY_D7UmSXbwLGC4DvRcxg21QnuUcUCJyyvpLa9btgvcGC1Je3ELPHjUDtTGTmSTqA92EyZ2pSBpJxCbAY"
	const plain = "the first version sealed this"
	ring := newRing(f, goldenSecret, secretA)
	for _, seed := range []string{
		"", "A", "AQ", sealed, sealed[1:], sealed + "\n", sealed + "=", "\x00", strings.Repeat("A", 44), strings.Repeat("_", 5000),
		"AaiY_D7pmSFzXOFxosRMIF41RAnyVvGW6dc1_WtNpnEE", sealed[:60] + "\r\n" + sealed[60:], sealed[:len(sealed)-1] + "Z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		opened, stale, err := ring.Open(ForSession, aad, text)
		switch {
		case text == sealed:
			wantPlain(t, "our own value", ring, aad, text, plain, false)
		case string(opened) == plain:
			t.Errorf("%q opens like %q", text, sealed)
		case err == nil && len(text) == len("AaiY_D7pmSFzXOFxosRMIF41RAnyVvGW6dc1_WtNpnEE"): // a sealed empty text
		case err != ErrBroken && err != ErrUnknownKey:
			t.Errorf("Open(%q): expected %v or %v, seen %v", text, ErrBroken, ErrUnknownKey, err)
		case opened != nil:
			t.Errorf("Open(%q): expected nothing beside the error, seen %q", text, opened)
		case stale:
			t.Errorf("Open(%q): expected nothing stale beside the error, seen that it is", text)
		}
	})
}
