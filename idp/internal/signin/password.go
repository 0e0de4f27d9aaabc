package signin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Variants of the pages that ask for a code, and the last part of their paths.
const (
	withCode     = ""
	withRecovery = "recovery" // asks for a recovery code instead of a code
	withResync   = "resync"   // asks for two successive codes of a token, to resynchronize its counter
)

// showPassword asks for the password of the typed name, or of the session's user.
func (v *visit) showPassword(variant string) {
	who, err := v.candidate(v.state)
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	asks, tokens, err := v.asksForCode(v.r.Context(), who.key, who.user)
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	page := &pages.Password{
		Common: v.common(pages.FieldPassword), Action: v.path("password"), User: who.name,
		Code: asks && variant != withRecovery, Recovery: variant == withRecovery, Resync: asks && tokens && variant == withResync,
		OtherURL: v.path("name"), ResetURL: v.ResetURL, Remember: v.Accounts.Remembers(),
	}
	if variant != withRecovery {
		page.RecoveryURL = v.path(withRecovery)
	}
	if page.Code && tokens && variant == withCode {
		page.ResyncURL = v.path(withResync)
	}
	if page.Passkey, err = v.askPasskey(nil, false); err != nil { // the same for all names
		v.Fail(v.w, v.r, err)
		return
	}
	v.render(page)
}

// showRecovery and showResync show a variant of the due page, if it has one.
func (v *visit) showRecovery() { v.showVariant(withRecovery) }
func (v *visit) showResync()   { v.showVariant(withResync) }

func (v *visit) showVariant(variant string) {
	f, d, ok := v.load()
	if !ok {
		return
	}
	switch d.step {
	case stepPassword:
		v.showPassword(variant)
	case stepConcealed:
		v.showConcealed(variant)
	case stepFactor:
		v.showFactor(f, variant)
	default:
		v.proceed()
	}
}

// candidate is the user that a password is checked for.
type candidate struct {
	name string // as typed
	key  string
	// user is nil if there is none or the user must not sign in.
	user   *store.User
	device device
}

// candidate looks up the user that a password is checked for.
func (v *visit) candidate(state State) (c candidate, err error) {
	err = v.Store.View(v.r.Context(), func(tx store.Tx) error {
		c, err = v.candidateIn(tx, state)
		return err
	})
	return c, err
}

