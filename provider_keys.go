package oidcrp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/provider"
)

// decryptionKeys reads the keys for encrypted tokens.
func (p *Provider) decryptionKeys() (all []jose.JSONWebKey, err error) {
	known := make(map[string]bool)
	for _, written := range p.DecryptionKey {
		text, err := keyText(written)
		if err != nil {
			return nil, err
		}
		keys, err := provider.ParseDecryptionKeys([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s %w", nameOfKey(written), err)
		}
		for _, key := range keys {
			if known[key.KeyID] {
				return nil, fmt.Errorf("two keys have the kid %q", key.KeyID)
			}
			known[key.KeyID] = true
		}
		all = append(all, keys...)
	}
	return all, nil
}

// keyText is a key as text: what is written, with placeholders resolved, is
// either that or the name of a file that holds it. Errors say what is written
// and never what it stands for, which may be the key.
func keyText(written string) (string, error) {
	text := strings.TrimSpace(written)
	if !strings.HasPrefix(text, "{") || isPlaceholder(text) {
		expanded, err := expand(text)
		if err != nil {
			return "", err
		}
		text = strings.TrimSpace(expanded)
	}
	if isKeyText(text) {
		return text, nil
	}
	content, err := os.ReadFile(text)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return "", fmt.Errorf("%s cannot be read: %w", nameOfKey(written), err)
	}
	return string(content), nil
}

func isKeyText(text string) bool {
	return strings.HasPrefix(text, "{") || strings.Contains(text, "-----BEGIN ")
}

func nameOfKey(written string) string {
	if !isPlaceholder(written) && isKeyText(strings.TrimSpace(written)) {
		return "the key"
	}
	return written
}
