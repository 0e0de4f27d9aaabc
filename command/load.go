package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// Loaded is a configuration that has been provisioned but not started, as caddy
// validate does.
type Loaded struct {
	Context caddy.Context
	// File is the name of the configuration file, as the operator named it or
	// as it was found.
	File string
	// Storage is the name of the storage module, or "" for Caddy's default.
	Storage string
	// Warnings has the warnings and errors that modules of this plugin logged.
	Warnings []Warning
	// Close releases the resources of the modules.
	Close func() error
}

// Warning is a log entry.
type Warning struct {
	Message string
	Fields  map[string]any
}

// Load provisions a configuration without starting it. If it returns an error,
// the result is not nil and has File set, as far as that is known.
func Load(file, adapter string) (*Loaded, error) {
	l := &Loaded{File: file, Close: func() error { return nil }}
	text, found, _, err := caddycmd.LoadConfig(file, adapter)
	if found != "" {
		l.File = found
	}
	if err != nil {
		return l, err
	}
	if found == "" && len(text) == 0 {
		return l, errors.New("there is no Caddyfile in the current directory; name the configuration with --config")
	}
	var config caddy.Config
	if err := json.Unmarshal(text, &config); err != nil {
		return l, err
	}
	var storage struct{ Module string }
	if config.StorageRaw != nil && json.Unmarshal(config.StorageRaw, &storage) == nil {
		l.Storage = storage.Module
	}
	registerCollector()
	collected.reset()
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "ERROR"}},
		collectorName: {BaseLog: caddy.BaseLog{
			Level: "WARN", WriterRaw: json.RawMessage(`{"output":"` + collectorName + `"}`), EncoderRaw: json.RawMessage(`{"format":"json"}`),
		}},
	}}
	l.Context, err = caddy.ProvisionContext(&config)
	if err != nil {
		return l, err
	}
	if _, err := l.Context.AppIfConfigured("http"); err != nil {
		return l, err
	}
	l.Warnings = collected.warnings()
	return l, nil
}

// collectorName is the name of a log writer. It is registered only in the
// process of a subcommand.
const collectorName = "oidc_rp_command"

var registerCollector = sync.OnceFunc(func() { caddy.RegisterModule(collector{}) })

// collected has the log entries from loading a configuration.
var collected lines

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// warnings returns the entries of this plugin's loggers, without duplicates.
func (l *lines) warnings() (all []Warning) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var seen []string
	for line := range strings.Lines(l.text.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) != nil {
			continue
		}
		logger, _ := fields["logger"].(string)
		message, _ := fields["msg"].(string)
		for _, own := range []string{"level", "ts", "logger", "msg", "event"} {
			delete(fields, own)
		}
		what, _ := json.Marshal(fields)
		key := message + string(what)
		if !strings.Contains(logger, "oidc_rp") || slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		all = append(all, Warning{message, fields})
	}
	return all
}

// collector is a log writer module that writes to collected.
type collector struct{}

func (collector) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers." + collectorName, New: func() caddy.Module { return new(collector) }}
}

func (collector) String() string { return collectorName }

func (collector) WriterKey() string { return collectorName }

func (collector) OpenWriter() (io.WriteCloser, error) { return nopCloser{&collected}, nil }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

var _ caddy.WriterOpener = collector{}