func (v *visit) candidateIn(tx store.Tx, state State) (c candidate, err error) {
	c.name = state.Name
	if c.name == "" && v.owner != nil {
		c.name = v.owner.Name
	}
	if c.key, err = v.Accounts.Key(c.name); err != nil {
		// The name is not valid. Treat it like an unknown one, so that this does
		// not show.
		c.key = strings.ToLower(c.name)
		return c, nil
	}
	c.user, err = tx.UserByName(c.key)
	if errors.Is(err, store.ErrNotFound) || err == nil && isGone(c.user) {
		c.user = nil
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.device, err = v.deviceOf(tx, c.user)
	return c, err
}

// typed has the fields of a password form.
type typed struct {
	password, code, recovery string
	remember                 bool
	variant                  string // variant of the page that sent it
}

func (v *visit) typed() typed {
	in := typed{
		password: v.field(pages.FieldPassword), code: strings.TrimSpace(v.field(pages.FieldCode)),
		recovery: strings.TrimSpace(v.field(pages.FieldRecovery)), remember: v.field(pages.FieldRemember) == "on",
	}
	switch {
	case v.r.PostForm.Has(pages.FieldRecovery):
		in.variant = withRecovery
	case v.r.PostForm.Has(pages.FieldCode2):
		in.variant = withResync
		in.code = strings.TrimSpace(in.code + " " + v.field(pages.FieldCode2))
	}
	return in
}

// takePassword checks a password together with a code. The response is sent at a
// slot, after at least one hash, whatever the name, and has one message for
// everything that can be wrong.
func (v *visit) takePassword() {
	came := v.Now()
	in := v.typed()
	if v.state.Name == "" && v.owner == nil {
		v.proceed() // no name was entered yet
		return
	}
	who, err := v.candidate(v.state)
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	from := Caller{Address: v.Address(v.r), Device: who.device.id}
	right, upgraded, err := v.Passwords.Verify(v.r.Context(), from, who.user, in.password)
	var busy *BusyError
	if errors.As(err, &busy) {
		v.Count(outcomeBusy, AttemptPassword)
		v.Pages.Render(v.w, v.r, http.StatusTooManyRequests, pages.Busy(busy.RetryAfter))
		return
	}
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	j := judgement{typed: in, who: who, right: right, upgraded: upgraded}
	err = v.change(func(tx store.Tx, state *State) error { return v.judge(tx, state, &j) })
	v.waitForSlot(v.r.Context(), came)
	if err != nil {
		v.respondOver(v.w, v.r, err)
		return
	}
	v.report(&j)
	if j.reason == "" || v.state.Concealed {
		v.proceed()
		return
	}
	v.goTo(in.variant)
}

// judgement is the result of checking a form.
type judgement struct {
	typed
	who      candidate
	right    bool // the password is the user's
	upgraded string

	now    candidate // who, when it is judged
	reason string    // why it failed, for the log
	kind   string    // which counter counts it
	locked bool      // it has locked the account just now
	user   *store.User
	amr    []string
	cloned bool // the counter of a passkey went back
}

// wrong is the message for everything that is wrong.
const wrong = "password.wrong"

// judge checks a form in one transaction with its counters, so that concurrent
// guesses are counted one after another.
func (v *visit) judge(tx store.Tx, state *State, j *judgement) error {
	*j = judgement{typed: j.typed, who: j.who, right: j.right, upgraded: j.upgraded}
	attempt := Attempt{Kind: AttemptPassword, Device: j.who.device.id, Address: v.Address(v.r)}
	if err := v.weigh(tx, state, j, &attempt); err != nil {
		return err
	}
	if j.reason == "" {
		return v.succeed(tx, state, j, attempt)
	}
	j.kind = attempt.Kind
	state.problem(pages.FieldPassword, wrong)
	if j.variant != withRecovery {
		conceals, err := v.conceals(v.r.Context(), tx, *state, j.now)
		if err != nil {
			return err
		}
		if state.Concealed = conceals; conceals {
			state.problem("", "")
		}
	}
	if j.reason == reasonLocked {
		// Count the attempt for the address as for an unknown name. Otherwise a
		// flood of guesses would reveal whether the name exists.
		attempt.User = nil
	}
	locked, err := v.Lockout.Failed(tx, attempt)
	j.locked = locked
	return err
}

// weigh determines whether, and why, a form fails, and which attempt it is.
func (v *visit) weigh(tx store.Tx, state *State, j *judgement, attempt *Attempt) error {
	now, err := v.candidateIn(tx, *state)
	if err != nil {
		return err
	}
	j.now, j.user, attempt.User = now, now.user, now.user
	if j.user == nil {
		j.reason = reasonUnknown
		return nil
	}
	allowed, err := v.Lockout.Allows(tx, *attempt)
	switch {
	case err != nil:
		return err
	case !allowed:
		j.reason = reasonLocked
		return nil
	case j.user.Password.Hash == "":
		j.reason = reasonNoPassword
		return nil
	case !j.right || j.who.user == nil || j.who.user.ID != j.user.ID || j.who.user.Password.Hash != j.user.Password.Hash:
		j.reason = reasonPassword // or the account has changed since the hash was computed
		return nil
	}
	j.amr = []string{amrPassword}
	return v.weighCode(tx, state, j, attempt)
}

// weighCode checks the code that came with a right password.
func (v *visit) weighCode(tx store.Tx, state *State, j *judgement, attempt *Attempt) error {
	f := facts{request: v.request, state: *state, session: v.session, now: v.Now(), user: j.user}
	if err := v.addUser(tx, &f); err != nil {
		return err
	}
	code, verify := j.code, v.Factors.VerifyCode
	attempt.Kind = AttemptCode
	if j.variant == withRecovery {
		attempt.Kind = AttemptRecovery
		code, verify = j.recovery, v.verifyRecovery
	}
	f.state.prove(j.user.ID, f.now, amrPassword)
	switch {
	case j.variant != withRecovery && !f.hasCode() || code == "" && f.mayComeLater():
		attempt.Kind = AttemptPassword
		return nil
	case code == "":
		j.reason = reasonCode
		return nil
	}
	return v.weighAnswer(tx, j, attempt, func() (*factors.Proof, error) {
		return verify(v.r.Context(), tx, v.ceremony(j.user), code)
	})
}

// weighAnswer checks the answer of a factor. Each kind has a counter of its own.
func (v *visit) weighAnswer(tx store.Tx, j *judgement, attempt *Attempt, verify func() (*factors.Proof, error)) error {
	allowed, err := v.Lockout.Allows(tx, *attempt)
	if err != nil {
		return err
	}
	if !allowed {
		j.reason = reasonLocked
		return nil
	}
	proof, err := verify()
	switch {
	case errors.Is(err, factors.ErrWrong), errors.Is(err, factors.ErrExpired):
		j.reason = reasonOf[attempt.Kind]
		return nil
	case err != nil:
		return err
	}
	j.amr = append(j.amr, proof.AMR...)
	j.kind = string(proof.Kind)
	return nil
}

func (v *visit) verifyRecovery(ctx context.Context, tx factors.Tx, c factors.Ceremony, code string) (*factors.Proof, error) {
	return v.Factors.Recovery.Verify(ctx, tx, c, code)
}

// hasCode reports whether the user has a code by time or by counter.
func (f facts) hasCode() bool {
	return slices.Contains(f.has, store.TOTP) || slices.Contains(f.has, store.HOTP)
}

// mayComeLater reports whether a second factor that did not come with the password
// is not needed or can still come, as for a user who only has passkeys.
func (f facts) mayComeLater() bool {
	return !f.hasCode() || next(f).step != stepFactor
}

// succeed records what was proved.
func (v *visit) succeed(tx store.Tx, state *State, j *judgement, attempt Attempt) error {
	state.problem("", "")
	state.Concealed = false
	state.prove(j.user.ID, v.Now(), j.amr...)
	state.Remember = state.Remember || j.remember
	changed := false
	if j.upgraded != "" {
		j.user.Password.Hash, changed = j.upgraded, true
	}
	if j.kind == string(factors.RecoveryCode) {
		j.user.MustEnrol, changed = true, true
	}
	f, err := v.facts(tx, *state)
	if err != nil {
		return err
	}
	if next(f).complete {
		if err := v.Lockout.Completed(tx, attempt); err != nil {
			return err
		}
		j.user.LastSignIn, changed = v.Now(), true
	}
	if !changed {
		return nil
	}
	return tx.PutUser(j.user)
}
