package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
)

// The scripts. Each is a file of its own, which one page includes: no page holds a
// script itself. Operators cannot replace them, since the policies of the pages name
// what they contain.
const (
	KeepFragmentScript = "keep_fragment.js"
	PopupScript        = "popup.js"
)

var scriptNames = []string{KeepFragmentScript, PopupScript}

// script is a file with a script.
type script struct {
	text      []byte
	integrity string // the hash of the text (W3C Subresource Integrity)
}

// readScripts reads the scripts.
func readScripts(builtin fs.FS) (map[string]script, error) {
	scripts := make(map[string]script, len(scriptNames))
	for _, name := range scriptNames {
		text, err := fs.ReadFile(builtin, name)
		if err != nil {
			return nil, fmt.Errorf("read a script: %w", err)
		}
		sum := sha256.Sum256(text)
		scripts[name] = script{text, "sha256-" + base64.StdEncoding.EncodeToString(sum[:])}
	}
	return scripts, nil
}

// Script is a script that a page includes.
type Script struct {
	URL       string // the path that WriteScript serves it at
	Integrity string
	source    string // the whole address, for the page's policy
}

// Script returns a script that is served at a path of an origin.
func (t *Templates) Script(name, origin, path string) Script {
	return Script{URL: path, Integrity: t.scripts[name].integrity, source: origin + path}
}

// WriteScript writes a script.
func (t *Templates) WriteScript(w http.ResponseWriter, name string) error {
	StrictSecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	_, err := w.Write(t.scripts[name].text)
	return err
}

// policy returns the sources of the page's script in its Content-Security-Policy:
// the hash of the script and, for browsers that support hashes of inline scripts
// only, its URL.
func (s Script) policy() string {
	if s.URL == "" {
		return ""
	}
	return "script-src '" + s.Integrity + "' " + s.source + "; "
}
