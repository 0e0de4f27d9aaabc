package idp

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

//go:embed pages
var pageFiles embed.FS

// pages are the templates, by file name.
var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// loginPage is what login.html shows.
type loginPage struct {
	Request            string // the id of the open login
	Site               string // host of the site that asked for it
	Username, Password string // what the fields hold already
	Wrong              bool   // the last try failed
	Users              []User
}

// showLogin asks for user name and password, or goes on at once if the browser
// has a session here.
func (p *provider) showLogin(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("request")
	req, err := p.storage.AuthRequestByID(r.Context(), id)
	if err != nil {
		p.showGone(w)
		return
	}
	if req.Done() {
		p.goOn(w, r, id)
		return
	}
	page := p.loginPage(req)
	for _, user := range p.config.Users {
		if user.Username == r.URL.Query().Get("fill") {
			page.Username, page.Password = user.Username, user.Password
		}
	}
	render(w, http.StatusOK, "login.html", page)
}

// answerLogin takes user name and password, or the user's wish to cancel.
func (p *provider) answerLogin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<14)
	id := r.PostFormValue("request")
	req, err := p.storage.AuthRequestByID(r.Context(), id)
	if err != nil {
		p.showGone(w)
		return
	}
	if r.PostFormValue("cancel") != "" {
		_ = p.storage.DeleteAuthRequest(r.Context(), id)
		op.AuthRequestError(w, r, req, oidc.ErrAccessDenied().WithDescription("The user cancelled the sign-in."), p.op)
		return
	}
	user := p.storage.authenticate(r.PostFormValue("username"), r.PostFormValue("password"))
	if user == nil {
		page := p.loginPage(req)
		page.Username, page.Wrong = r.PostFormValue("username"), true
		render(w, http.StatusUnauthorized, "login.html", page)
		return
	}
	session, err := p.storage.signIn(r.Context(), id, user)
	if err != nil {
		p.showGone(w)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	p.goOn(w, r, id)
}

// loginPage returns the page of an open login.
func (p *provider) loginPage(req op.AuthRequest) loginPage {
	page := loginPage{Request: req.GetID(), Users: p.config.Users}
	if site, err := url.Parse(req.GetRedirectURI()); err == nil {
		page.Site = site.Host
	}
	if open, ok := req.(*request); ok {
		page.Username = open.asked.LoginHint
	}
	return page
}

// goOn sends the browser to the library's endpoint that hands out the code.
func (p *provider) goOn(w http.ResponseWriter, r *http.Request, id string) {
	ctx := op.ContextWithIssuer(context.WithoutCancel(r.Context()), p.config.Issuer)
	http.Redirect(w, r, op.AuthCallbackURL(p.op)(ctx, url.QueryEscape(id)), http.StatusSeeOther)
}

// showGone says that there is no such login.
func (p *provider) showGone(w http.ResponseWriter) {
	render(w, http.StatusBadRequest, "gone.html", p.config)
}

// showHome says what this is and who is signed in here.
func (p *provider) showHome(w http.ResponseWriter, r *http.Request) {
	render(w, http.StatusOK, "home.html", struct {
		Config
		User *User
	}{p.config, p.storage.currentUser(r.Context())})
}

func (p *provider) showStylesheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(p.config.Stylesheet)
}

// render writes a page whole or not at all.
func render(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		slog.Error("rendering a page of the provider", "page", name, "error", err)
		http.Error(w, "This page is broken.", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}
