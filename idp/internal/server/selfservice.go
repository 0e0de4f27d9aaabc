package server

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/selfservice"
)

// makeSelfService makes the self-service pages. If no mail can be sent, the password page
// offers no reset, but tells users whom to ask.
func (s *Server) makeSelfService() error {
	o := selfservice.Options{
		Issuer: s.Issuer.String(), Store: s.Store, Cookies: s.cookies, Sessions: s.Sessions, Pages: s.shown,
		Accounts: s.Accounts, Factors: s.Factors, SignIn: s.SignIn, ExternalName: s.externalName,
		PasswordProblems: passwordProblems, PasswordRules: hashes{s}.Rules, Invites: s.Invites,
		Address: s.Address, Fail: s.fail, Logger: s.Logger, Now: s.Now, Sleep: s.Sleep,
	}
	if s.Mail != nil {
		o.Mail = s.Mail
		s.SignIn.ResetURL = "/reset"
	}
	s.SelfService = selfservice.New(o)
	s.SignIn.Handle(selfservice.Kind, s.SelfService)
	return nil
}

func passwordProblems(broken *accounts.PasswordError) []pages.Problem {
	problems := make([]pages.Problem, 0, len(broken.Failures))
	for _, failure := range broken.Failures {
		problems = append(problems, violation(failure))
	}
	return problems
}

// externalName returns the display name of an external provider. It returns the id of one
// that is no longer in the configuration.
func (s *Server) externalName(id string) string {
	for _, e := range s.Broker.Externals() {
		if e.ID == id {
			return e.Name
		}
	}
	return id
}
