package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file explains why a provider cannot be reached, and what to do about it.

// within is how long a check waits for an answer.
const within = 10 * time.Second

// expiresSoon is the fraction 1/expiresSoon of a certificate's lifetime: certificates
// that expire within it are reported. Automatic renewal usually happens earlier, when
// a third of the lifetime is left.
const expiresSoon = 8

// day is the layout of the dates of certificates.
const day = "2006-01-02"

// trouble explains an error of the network, and what to do about it. ok is false
// for any other error.
func trouble(err error, now time.Time) (message, remedy string, ok bool) {
	for _, explain := range []func(error, time.Time) (string, string){explainName, explainCertificate, explainRefused, explainTimeout} {
		if message, remedy = explain(err, now); message != "" {
			return message, remedy, true
		}
	}
	return "", "", false
}

func explainName(err error, _ time.Time) (message, remedy string) {
	var name *net.DNSError
	switch {
	case !errors.As(err, &name):
		return "", ""
	case name.IsNotFound:
		return fmt.Sprintf("there is no host %s", name.Name), "Check the issuer for a typo, and look up the host with this machine's name server."
	}
	return fmt.Sprintf("the name server did not answer for %s", name.Name), "Check the name server of this machine."
}

func explainCertificate(err error, now time.Time) (message, remedy string) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "the certificate is from an authority that this machine does not trust", "Add the authority's certificate with tls { ca <file> }."
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate is for %s, and not for %s", namesOf(name.Certificate), name.Host),
			"Write the issuer with a name that its certificate has, or have the provider get one for this name."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return "the certificate is not valid before " + invalid.Cert.NotBefore.Format(day), "Check the clock of this machine, and then the provider's certificate."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate expired on " + invalid.Cert.NotAfter.Format(day), "Have the provider's certificate renewed. If it is valid, check the clock of this machine."
	case errors.As(err, &invalid):
		return "the certificate cannot be used: " + invalid.Error(), "Have the provider's certificate replaced."
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the answer is not TLS", "Check the port of the issuer. A provider without TLS has an issuer with http://, which needs the option insecure, except on loopback."
	}
	return "", ""
}

// namesOf lists the first three names that a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no host"
	case len(names) > 3:
		names = append(names[:3:3], "…")
	}
	return strings.Join(names, ", ")
}

func explainRefused(err error, _ time.Time) (message, remedy string) {
	at := ""
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Addr != nil {
		at = " at " + dial.Addr.String()
	}
	const start = "Check that the provider is running, and the host and port of the issuer."
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens" + at + " (connection refused)", start
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the provider cannot be reached" + at + " (unreachable)", "Check the network and the firewall. If you need a proxy to reach it, set proxy."
	case errors.Is(err, syscall.ECONNRESET):
		return "the connection was reset" + at, start
	}
	return "", ""
}

func explainTimeout(err error, _ time.Time) (message, remedy string) {
	var network net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout() {
		return fmt.Sprintf("there was no answer within %s", within), "Check the provider and the firewall. If you need a proxy to reach it, set proxy."
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted", ""
	}
	return "", ""
}

// checkConnection reports how the provider was reached. It returns false if it was
// not.
func (e *Examination) checkConnection(i *op.Inspection, now time.Time) bool {
	const name = "connection"
	for _, err := range []error{i.Err, i.KeysErr} {
		if err == nil {
			continue
		}
		if message, remedy, ok := trouble(err, now); ok {
			e.fail(name, message, remedy)
			return false
		}
	}
	switch {
	case i.TLS != nil && len(i.TLS.PeerCertificates) > 0:
		from, until := i.TLS.PeerCertificates[0].NotBefore, i.TLS.PeerCertificates[0].NotAfter
		message := fmt.Sprintf("%s, the certificate is valid until %s", tls.VersionName(i.TLS.Version), until.Format(day))
		if until.Sub(now) < until.Sub(from)/expiresSoon {
			e.warn(name, message, "Have the provider's certificate renewed.")
		} else {
			e.ok(name, message)
		}
	case i.TLS == nil && i.Address != "" && !isLocal(i.Address):
		e.warn(name, "without TLS, so anyone on the network path can sign in as anyone", "Give the provider TLS, and remove insecure.")
	case !i.Date.IsZero():
		e.ok(name, "without TLS")
	}
	return true
}

// isLocal reports whether an address is on this machine.
func isLocal(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	origin, ok := address.FromRequest(u.Scheme, u.Host)
	return ok && origin.Loopback()
}
