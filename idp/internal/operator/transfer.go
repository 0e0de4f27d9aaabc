package operator

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// ImportRequest contains users of another system.
type ImportRequest struct {
	// CSV is a CSV file with a header; see accounts.Accounts.Import.
	CSV string `json:"csv"`
	// DryRun reports what would happen to each line, without writing anything.
	DryRun bool `json:"dry_run,omitempty"`
}

// Imported is the result of an import.
type Imported struct {
	Users    int       `json:"users"`
	Failed   int       `json:"failed"`
	Failures []Failure `json:"failures"` // of the first lines that failed
	DryRun   bool      `json:"dry_run,omitempty"`
}

func (i Imported) audit() []slog.Attr {
	return []slog.Attr{slog.Int("users", i.Users), slog.Int("failed", i.Failed), slog.Bool("dry_run", i.DryRun)}
}

// Failure is the reason why a line was not imported.
type Failure struct {
	Line  int    `json:"line"`
	Field string `json:"field,omitempty"`
	Error string `json:"error"`
}

func importUsers(ctx context.Context, s *server.Server, r ImportRequest) (Imported, error) {
	result, err := s.Accounts.Import(ctx, strings.NewReader(r.CSV), r.DryRun)
	done := Imported{result.Created, result.Failed, []Failure{}, r.DryRun}
	for _, failure := range result.Errors {
		done.Failures = append(done.Failures, Failure{failure.Line, failure.Field, failure.Err.Error()})
	}
	switch {
	case errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil:
		return done, err
	case err != nil:
		return done, refuse(http.StatusBadRequest, "%w; %d users were imported", err, result.Created)
	}
	if done.Users > 0 && !r.DryRun {
		s.MeasureHashes(ctx)
	}
	return done, nil
}

// ExportRequest asks for a file with all users.
type ExportRequest struct {
	// Hashes includes the password hashes in the file.
	Hashes bool `json:"hashes,omitempty"`
	Yes    bool `json:"yes,omitempty"`
}

// Exported contains all users as a CSV file.
type Exported struct {
	CSV    string `json:"csv"`
	hashes bool
}

func (e Exported) audit() []slog.Attr { return []slog.Attr{slog.Bool("hashes", e.hashes)} }

func exportUsers(ctx context.Context, s *server.Server, r ExportRequest) (Exported, error) {
	if r.Hashes && !r.Yes {
		return Exported{}, refuse(http.StatusBadRequest, "hashes help to guess passwords; add --yes")
	}
	var text strings.Builder
	err := s.Accounts.Export(ctx, &text, r.Hashes)
	return Exported{text.String(), r.Hashes}, err
}
