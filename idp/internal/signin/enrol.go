package signin

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Enrolment is the state of a due enrolment of a factor.
type Enrolment struct {
	Kind  store.FactorKind `json:"kind,omitempty"`
	Token string           `json:"token,omitempty"`
	// Later reports that the user does not want a factor now, or cannot have one.
	Later bool `json:"later,omitempty"`
	Mailed
}

// enrolStep is the page of an enrolment.
type enrolStep int

const (
	enrolMail enrolStep = iota // a mailed code, or an operator's link
	enrolChoice
	enrolFactor
)

// enrolNext returns the next page of an enrolment. A password alone is not
// sufficient: otherwise whoever has stolen it could enrol their own factor. Two
// factors, a mailed code, or an operator's link are required.
func enrolNext(f facts, d decision) enrolStep {
	e := f.state.Enrol
	switch {
	case d.auth.ACR != sso.ACRMFA && !e.Passed && f.state.MayEnrol != f.user.ID:
		return enrolMail
	case !slices.Contains(f.policy.Factors, e.Kind):
		return enrolChoice
	}
	return enrolFactor
}

// showEnrol shows the next page of an enrolment.
func (v *visit) showEnrol(f facts, d decision) {
	switch enrolNext(f, d) {
	case enrolMail:
		v.showMailed(f)
	case enrolChoice:
		if len(f.policy.Factors) == 1 {
			v.choose(f.policy.Factors[0], func() { v.showFactorOf(f) })
			return
		}
		v.showKinds(f)
	case enrolFactor:
		v.showFactorOf(f)
	}
}

func (v *visit) showKinds(f facts) {
	page := &pages.EnrolChoice{Common: v.common(pages.FieldKind), Action: v.path("enrol-kind"), Required: !f.mayPutOff(), Later: f.mayPutOff()}
	for _, kind := range f.policy.Factors {
		page.Kinds = append(page.Kinds, string(kind))
	}
	v.render(page)
}

// takeKind processes the choice of a kind of factor.
func (v *visit) takeKind() {
	if v.field(pages.FieldChoice) == "later" {
		v.takeLater()
		return
	}
	v.choose(store.FactorKind(v.field(pages.FieldKind)), v.proceed)
}

// showUnmet shows that the user cannot have the second factor that the request
// demands.
func (v *visit) showUnmet(facts, decision) {
	v.render(&pages.Confirm{Common: v.common(), Action: v.path("enrol-later"), Key: "unmet"})
}

// takeLater continues without a second factor, if the application may decide about
// that.
func (v *visit) takeLater() {
	v.changed(func(tx store.Tx, state *State) error {
		f, err := v.facts(tx, *state)
		if err != nil {
			return err
		}
		if d := next(f); d.step == stepUnmet || d.step == stepEnrol && f.mayPutOff() {
			state.Enrol = Enrolment{Later: true}
			state.problem("", "")
		}
		return nil
	}, v.proceed)
}

// choose sets the kind. enrolNext asks again if it is not allowed.
func (v *visit) choose(kind store.FactorKind, goOn func()) {
	v.changed(func(_ store.Tx, state *State) error {
		state.Enrol.Kind, state.Enrol.Token = kind, ""
		state.problem("", "")
		return nil
	}, goOn)
}

// showFactorOf shows how to set up a factor of the chosen kind.
func (v *visit) showFactorOf(f facts) {
	var e *factors.Enrolment
	err := v.change(func(tx store.Tx, state *State) (err error) {
		e, err = v.enrolment(tx, f.user, &state.Enrol)
		return err
	})
	if errors.Is(err, factors.ErrTooMany) {
		v.choose("", func() { v.showKinds(f) })
		return
	}
	if err != nil {
		v.respondOver(v.w, v.r, err)
		return
	}
	cancel := ""
	if len(f.policy.Factors) > 1 {
		cancel = v.path("enrol-other")
	}
	kind := v.state.Enrol.Kind
	if kind == store.Passkey {
		v.render(&pages.EnrolPasskey{
			Common: v.common(fieldPasskey), Cancel: cancel,
			Passkey: pages.Passkey{Options: e.Options, Action: v.path("enrol")},
		})
		return
	}
	v.render(&pages.EnrolCode{
		Common: v.common(pages.FieldCode), Action: v.path("enrol"), Kind: string(kind), URI: e.URI, Secret: e.Seed, Cancel: cancel,
	})
}

