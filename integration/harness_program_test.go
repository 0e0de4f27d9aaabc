package integration_test

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
)

// accessKey is an access key and its line in a key file.
type accessKey struct{ name, key, line string }

// newKey creates a key. fields are the fields of its line after the hash: groups and expires.
func newKey(t *testing.T, name string, fields ...string) accessKey {
	t.Helper()
	key, err := accesskey.New(name)
	if err != nil {
		t.Fatal(err)
	}
	hash := accesskey.HashOf(key)
	return accessKey{name, key, strings.Join(append([]string{name, hex.EncodeToString(hash[:])}, fields...), ":")}
}

// bearer returns the header line with the key as a bearer token.
func (k accessKey) bearer() string { return "Authorization: Bearer " + k.key }

// basic returns the header line with the key as a password.
func (k accessKey) basic() string { return basicOf(k.name, k.key) }

func basicOf(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// accessKeyFile is a key file that a test writes.
type accessKeyFile struct {
	t    *testing.T
	path string
}

func newAccessKeyFile(t *testing.T, keys ...accessKey) *accessKeyFile {
	f := &accessKeyFile{t, filepath.Join(t.TempDir(), "keys.txt")}
	f.write(keys...)
	return f
}

func (f *accessKeyFile) write(keys ...accessKey) {
	f.t.Helper()
	text := "# keys of programs\n"
	for _, key := range keys {
		text += key.line + "\n"
	}
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}
