package mail

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Kind is the kind of a mail. The keys of its texts begin with "mail." and the kind.
type Kind string

// The kinds of mails, with the fields of Letter that they use: links and codes requested
// by users, and notices of what has happened.
const (
	Reset  Kind = "reset"  // Link, Code, Until
	Invite Kind = "invite" // Link, Code, Until; no User
	Enrol  Kind = "enrol"  // Code, Until
	Email  Kind = "email"  // Link, Code, Until; to the new address

	EmailChanged    Kind = "email_changed" // Link, Code, Until to undo it; to the old address
	PasswordChanged Kind = "password_changed"
	FactorAdded     Kind = "factor_added"   // Name
	FactorRemoved   Kind = "factor_removed" // Name
	RecoveryUsed    Kind = "recovery_used"
	RecoveryMade    Kind = "recovery_made"
	Locked          Kind = "locked"   // Until
	Linked          Kind = "linked"   // Provider
	Unlinked        Kind = "unlinked" // Provider
	OperatorReset   Kind = "operator_reset"
)

// isNotice reports whether a mail is a notice of something that has happened, possibly
// without the user's involvement.
func (k Kind) isNotice() bool {
	switch k {
	case Reset, Invite, Enrol, Email:
		return false
	}
	return true
}

// Letter is the content of a mail.
type Letter struct {
	Kind Kind
	To   string
	// User is the user whose account the mail is about, or nil if there is none yet. The
	// user's name is shown only if the address has been verified as the user's. Otherwise
	// our mails could carry any text to anyone.
	User     *store.User
	Language string    // of the reader; default: the user's language
	Link     string    // the complete URL, with the secret in its fragment
	Code     string    // for users without JavaScript to type
	Until    time.Time // expiry of Link and Code, or end of a lock
	At       time.Time // when the event happened
	Name     string    // of a factor
	Provider string    // name of an external provider
}

// Writer turns letters into messages.
type Writer struct {
	Texts   *locale.Catalogue
	Site    string // the name of the site
	Account string // the URL of the account page
	Contact string // may be empty
}

// Write returns a letter as a message in the reader's language.
func (w Writer) Write(l Letter) (Message, error) {
	sheet := sheet{Writer: w, letter: l, language: w.Texts.Choose(w.language(l), nil)}
	subject := sheet.text("mail." + string(l.Kind) + ".subject")
	sheet.content()
	if sheet.err != nil {
		return Message{}, fmt.Errorf("write a mail: %w", sheet.err)
	}
	return Message{To: l.To, Subject: subject, Body: strings.Join(sheet.paragraphs, "\n\n") + "\n"}, nil
}

func (w Writer) language(l Letter) string {
	if l.Language == "" && l.User != nil {
		return l.User.Language
	}
	return l.Language
}

// sheet is a letter being written.
type sheet struct {
	Writer
	letter     Letter
	language   *locale.Language
	paragraphs []string
	err        error
}

func (s *sheet) content() {
	l := s.letter
	if name := s.name(); name != "" {
		s.add("mail.hello")
	} else {
		s.add("mail.hello_stranger")
	}
	s.add("mail." + string(l.Kind) + ".text")
	if l.Link != "" {
		if l.Kind == EmailChanged {
			s.add("mail.email_changed.undo")
		} else {
			s.add("mail.link")
		}
		s.addPlain(l.Link)
	}
	if l.Code != "" {
		if l.Link != "" {
			s.add("mail.code")
		}
		s.addPlain(l.Code)
	}
	switch {
	case !l.Kind.isNotice():
		s.add("mail.ignore")
	default:
		s.add("mail.not_you")
		s.addPlain(s.text("mail.account") + "\n" + s.Account)
	}
	if s.Contact != "" {
		s.add("mail.contact")
	}
	s.addPlain("-- \n" + s.text("mail.footer"))
}

func (s *sheet) add(key string)       { s.addPlain(s.text(key)) }
func (s *sheet) addPlain(text string) { s.paragraphs = append(s.paragraphs, text) }
func (s *sheet) text(key string) string {
	text, err := s.language.Plain(key, s.value)
	if err != nil && s.err == nil {
		s.err = err
	}
	return text
}

// name returns the user's name as it may be shown to the reader.
func (s *sheet) name() string {
	user := s.letter.User
	if user == nil || !s.isTheirs(user) {
		return ""
	}
	if name := Name(user.DisplayName); name != "" {
		return name
	}
	return Name(user.Name)
}

// isTheirs reports whether the mail is sent to an address that the user has verified.
func (s *sheet) isTheirs(user *store.User) bool {
	if s.letter.Kind == EmailChanged { // sent to the old address
		return true
	}
	return user.EmailVerified && s.letter.To == user.Email
}

func (s *sheet) value(name string) string {
	l := s.letter
	switch name {
	case "user":
		return s.name()
	case "site":
		return line(s.Site, maxName)
	case "contact":
		return line(s.Contact, 200)
	case "name":
		if shown := Name(l.Name); shown != "" {
			return shown
		}
		return "?"
	case "provider":
		return line(l.Provider, maxName)
	case "time":
		at := l.At
		if !l.Until.IsZero() {
			at = l.Until
		}
		return at.UTC().Format("2006-01-02 15:04 UTC")
	}
	return ""
}
