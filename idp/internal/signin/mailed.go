package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Mailed is a code that was sent by mail before a first factor is enrolled.
type Mailed struct {
	Code   []byte    `json:"code,omitempty"` // keyed hash of the code
	Sent   time.Time `json:"sent,omitzero"`
	Tries  int       `json:"tries,omitempty"`
	Passed bool      `json:"passed,omitempty"`
}

const (
	mailedLasts = 30 * time.Minute
	// maxTries is how often a wrong code may be entered.
	maxTries = 5
)

// isOpen reports whether there is a code that is still valid.
func (m Mailed) isOpen(now time.Time) bool {
	return len(m.Code) > 0 && m.Tries < maxTries && now.Sub(m.Sent) < mailedLasts
}

// showMailed asks for the code. It first sends one if there is none.
func (v *visit) showMailed(f facts) {
	page := &pages.MailedCode{Common: v.common(pages.FieldCode), Action: v.path("mailed"), Valid: mailedLasts}
	if f.mayPutOff() {
		page.LaterURL = v.path("enrol-later")
	}
	if !v.Notices.CanMail(f.user) {
		page.NoMail = true
		v.render(page)
		return
	}
	if !v.state.Enrol.isOpen(f.now) {
		if err := v.sendCode(f.user); err != nil {
			v.respondOver(v.w, v.r, err)
			return
		}
	}
	page.Email, page.ResendURL = mask(f.user.Email), v.path("mail-again")
	v.render(page)
}

// sendCode sends a new code. Limits on mail are applied elsewhere.
func (v *visit) sendCode(user *store.User) error {
	code, err := newCode()
	if err != nil {
		return err
	}
	hash, err := v.mailedHash(v.r.Context(), user, code)
	if err != nil {
		return err
	}
	now := v.Now()
	err = v.change(func(_ store.Tx, state *State) error {
		state.Enrol.Mailed = Mailed{Code: hash, Sent: now}
		return nil
	})
	if err == nil {
		v.Notices.EnrolmentCode(v.r.Context(), user, v.Address(v.r), code, now.Add(mailedLasts))
	}
	return err
}

func (v *visit) mailedHash(ctx context.Context, user *store.User, code string) ([]byte, error) {
	return v.Keyed(ctx, "mailed codes", v.request.ID+" "+user.ID+" "+code)
}

// takeAgain sends another code.
func (v *visit) takeAgain() {
	v.changed(func(_ store.Tx, state *State) error {
		state.Enrol.Mailed = Mailed{}
		state.problem("", "")
		return nil
	}, v.proceed)
}

// takeMailed checks the code.
func (v *visit) takeMailed() {
	code := strings.Map(digit, v.field(pages.FieldCode))
	v.changed(func(tx store.Tx, state *State) error {
		f, err := v.facts(tx, *state)
		if err != nil {
			return err
		}
		if d := next(f); d.step != stepEnrol || enrolNext(f, d) != enrolMail {
			return nil
		}
		hash, err := v.mailedHash(v.r.Context(), f.user, code)
		if err != nil {
			return err
		}
		m := &state.Enrol.Mailed
		attempt := Attempt{User: f.user, Kind: AttemptCode, Device: f.device.id, Address: v.Address(v.r)}
		allowed, err := v.Lockout.Allows(tx, attempt)
		if err != nil {
			return err
		}
		if !allowed { // treated like a wrong code
			state.problem(pages.FieldCode, pages.ProblemMailedCode)
			return nil
		}
		if m.isOpen(f.now) && subtle.ConstantTimeCompare(hash, m.Code) == 1 {
			*m = Mailed{Passed: true}
			state.problem("", "")
			return nil
		}
		m.Tries++
		state.problem(pages.FieldCode, pages.ProblemMailedCode)
		_, err = v.Lockout.Failed(tx, attempt)
		return err
	}, v.proceed)
}

func digit(c rune) rune {
	if c < '0' || c > '9' {
		return -1
	}
	return c
}

// newCode returns eight random digits.
func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return fmt.Sprintf("%08d", n), nil
}

// mask returns a shortened e-mail address that its owner recognizes.
func mask(email string) string {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" {
		return ""
	}
	return string([]rune(local)[:1]) + "…@" + domain
}
