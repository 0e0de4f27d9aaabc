package selfservice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// showAccount shows the account page.
func (v *visit) showAccount() { v.showAccountWith("") }

// showAccountWith shows the account page with a notice.
func (v *visit) showAccountWith(notice string) {
	page, err := v.account(v.r.Context())
	if err != nil {
		v.fail(err)
		return
	}
	page.Notice.Key = notice
	v.render(http.StatusOK, page)
}

// account returns the data of the account page.
func (v *visit) account(ctx context.Context) (*pages.Account, error) {
	user := v.user
	page := &pages.Account{
		Common: v.common(), User: user.Name, Name: user.DisplayName, Email: user.Email, EmailVerified: user.EmailVerified,
		HasPassword: user.Password.Hash != "", Changed: user.Password.Changed, CanMail: v.Mail != nil,
		PasswordURL: pathPassword, EmailURL: pathEmail, NameURL: pathName, AddURL: pathAdd, RenameURL: pathRename, RemoveURL: pathRemove,
		RecoveryURL: pathRecovery, SessionURL: pathSession, UnlinkURL: pathUnlink, SignOutURL: pathAllSessions,
	}
	for _, kind := range v.Accounts.Authenticator(user).Factors {
		if v.Factors.Method(kind) != nil {
			page.Kinds = append(page.Kinds, string(kind))
		}
	}
	for _, f := range v.factors {
		page.Factors = append(page.Factors, pages.AccountFactor{ID: f.ID, Kind: string(f.Kind), Label: f.Label, Created: f.Created, LastUsed: f.LastUsed})
	}
	if err := v.addRows(ctx, page); err != nil {
		return nil, err
	}
	sessions, err := v.Sessions.List(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		page.Sessions = append(page.Sessions, pages.AccountSession{
			ID: sessionID(s.SID), UserAgent: s.UserAgent, Address: s.Address, Created: s.Created, LastSeen: s.LastSeen, Current: s.SID == v.session.SID,
		})
	}
	slices.SortStableFunc(page.Sessions, func(a, b pages.AccountSession) int {
		switch {
		case a.Current && !b.Current:
			return -1
		case b.Current && !a.Current:
			return 1
		}
		return 0
	})
	return page, nil
}

// addRows adds data from tables other than the user's.
func (v *visit) addRows(ctx context.Context, page *pages.Account) error {
	return v.Store.View(ctx, func(tx store.Tx) (err error) {
		if page.RecoveryCodes, err = tx.CountRecoveryCodes(v.user.ID); err != nil {
			return err
		}
		identities, err := tx.IdentitiesOf(v.user.ID)
		if err != nil {
			return err
		}
		page.Externals = nil
		for _, i := range identities {
			page.Externals = append(page.Externals, pages.AccountExternal{
				ID: identityID(i), Provider: v.ExternalName(i.External), Name: i.Name, Created: i.Created, LastUsed: i.LastUsed,
			})
		}
		page.PendingEmail, err = v.Accounts.PendingEmail(tx, v.user.ID)
		return err
	})
}

// sessionID returns the id of a session on the page. The sid is not used, because
// applications know it.
func sessionID(sid string) string { return shortHash("session", sid) }

// identityID returns the id of a linked account on the page.
func identityID(i store.Identity) string { return shortHash(i.External, i.Issuer, i.Subject) }

func shortHash(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hex.EncodeToString(hash.Sum(nil)[:12])
}
