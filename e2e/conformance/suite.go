package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A suite is a running conformance suite, used through its REST interface.
type suite struct {
	base  string // ends in a slash
	token string // for the REST interface; local suites need none
	http  *http.Client
	poll  time.Duration
}

// The suite's states of a module.
const (
	statusWaiting     = "WAITING"
	statusFinished    = "FINISHED"
	statusInterrupted = "INTERRUPTED"
)

// A createdPlan is a plan with the modules that the suite has for its variant.
type createdPlan struct {
	ID      string          `json:"id"`
	Modules []createdModule `json:"modules"`
}

type createdModule struct {
	Name    string            `json:"testModule"`
	Variant map[string]string `json:"variant"`
}

// createPlan creates a plan. variant must have only what the caller may choose: the suite
// refuses variants that the plan fixes.
func (s *suite) createPlan(ctx context.Context, name string, variant map[string]string, config any) (*createdPlan, error) {
	query := url.Values{"planName": {name}}
	if err := setVariant(query, variant); err != nil {
		return nil, err
	}
	p := new(createdPlan)
	if err := s.call(ctx, "POST", "api/plan", query, config, p); err != nil {
		return nil, fmt.Errorf("creating the plan %s: %w", name, err)
	}
	if p.ID == "" || len(p.Modules) == 0 {
		return nil, fmt.Errorf("creating the plan %s: the suite names no modules", name)
	}
	return p, nil
}

// startModule starts a module of a plan. The suite runs it at once.
func (s *suite) startModule(ctx context.Context, plan string, m createdModule) (*instance, error) {
	query := url.Values{"test": {m.Name}, "plan": {plan}}
	if err := setVariant(query, m.Variant); err != nil {
		return nil, err
	}
	i := new(instance)
	if err := s.call(ctx, "POST", "api/runner", query, nil, i); err != nil {
		return nil, fmt.Errorf("starting %s: %w", m.Name, err)
	}
	return i, nil
}

// An instance is one run of a module.
type instance struct {
	ID  string `json:"id"`
	URL string `json:"url"` // of the provider that the module is; the issuer has an additional slash
}

func setVariant(query url.Values, variant map[string]string) error {
	if len(variant) == 0 {
		return nil
	}
	text, err := json.Marshal(variant)
	query.Set("variant", string(text))
	return err
}

// An info is the state of a module's run.
type info struct {
	Status  string `json:"status"`
	Result  string `json:"result"` // PASSED, FAILED, WARNING, REVIEW, SKIPPED; "" until there is a result
	Version string `json:"version"`
}

func (i info) ended() bool { return i.Status == statusFinished || i.Status == statusInterrupted }

func (s *suite) info(ctx context.Context, id string) (i info, err error) {
	err = s.call(ctx, "GET", "api/info/"+url.PathEscape(id), nil, nil, &i)
	return i, err
}

// await polls until the module has one of the states or has ended. It also returns the
// last state if the time runs out.
func (s *suite) await(ctx context.Context, id string, limit time.Duration, states ...string) (last info, err error) {
	err = eventually(ctx, limit, s.poll, func() (bool, error) {
		last, err = s.info(ctx, id)
		return err == nil && (last.ended() || slices.Contains(states, last.Status)), err
	})
	return last, err
}

// failures returns the conditions that failed, in the suite's words.
func (s *suite) failures(ctx context.Context, id string) (all []string, err error) {
	var log []struct {
		Source  string `json:"src"`
		Message string `json:"msg"`
		Result  string `json:"result"`
	}
	if err := s.call(ctx, "GET", "api/log/"+url.PathEscape(id), nil, nil, &log); err != nil {
		return nil, err
	}
	for _, line := range log {
		if line.Result == "FAILURE" || line.Result == "WARNING" {
			all = append(all, line.Source+": "+line.Message)
		}
	}
	return all, nil
}

// listed returns the pages that the user must open for the module to continue.
func (s *suite) listed(ctx context.Context, id string) ([]string, error) {
	var b struct {
		URLs []string `json:"urls"`
	}
	err := s.call(ctx, "GET", "api/runner/browser/"+url.PathEscape(id), nil, nil, &b)
	return b.URLs, err
}

// visited tells the suite that a page is being opened.
func (s *suite) visited(ctx context.Context, id, page string) error {
	return s.call(ctx, "POST", "api/runner/browser/"+url.PathEscape(id)+"/visit", url.Values{"url": {page}}, nil, nil)
}

// cancel ends a waiting module.
func (s *suite) cancel(ctx context.Context, id string) error {
	return s.call(ctx, "DELETE", "api/runner/"+url.PathEscape(id), nil, nil, nil)
}

func (s *suite) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	address := s.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20)) // logs are large
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("the suite answered %d to %s %s: %s", answer.StatusCode, method, path, excerpt(string(text)))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the suite's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// excerpt returns the beginning of a foreign text on one line.
func excerpt(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// eventually polls until done returns true or an error. It returns errLate after the
// limit.
func eventually(ctx context.Context, limit, pause time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		yes, err := done()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errLate
		case <-time.After(pause):
		}
	}
}
