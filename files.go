package oidcrp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file is about documents that the configuration names by a file: keys,
// certificates, templates. They are read again when their content changes.

// filePlaceholder returns the name of the file that a text is a placeholder for,
// as {file./path} is.
func filePlaceholder(text string) (name string, ok bool) {
	name, ok = strings.CutPrefix(text, "{file.")
	if ok {
		name, ok = strings.CutSuffix(name, "}")
	}
	return name, ok && name != "" && !strings.ContainsAny(name, "{}\\")
}

// expandFile is what a placeholder for a file stands for. The error repeats
// nothing of the content.
func expandFile(read livefile.Read, name string) (string, error) {
	content, err := read(name)
	text := strings.TrimRight(string(content), "\r\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("{file.%s} is empty or cannot be read: %w", name, withoutPath(err))
	case text == "":
		return "", fmt.Errorf("{file.%s} is empty or cannot be read", name)
	}
	return text, nil
}

// withoutPath takes the name of the file off an error: what is no name of a file
// may be a key.
func withoutPath(err error) error {
	var withPath *fs.PathError
	if errors.As(err, &withPath) {
		return withPath.Err
	}
	return err
}

// expandBy is expand for a text that may be a placeholder for a file, which is
// read in the given way.
func expandBy(read livefile.Read, text string) (string, error) {
	if name, ok := filePlaceholder(text); ok {
		return expandFile(read, name)
	}
	return expand(text)
}

// namesFile reports whether a value that should be a secret or a document is the
// path of a file that exists: surely the file's content was meant. A name without
// a folder may be a word.
func namesFile(value string) bool {
	if !strings.ContainsAny(value, `/`+string(filepath.Separator)) || len(value) > 4096 || strings.ContainsAny(value, "\n\x00") {
		return false
	}
	info, err := os.Stat(value)
	return err == nil && !info.IsDir()
}

// warnOfFileName says in the log that an option has the name of a file for its
// value.
func warnOfFileName(logger *zap.Logger, option, value string) {
	if namesFile(value) {
		logger.Warn("the value of this option is the name of a file, and is used as it is; to use what the file holds, write a placeholder",
			zap.String("option", option), zap.String("placeholder", "{file."+value+"}"))
	}
}

// logFiles says in the log what happens to the files of an option.
func logFiles(logger func() *zap.Logger, option string) func(livefile.Event) {
	return func(e livefile.Event) {
		fields := []zap.Field{zap.String("option", option), zap.Strings("files", e.Files)}
		switch e.Kind {
		case livefile.Changed:
			logger().Info("a file of the configuration has changed and is in use", fields...)
		case livefile.Broken:
			logger().Error("a file of the configuration has changed and cannot be used; keeping the last good content", append(fields, zap.Error(e.Err))...)
		case livefile.Writable:
			logger().Warn("every user of this machine can write to a file of the configuration", fields...)
		}
	}
}

// logs is the logger of the newest of those configurations that use something
// which outlives them.
type logs struct {
	mu      sync.Mutex
	loggers []*zap.Logger
}

// add returns how to take the logger back. The last one stays.
func (l *logs) add(logger *zap.Logger) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loggers = append(l.loggers, logger)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, one := range l.loggers {
			if one == logger && len(l.loggers) > 1 {
				l.loggers = append(l.loggers[:i:i], l.loggers[i+1:]...)
				return
			}
		}
	}
}

func (l *logs) logger() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.loggers) == 0 {
		return caddy.Log()
	}
	return l.loggers[len(l.loggers)-1]
}

// ownKeys are the keys of ours at a provider.
type ownKeys struct {
	op.OwnKeys
	published jose.JSONWebKeySet
}

// ownKeys reads them.
func (p *ProviderConfig) ownKeys(read livefile.Read) (own ownKeys, err error) {
	if own.Signing, err = p.clientKeys(read); err != nil {
		return own, err
	}
	if own.published, err = p.publicKeys(read, own.Signing); err != nil {
		return own, err
	}
	if own.Decryption, err = p.decryptionKeys(read); err != nil {
		return own, fmt.Errorf("decryption_key: %w", err)
	}
	own.published.Keys = append(own.published.Keys, op.EncryptionKeys(own.Decryption)...)
	return own, nil
}

// jwksFile returns the name of the file that the provider's keys are in, if they
// are in one.
func (p *ProviderConfig) jwksFile() (name string, ok bool) {
	return filePlaceholder(strings.TrimSpace(p.JWKS))
}

// tlsConfig reads what the connections to the provider need.
func (p *ProviderConfig) tlsConfig(read livefile.Read) (*tls.Config, error) {
	files, err := p.TLS.read(read)
	if err != nil {
		return nil, err
	}
	if p.ClientAuth == op.MTLS {
		if files.Certificate, files.PrivateKey, err = p.clientCertificate(read); err != nil {
			return nil, err
		}
	}
	return files.config()
}