// enrolment resumes or begins an enrolment.
func (v *visit) enrolment(tx store.Tx, user *store.User, e *Enrolment) (*factors.Enrolment, error) {
	method, ctx := v.Factors.Method(e.Kind), v.r.Context()
	if e.Token != "" {
		resumed, err := method.Resume(ctx, tx, v.ceremony(user), e.Token)
		if !errors.Is(err, factors.ErrExpired) {
			if err == nil {
				e.Token = resumed.Token
			}
			return resumed, err
		}
	}
	begun, err := method.BeginEnrol(ctx, tx, v.ceremony(user), factors.Setup{})
	if err == nil {
		e.Token = begun.Token
	}
	return begun, err
}

// showOther lets the user choose another kind of factor.
func (v *visit) showOther() { v.choose("", v.proceed) }

// takeEnrol adds the factor if the answer proves that it works, which also counts
// as using it. The first factor comes with recovery codes, which are shown once.
func (v *visit) takeEnrol() {
	var added *store.Factor
	var codes []string
	var user *store.User
	err := v.change(func(tx store.Tx, state *State) (err error) {
		added, codes = nil, nil
		f, err := v.facts(tx, *state)
		if err != nil {
			return err
		}
		d := next(f)
		if d.step != stepEnrol || enrolNext(f, d) != enrolFactor {
			return nil
		}
		user = f.user
		added, codes, err = v.enrol(tx, state, user)
		return err
	})
	if err != nil {
		v.respondOver(v.w, v.r, err)
		return
	}
	if added != nil {
		v.log("factor_added", "a factor was added", v.who(user, ""), slog.String("factor", string(added.Kind)))
		v.Notices.FactorAdded(v.r.Context(), user, added)
	}
	if len(codes) > 0 {
		v.render(&pages.RecoveryCodes{Common: v.common(), Action: v.path("codes"), Codes: codes})
		return
	}
	v.proceed()
}

func (v *visit) enrol(tx store.Tx, state *State, user *store.User) (added *store.Factor, codes []string, err error) {
	ctx, kind := v.r.Context(), state.Enrol.Kind
	answer := v.field(pages.FieldCode)
	if kind == store.Passkey {
		answer = v.field(pages.FieldCredential)
	}
	added, err = v.Factors.Method(kind).FinishEnrol(ctx, tx, v.ceremony(user), state.Enrol.Token, answer, v.field(pages.FieldLabel))
	switch {
	case errors.Is(err, factors.ErrWrong) && kind == store.Passkey, errors.Is(err, factors.ErrExpired), errors.Is(err, factors.ErrTooMany):
		state.Enrol.Token = ""
		state.problem(fieldPasskey, pages.ProblemPasskey)
		return nil, nil, nil
	case errors.Is(err, factors.ErrWrong):
		state.problem(pages.FieldCode, pages.ProblemCode)
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	left, err := tx.CountRecoveryCodes(user.ID)
	if err != nil {
		return nil, nil, err
	}
	if left == 0 || user.MustEnrol {
		if codes, err = v.Factors.Recovery.Replace(ctx, tx, user.ID); err != nil {
			return nil, nil, err
		}
	}
	user.MustEnrol = false
	if err := tx.PutUser(user); err != nil {
		return nil, nil, err
	}
	amr, err := factors.EnrolledAMR(added)
	if err != nil {
		return nil, nil, err
	}
	state.Enrol = Enrolment{}
	return added, codes, errors.Join(
		tx.DeleteTickets(user.ID, TicketDevice),
		v.succeed(tx, state, &judgement{user: user, amr: amr}, Attempt{User: user, Kind: AttemptCode, Address: v.Address(v.r)}))
}
