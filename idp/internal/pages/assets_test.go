package pages

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAssetsAreServedForEver(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	for name, contentType := range map[string]string{"style.css": "text/css; charset=utf-8", "passkey.js": "text/javascript; charset=utf-8"} {
		w := httptest.NewRecorder()
		p.ServeAsset(w, httptest.NewRequest(http.MethodGet, p.assets.url(name), nil))
		for field, want := range map[string]string{
			"Content-Type": contentType, "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'",
		} {
			if got := w.Header().Get(field); got != want {
				t.Errorf("%s: %s: expected %q, seen %q", name, field, want, got)
			}
		}
	}
}

func TestAssetsHaveOneAddressAndTwoMethods(t *testing.T) {
	t.Parallel()
	p := read(t, Options{})
	url := p.assets.url("style.css")
	for name, row := range map[string]struct {
		method, path string
		status       int
	}{
		"GET":             {"GET", url, 200},
		"HEAD":            {"HEAD", url, 200},
		"POST":            {"POST", url, 405},
		"another hash":    {"GET", strings.Replace(url, "style.", "style.0", 1), 404},
		"no hash":         {"GET", "/assets/style.css", 404},
		"the folder":      {"GET", "/assets/", 404},
		"a parent folder": {"GET", "/assets/../pages.go", 404},
	} {
		w := httptest.NewRecorder()
		p.ServeAsset(w, httptest.NewRequest(row.method, row.path, nil))
		if w.Code != row.status {
			t.Errorf("%s: expected status %d, seen %d", name, row.status, w.Code)
		}
		if row.method == "HEAD" && w.Body.Len() > 0 {
			t.Errorf("%s: expected no body, seen %d bytes", name, w.Body.Len())
		}
	}
}

func TestALogoIsInASandbox(t *testing.T) {
	t.Parallel()
	logo := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(logo, []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := read(t, Options{Logo: logo, Icons: map[string]string{"partners": logo}})
	for _, url := range []string{p.assets.logo, p.assets.icons["partners"]} {
		w := httptest.NewRecorder()
		p.ServeAsset(w, httptest.NewRequest(http.MethodGet, url, nil))
		if got := w.Header().Get("Content-Security-Policy"); got != "default-src 'none'; style-src 'unsafe-inline'; sandbox" {
			t.Errorf("expected a sandbox, seen %q", got)
		}
		if got := w.Header().Get("Content-Type"); got != "image/svg+xml" {
			t.Errorf("expected an SVG, seen %q", got)
		}
	}
	body := show(t, p, "en", &UserName{Externals: []External{{"partners", "Partners"}}}).Body.String()
	for _, url := range []string{p.assets.logo, p.assets.icons["partners"]} {
		if want := `src="` + url + `"`; !strings.Contains(body, want) {
			t.Errorf("expected %s, seen %s", want, body)
		}
	}
}

func TestALogoIsAnImage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "logo.html", "<script>")
	write(t, folder, "large.png", strings.Repeat("x", maxImage+1))
	for _, name := range []string{"logo.html", "large.png", "missing.png"} {
		if _, err := New(Options{Issuer: issuer, Logo: filepath.Join(folder, name)}); err == nil || !strings.HasPrefix(err.Error(), "pages: logo: ") {
			t.Errorf("%s: expected an error about the logo, seen %v", name, err)
		}
	}
}
