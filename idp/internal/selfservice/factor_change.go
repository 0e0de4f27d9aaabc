package selfservice

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// factor returns the user's factor that the request identifies. If there is none, it
// responds with an error and returns nil.
func (v *visit) factor() *store.Factor {
	id := v.r.FormValue(pages.FieldID)
	for i := range v.factors {
		if v.factors[i].ID == id {
			return &v.factors[i]
		}
	}
	v.render(http.StatusNotFound, pages.NotFound())
	return nil
}

func nameOf(f *store.Factor) string {
	if f.Label != "" {
		return f.Label
	}
	return strings.ToUpper(string(f.Kind))
}

// showRename asks for a new name of a factor.
func (v *visit) showRename() {
	if f := v.factor(); f != nil {
		v.askRename(f, f.Label)
	}
}

func (v *visit) askRename(f *store.Factor, label string, problems ...pages.Problem) {
	v.render(http.StatusOK, &pages.Rename{Common: v.common(problems...), Action: pathRename, ID: f.ID, Value: label, Cancel: pathAccount})
}

func (v *visit) takeRename() {
	f := v.factor()
	if f == nil {
		return
	}
	label := strings.TrimSpace(v.field(pages.FieldLabel))
	if label == "" || !isLabel(label) {
		v.askRename(f, label, pages.Wrong(pages.FieldLabel, pages.ProblemLabel))
		return
	}
	err := v.Store.Update(v.r.Context(), func(tx store.Tx) error {
		all, err := tx.FactorsOf(v.user.ID) // the counter may have changed
		if err != nil {
			return err
		}
		for _, current := range all {
			if current.ID == f.ID {
				current.Label = label
				return tx.PutFactor(current)
			}
		}
		return nil
	})
	if err != nil {
		v.fail(err)
		return
	}
	v.goTo(pathAccount)
}

// showRemove asks for confirmation before a factor is removed.
func (v *visit) showRemove() {
	if f := v.factor(); f != nil && v.fresh() {
		v.askRemove(f)
	}
}

func (v *visit) askRemove(f *store.Factor, problems ...pages.Problem) {
	common := v.common(problems...)
	common.Hidden[pages.FieldID] = f.ID
	v.render(http.StatusOK, &pages.Confirm{
		Common: common, Action: pathRemove, Key: "remove_factor", Values: map[string]string{"name": nameOf(f)}, Cancel: pathAccount,
	})
}

var (
	errLastFactor = errors.New("the account needs a factor")
	errLastWay    = errors.New("there is no other way to sign in")
)

// takeRemove removes a factor. The last factor is not removed if one is required or if
// there is no other way to sign in. Otherwise the recovery codes are removed with it.
func (v *visit) takeRemove() {
	f := v.factor()
	if f == nil || !v.fresh() {
		return
	}
	err := v.Store.Update(v.r.Context(), func(tx store.Tx) error { return v.remove(tx, f.ID) })
	switch {
	case errors.Is(err, errLastFactor):
		v.askRemove(f, pages.Wrong("", pages.ProblemLastFactor))
		return
	case errors.Is(err, errLastWay):
		v.askRemove(f, pages.Wrong("", pages.ProblemLastWay))
		return
	case err != nil:
		v.fail(err)
		return
	}
	v.log("factor_removed", "a factor was removed", v.user.ID, slog.String("factor", string(f.Kind)))
	v.notify(mail.FactorRemoved, v.user, func(l *mail.Letter) { l.Name = nameOf(f) })
	v.goTo(pathAccount)
}

func (v *visit) remove(tx store.Tx, id string) error {
	left, err := confirmed(tx, v.user.ID)
	if err != nil {
		return err
	}
	for i, f := range left {
		if f.ID == id {
			left = append(left[:i], left[i+1:]...)
			break
		}
	}
	if len(left) == 0 && v.requiresMFA() {
		return errLastFactor
	}
	if err := v.hasOtherWay(tx, left, ""); err != nil {
		return err
	}
	if err := v.Factors.Remove(tx, v.user.ID, id); err != nil {
		return err
	}
	if len(left) == 0 {
		if err := tx.SetRecoveryCodes(v.user.ID, nil); err != nil {
			return err
		}
	}
	return tx.DeleteTickets(v.user.ID, signin.TicketDevice)
}

// hasOtherWay returns errLastWay if the user could no longer sign in with only these
// factors, the password, and the linked accounts except the one identified by without.
func (v *visit) hasOtherWay(tx store.Tx, left []store.Factor, without string) error {
	user, err := tx.User(v.user.ID)
	if err != nil {
		return err
	}
	if user.Password.Hash != "" {
		return nil
	}
	for _, f := range left {
		if f.Kind == store.Passkey {
			return nil
		}
	}
	identities, err := tx.IdentitiesOf(user.ID)
	if err != nil {
		return err
	}
	for _, i := range identities {
		if identityID(i) != without {
			return nil
		}
	}
	return errLastWay
}

// showRecovery asks for confirmation before new recovery codes are made.
func (v *visit) showRecovery() {
	if v.hasFactors() && v.fresh() {
		v.render(http.StatusOK, &pages.Confirm{Common: v.common(), Action: pathRecovery, Key: "new_codes", Cancel: pathAccount})
	}
}

func (v *visit) hasFactors() bool {
	if len(v.factors) == 0 {
		v.render(http.StatusForbidden, pages.Forbidden())
	}
	return len(v.factors) > 0
}

// takeRecovery makes new recovery codes and shows them. They are not shown again.
func (v *visit) takeRecovery() {
	if !v.hasFactors() || !v.fresh() {
		return
	}
	var codes []string
	err := v.Store.Update(v.r.Context(), func(tx store.Tx) (err error) {
		codes, err = v.Factors.Recovery.Replace(context.WithoutCancel(v.r.Context()), tx, v.user.ID)
		return err
	})
	if err != nil {
		v.fail(err)
		return
	}
	v.log("recovery_codes_made", "new recovery codes were made", v.user.ID)
	v.notify(mail.RecoveryMade, v.user, nil)
	v.showCodes(codes)
}

// showCodes shows recovery codes, with a link back to the account page.
func (v *visit) showCodes(codes []string) {
	v.render(http.StatusOK, &pages.RecoveryCodes{Codes: codes, Next: pathAccount})
}
