package selfservice

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// kind returns the kind of factor that the request names, and its method. The method is
// nil if the user's login authenticator does not allow that kind.
func (v *visit) kind() (store.FactorKind, factors.Method) {
	kind := store.FactorKind(v.r.FormValue(pages.FieldKind))
	if !slices.Contains(v.Accounts.Authenticator(v.user).Factors, kind) {
		return kind, nil
	}
	return kind, v.Factors.Method(kind)
}

// ceremony returns a ceremony that binds an enrolment to this session.
func (v *visit) ceremony() factors.Ceremony {
	return factors.Ceremony{User: v.user, Browser: v.session.Cookie}
}

// showAdd begins the enrolment of a factor.
func (v *visit) showAdd() {
	kind, method := v.kind()
	if method == nil {
		v.render(http.StatusNotFound, pages.NotFound())
		return
	}
	if !v.fresh() {
		return
	}
	var begun *factors.Enrolment
	err := v.Store.Update(v.r.Context(), func(tx store.Tx) (err error) {
		begun, err = method.BeginEnrol(v.r.Context(), tx, v.ceremony(), factors.Setup{})
		return err
	})
	v.askFactor(kind, begun, err, "")
}

// askFactor shows what the user needs in order to set up a factor.
func (v *visit) askFactor(kind store.FactorKind, e *factors.Enrolment, err error, label string, problems ...pages.Problem) {
	if errors.Is(err, factors.ErrTooMany) {
		v.render(http.StatusForbidden, pages.Forbidden())
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	common := v.common(problems...)
	common.Hidden[pages.FieldToken], common.Hidden[pages.FieldKind] = e.Token, string(kind)
	if kind == store.Passkey {
		v.render(http.StatusOK, &pages.EnrolPasskey{
			Common: common, Passkey: pages.Passkey{Options: e.Options, Action: pathAdd}, Label: label, Cancel: pathAccount,
		})
		return
	}
	v.render(http.StatusOK, &pages.EnrolCode{Common: common, Action: pathAdd, Kind: string(kind), URI: e.URI, Secret: e.Seed, Label: label, Cancel: pathAccount})
}

// takeAdd adds the factor if the answer proves that it works. With the first factor, the
// user also gets recovery codes.
func (v *visit) takeAdd() {
	kind, method := v.kind()
	if method == nil {
		v.render(http.StatusNotFound, pages.NotFound())
		return
	}
	if !v.fresh() {
		return
	}
	label := strings.TrimSpace(v.field(pages.FieldLabel))
	if !isLabel(label) {
		label = ""
	}
	var added *store.Factor
	var codes []string
	ctx := v.r.Context()
	err := v.Store.Update(ctx, func(tx store.Tx) (err error) {
		added, codes, err = v.add(ctx, tx, method, label)
		return err
	})
	switch {
	case errors.Is(err, factors.ErrWrong), errors.Is(err, factors.ErrExpired):
		v.askAgain(kind, method, label)
		return
	case err != nil:
		v.askFactor(kind, nil, err, label)
		return
	}
	v.log("factor_added", "a factor was added", v.user.ID, slog.String("factor", string(kind)))
	v.notify(mail.FactorAdded, v.user, func(l *mail.Letter) { l.Name = nameOf(added) })
	if len(codes) > 0 {
		v.showCodes(codes)
		return
	}
	v.goTo(pathAccount)
}

// add adds the factor within a transaction. It also forgets remembered browsers, and
// makes recovery codes if the user has none.
func (v *visit) add(ctx context.Context, tx store.Tx, method factors.Method, label string) (added *store.Factor, codes []string, err error) {
	answer := v.field(pages.FieldCode)
	if method.Kind() == store.Passkey {
		answer = v.field(pages.FieldCredential)
	}
	added, err = method.FinishEnrol(ctx, tx, v.ceremony(), v.field(pages.FieldToken), answer, label)
	if err != nil {
		return nil, nil, err
	}
	left, err := tx.CountRecoveryCodes(v.user.ID)
	if err == nil && left == 0 {
		codes, err = v.Factors.Recovery.Replace(ctx, tx, v.user.ID)
	}
	return added, codes, errors.Join(err, tx.DeleteTickets(v.user.ID, signin.TicketDevice))
}

// askAgain shows the enrolment again, or begins a new one if it has expired.
func (v *visit) askAgain(kind store.FactorKind, method factors.Method, label string) {
	ctx := v.r.Context()
	var e *factors.Enrolment
	err := v.Store.Update(ctx, func(tx store.Tx) (err error) {
		e, err = method.Resume(ctx, tx, v.ceremony(), v.field(pages.FieldToken))
		if errors.Is(err, factors.ErrExpired) {
			e, err = method.BeginEnrol(ctx, tx, v.ceremony(), factors.Setup{})
		}
		return err
	})
	problem := pages.Wrong(pages.FieldCode, pages.ProblemCode)
	if kind == store.Passkey {
		problem = pages.Wrong("", pages.ProblemPasskey)
	}
	v.askFactor(kind, e, err, label, problem)
}

// isLabel reports whether a text is acceptable as the name of a factor, which mails show.
func isLabel(text string) bool { return text == "" || mail.Name(text) == text }
