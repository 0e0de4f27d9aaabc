package pages

import (
	"encoding/json"
	"time"
)

// Samples returns samples of all pages, both with and without data. All templates must be
// able to render them.
func Samples() []Page {
	passkey := &Passkey{Options: json.RawMessage(`{"publicKey":{"challenge":"AAAA"}}`), Action: "/signin/passkey", Autofill: true}
	common := Common{App: "Wiki", Hidden: map[string]string{"csrf": "token"}}
	wrong := func(field string) Common {
		c := common
		c.Problems = []Problem{Wrong(field, "password.wrong"), Wrong("", "csrf.problem")}
		c.Notice = Text{Key: "notice.saved"}
		return c
	}
	rules := []Text{{"rule.min_length", map[string]string{"min": "12"}}, {Key: "rule.names"}}
	const uri = "otpauth://totp/Example:alice?secret=JBSWY3DPEHPK3PXP&issuer=Example"
	day := time.Date(2026, 5, 4, 12, 30, 0, 0, time.UTC)
	all := []Page{
		&UserName{}, &UserName{Common: wrong(FieldUserName), Action: "/signin", Value: "alice", Externals: []External{{"partners", "Partners"}, {"github", "GitHub"}}, Passkey: passkey, NoAccounts: true},
		&Password{}, &Password{Common: wrong(FieldPassword), Action: "/signin/password", User: "alice", Code: true, OtherURL: "/signin", ResetURL: "/reset", RecoveryURL: "/signin/recovery", Remember: true, Passkey: passkey},
		&Password{Common: common, User: "alice", CodeRequired: true, Code: true}, &Password{Common: common, User: "alice", Recovery: true}, &Password{Common: common, User: "alice", Code: true, Resync: true}, &Password{Code: true, ResyncURL: "/signin/resync"},
		&Factor{}, &Factor{Common: wrong(FieldCode), Action: "/signin/factor", User: "alice", Code: true, RecoveryURL: "/signin/recovery", OtherURL: "/signin", Remember: true, Passkey: passkey}, &Factor{Recovery: true}, &Factor{Code: true, ResyncURL: "/signin/resync"},
		&Chooser{}, &Chooser{Common: common, Action: "/signin/chooser", User: "alice", Name: "Alice Adams"}, &Chooser{Common: common, User: "alice", External: "Partners"}, &Chooser{Common: common, User: "alice", External: "Partners", Replaces: "bob"},
		&MailedCode{}, &MailedCode{Common: wrong(FieldCode), Action: "/signin/code", Email: "a…@example.com", ResendURL: "/signin/code/again", Valid: 10 * time.Minute}, &MailedCode{Common: common, NoMail: true, LaterURL: "/signin/later"},
		&EnrolChoice{}, &EnrolChoice{Common: common, Action: "/signin/enrol", Kinds: []string{"totp", "hotp", "passkey"}, Required: true, Later: true},
		&EnrolCode{Kind: "hotp"}, &EnrolCode{Common: wrong(FieldCode), Action: "/signin/enrol", Kind: "totp", URI: uri, Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", Label: "Phone", Cancel: "/account"},
		&EnrolPasskey{}, &EnrolPasskey{Common: common, Passkey: *passkey, Label: "Laptop", Cancel: "/account"},
		&RecoveryCodes{}, &RecoveryCodes{Common: common, Action: "/signin/next", Codes: []string{"ABCD-EFGH-JKLM", "NPQR-STUV-WXYZ"}},
		&LinkAccount{}, &LinkAccount{Common: common, Action: "/signin/link", External: "Partners", User: "alice@partners.example"},
		&Resync{}, &Resync{Common: wrong(FieldCode), Action: "/account/resync", User: "alice", Cancel: "/account"},
		&SignOut{}, &SignOut{Common: common, Action: "/end_session", User: "alice"}, &SignedOut{}, &SignedOut{Common: common, SignInURL: "/account"},
		&FormPost{}, &FormPost{Action: "https://wiki.example.net/callback", Origin: "https://wiki.example.net", Fields: map[string]string{"code": "c"}},
		&Continue{URL: "/"}, &Continue{URL: "https://wiki.example.net/callback?code=c"},
		NotFound(), WrongMethod(), BadRequest("invalid_request", "the redirect URI is not one of the client's"), Expired(), Forged(), Forbidden(), ExternalFailed("saml"), NoAccount("Partners"), Unavailable(5 * time.Second), Busy(time.Minute), Failed(), &Error{Key: "expired", Hint: true, Link: "/account", LinkKey: "button.retry"},
		&ResetRequest{}, &ResetRequest{Common: wrong(FieldUserName), Action: "/reset", SignInURL: "/account"}, &ResetRequest{Sent: true, Valid: 30 * time.Minute}, &ResetRequest{NoMail: true},
		&Rename{}, &Rename{Common: common, Action: "/account/rename", ID: "f1", Value: "Phone", Cancel: "/account"}, &Rename{Common: wrong(FieldName), Person: true},
		&EmailChange{}, &EmailChange{Common: wrong(FieldEmail), Action: "/account/email", Value: "a@example.com", Cancel: "/account"},
		&Account{}, &Account{
			Common: wrong(""), User: "alice", Name: "Alice Adams", Email: "alice@example.com", PendingEmail: "new@example.com", HasPassword: true, Changed: day, RecoveryCodes: 7, CanMail: true,
			Factors: []AccountFactor{{"f1", "totp", "Phone", day, day}, {"f2", "hotp", "", day, time.Time{}}, {"f3", "passkey", "Laptop", day, day}}, Kinds: []string{"totp", "hotp", "passkey"},
			Sessions:  []AccountSession{{"s1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "192.0.2.7", day, day, true}, {"s2", "curl/8", "2001:db8::1", day, day, false}},
			Externals: []AccountExternal{{"partners", "Partners", "alice@partners.example", day, day}, {"github", "GitHub", "alice", day, time.Time{}}},
			NameURL:   "/account/name", PasswordURL: "/account/password", EmailURL: "/account/email",
		},
	}
	for _, reason := range []string{"due", "reset", "operator", "change"} {
		all = append(all, &NewPassword{Common: wrong(FieldNewPassword), Action: "/signin/newpassword", User: "alice", Reason: reason, Current: true, Rules: rules, Cancel: "/account"})
	}
	for _, kind := range []string{"reset", "invite", "first_user", "email", "undo", "enrol"} {
		all = append(all, &Link{Common: common, Action: "/reset", Kind: kind})
	}
	for _, kind := range []string{"invite", "first_user"} {
		all = append(all, &Register{Common: wrong(FieldUserName), Action: "/invite", Kind: kind, User: "alice", Name: "Alice Adams", Email: "a@example.com", EmailFixed: kind == "invite", Rules: rules})
	}
	for _, key := range messages {
		all = append(all, &Message{Common: common, Key: key, Values: map[string]string{"email": "a@example.com"}, Link: "/account", LinkKey: "button.account"})
	}
	for _, key := range confirmations {
		all = append(all, &Confirm{Common: common, Action: "/account/remove", Key: key, Values: map[string]string{"name": "Phone", "email": "a@example.com"}, Cancel: "/account"})
	}
	return all
}

// messages and confirmations are the keys of Message and Confirm pages.
var (
	messages      = []string{"email_sent", "email_changed", "email_restored", "password_set", "registered"}
	confirmations = []string{"remove_factor", "new_codes", "unlink", "unmet"}
)
