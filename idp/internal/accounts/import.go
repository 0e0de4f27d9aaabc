package accounts

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// importBatch is the number of users written in one transaction.
	importBatch = 25
	// maxLineErrors is the number of errors that are reported.
	maxLineErrors = 1000
)

// LineError reports an error in one line of an imported file.
type LineError struct {
	Line  int
	Field string // the column, or "" if the error is about the whole line
	Err   error
}

func (e *LineError) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("line %d, %s: %v", e.Line, e.Field, e.Err)
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// ImportResult is the result of an import.
type ImportResult struct {
	Created int // number of users created, or with dry, that would be
	Failed  int // number of lines that failed
	// Errors are the errors of failed lines, up to 1000.
	Errors []*LineError
}

func (r *ImportResult) fail(line int, err error) {
	r.Failed++
	if len(r.Errors) >= maxLineErrors {
		return
	}
	failed := &LineError{Line: line, Err: err}
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		failed.Field, failed.Err = invalid.Field, invalid.Err
	}
	r.Errors = append(r.Errors, failed)
}

// Import creates users from a CSV file with a header; see columns. Invalid lines are
// skipped and reported in the result. Any other error ends the import; users created
// until then are counted in the result. If dry is true, nothing is written.
func (a *Accounts) Import(ctx context.Context, from io.Reader, dry bool) (result ImportResult, err error) {
	lines, header, err := openCSV(from)
	if err != nil {
		return result, err
	}
	i := &importer{Accounts: a, result: &result, dry: dry, seen: make(map[string]int)}
	err = i.read(ctx, lines, header)
	var syntax *csv.ParseError
	if err == nil || errors.As(err, &syntax) {
		err = errors.Join(err, i.flush(ctx))
	}
	slices.SortFunc(result.Errors, func(a, b *LineError) int { return cmp.Compare(a.Line, b.Line) })
	return result, err
}

// read reads all lines. The last users may be left in the batch.
func (i *importer) read(ctx context.Context, lines *csv.Reader, header []column) error {
	for {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, csv.ErrFieldCount) {
			return err
		}
		line, _ := lines.FieldPos(0)
		if err != nil {
			i.result.fail(line, fmt.Errorf("%d columns, where the header has %d", len(record), len(header)))
			continue
		}
		if err := i.line(ctx, line, header, record); err != nil {
			return err
		}
	}
}

// openCSV reads the header and returns the column of each of its fields.
func openCSV(from io.Reader) (lines *csv.Reader, header []column, err error) {
	buffered := bufio.NewReader(from)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3) // cannot fail: Peek has buffered the bytes
	}
	lines = csv.NewReader(buffered)
	titles, err := lines.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the header: %w", err)
	}
	seen := make(map[string]bool)
	for _, title := range titles {
		title = strings.ToLower(strings.TrimSpace(title))
		found := slices.IndexFunc(columns, func(c column) bool { return c.name == title })
		switch {
		case found < 0:
			return nil, nil, fmt.Errorf("there is no column %.40q; the columns are %s", title, columnNames())
		case seen[title]:
			return nil, nil, fmt.Errorf("the column %s appears twice", title)
		}
		seen[title] = true
		header = append(header, columns[found])
	}
	if !seen["name"] {
		return nil, nil, errors.New("there is no column name")
	}
	return lines, header, nil
}

func columnNames() string {
	var all []string
	for _, c := range columns {
		all = append(all, c.name)
	}
	return strings.Join(all, ", ")
}

// importer is an import in progress.
type importer struct {
	*Accounts
	result *ImportResult
	dry    bool
	seen   map[string]int // the line of each name and address
	batch  []prepared
}

type prepared struct {
	line int
	user *store.User
}

// line processes one line, and writes the batch if it is full.
func (i *importer) line(ctx context.Context, line int, header []column, record []string) error {
	var n NewUser
	for at, c := range header {
		if c.set == nil {
			continue
		}
		if err := c.set(&n, record[at]); err != nil {
			i.result.fail(line, invalid(c.name, err))
			return nil
		}
	}
	user, err := i.Prepare(ctx, n)
	if errors.Is(err, store.ErrUnavailable) {
		return err
	}
	if err == nil {
		err = i.note(line, user)
	}
	if err != nil {
		i.result.fail(line, err)
		return nil
	}
	if i.batch = append(i.batch, prepared{line, user}); len(i.batch) < importBatch {
		return nil
	}
	return i.flush(ctx)
}

// note returns an error if an earlier line has the same name or address.
func (i *importer) note(line int, user *store.User) error {
	for _, name := range []string{user.Name, user.Email} {
		if key := names.Key(name); key != "" && i.seen[key] != 0 && i.seen[key] != line {
			return fmt.Errorf("%s is in line %d already", name, i.seen[key])
		} else if key != "" {
			i.seen[key] = line
		}
	}
	return nil
}

// flush writes the batch in one transaction. A user whose name or address is taken is
// skipped before anything of it is written, and its line is reported as failed.
func (i *importer) flush(ctx context.Context) error {
	var failed []LineError
	work := func(tx store.Tx) error {
		failed = nil
		for _, p := range i.batch {
			if err := namesAreFree(tx, p.user); errors.Is(err, store.ErrExists) {
				failed = append(failed, LineError{Line: p.line, Err: err})
				continue
			} else if err != nil {
				return err
			}
			if i.dry {
				continue
			}
			if err := i.Add(tx, p.user); err != nil {
				return err
			}
		}
		return nil
	}
	run := i.store.Update
	if i.dry {
		run = i.store.View
	}
	if err := run(ctx, work); err != nil {
		return err
	}
	for _, f := range failed {
		i.result.fail(f.Line, f.Err)
	}
	i.result.Created += len(i.batch) - len(failed)
	i.batch = i.batch[:0]
	return nil
}

func namesAreFree(tx store.Tx, user *store.User) error {
	for _, name := range []struct{ what, text string }{{"the user name", user.Name}, {"the e-mail address", user.Email}} {
		if name.text == "" {
			continue
		}
		_, err := tx.UserByName(names.Key(name.text))
		if err == nil {
			return &takenError{name.what}
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}
