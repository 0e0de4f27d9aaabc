package pages

// Templates, titles, scripts and focused fields of the pages.

func (*UserName) Template() string      { return "username" }
func (*Password) Template() string      { return "password" }
func (*Factor) Template() string        { return "factor" }
func (*Chooser) Template() string       { return "chooser" }
func (*MailedCode) Template() string    { return "mailedcode" }
func (*EnrolChoice) Template() string   { return "enrolchoice" }
func (*EnrolCode) Template() string     { return "enrol" }
func (*EnrolPasskey) Template() string  { return "passkey" }
func (*RecoveryCodes) Template() string { return "recoverycodes" }
func (*NewPassword) Template() string   { return "newpassword" }
func (*Resync) Template() string        { return "resync" }
func (*LinkAccount) Template() string   { return "linkaccount" }
func (*SignOut) Template() string       { return "signout" }
func (*SignedOut) Template() string     { return "signedout" }
func (*FormPost) Template() string      { return "formpost" }
func (*Continue) Template() string      { return "continue" }
func (*Error) Template() string         { return "error" }
func (*ResetRequest) Template() string  { return "reset" }
func (*Link) Template() string          { return "link" }
func (*Register) Template() string      { return "register" }
func (*Message) Template() string       { return "message" }
func (*Confirm) Template() string       { return "confirm" }
func (*Account) Template() string       { return "account" }
func (*EmailChange) Template() string   { return "email" }
func (*Rename) Template() string        { return "rename" }

func (p *UserName) TitleKey() string {
	if p.App != "" {
		return "username.title_app"
	}
	return "username.title"
}
func (p *MailedCode) TitleKey() string {
	if p.NoMail {
		return "enrol.title"
	}
	return "mailedcode.title"
}
func (*Password) TitleKey() string      { return "password.title" }
func (*Factor) TitleKey() string        { return "factor.title" }
func (*Chooser) TitleKey() string       { return "chooser.title" }
func (*EnrolChoice) TitleKey() string   { return "enrol.title" }
func (p *EnrolCode) TitleKey() string   { return "enrol." + p.Kind + ".title" }
func (*EnrolPasskey) TitleKey() string  { return "enrol.passkey.title" }
func (*RecoveryCodes) TitleKey() string { return "recoverycodes.title" }
func (*NewPassword) TitleKey() string   { return "newpassword.title" }
func (*Resync) TitleKey() string        { return "resync.title" }
func (*LinkAccount) TitleKey() string   { return "linkaccount.title" }
func (*SignOut) TitleKey() string       { return "signout.title" }
func (*SignedOut) TitleKey() string     { return "signedout.title" }
func (*FormPost) TitleKey() string      { return "continue.title" }
func (*Continue) TitleKey() string      { return "continue.title" }
func (p *Error) TitleKey() string       { return p.Key + ".title" }
func (*ResetRequest) TitleKey() string  { return "reset.title" }
func (p *Link) TitleKey() string        { return "link." + p.Kind + ".title" }
func (p *Register) TitleKey() string    { return "register." + p.Kind + ".title" }
func (p *Message) TitleKey() string     { return p.Key + ".title" }
func (p *Confirm) TitleKey() string     { return p.Key + ".title" }
func (*Account) TitleKey() string       { return "account.title" }
func (*EmailChange) TitleKey() string   { return "email.title" }
func (p *Rename) TitleKey() string {
	if p.Person {
		return "rename.person.title"
	}
	return "rename.title"
}

const (
	passkeyScript = "passkey.js"
	submitScript  = "submit.js"
	linkScript    = "link.js"
	codesScript   = "codes.js"
)

func (p *UserName) script() string    { return onlyWith(p.Passkey) }
func (p *Password) script() string    { return onlyWith(p.Passkey) }
func (p *Factor) script() string      { return onlyWith(p.Passkey) }
func (*EnrolPasskey) script() string  { return passkeyScript }
func (*RecoveryCodes) script() string { return codesScript }
func (*FormPost) script() string      { return submitScript }
func (*Link) script() string          { return linkScript }
func (*ResetRequest) script() string  { return linkScript }

func onlyWith(passkey *Passkey) string {
	if passkey == nil {
		return ""
	}
	return passkeyScript
}

func (p *FormPost) origin() string { return p.Origin }

func (*UserName) focus() string     { return FieldUserName }
func (*Password) focus() string     { return FieldPassword }
func (*MailedCode) focus() string   { return FieldCode }
func (*Resync) focus() string       { return FieldCode }
func (*ResetRequest) focus() string { return FieldUserName }
func (*EmailChange) focus() string  { return FieldEmail }
func (*Rename) focus() string       { return FieldLabel }
func (*Register) focus() string     { return FieldUserName }
func (p *NewPassword) focus() string {
	if p.Current {
		return FieldPassword
	}
	return FieldNewPassword
}

func (p *Factor) focus() string {
	if p.Recovery {
		return FieldRecovery
	}
	return FieldCode
}

func (p *Message) key() string               { return p.Key }
func (p *Message) values() map[string]string { return p.Values }
func (p *Confirm) key() string               { return p.Key }
func (p *Confirm) values() map[string]string { return p.Values }

// Browser returns the browser and system of a session, as far as the User-Agent tells.
func (s AccountSession) Browser() string { return browserName(s.UserAgent) }
