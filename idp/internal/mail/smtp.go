package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// timeout is the time limit for sending one mail.
const timeout = 30 * time.Second

// Server describes the mail server, as configured by the operator.
type Server struct {
	// URL is smtp://host[:port], which uses STARTTLS, or smtps://host[:port]. Default
	// ports: 587 and 465.
	URL string
	// TLS is TLSVerify or, for a server on this machine, TLSAuto or TLSOff. Default:
	// TLSAuto for a server on this machine, otherwise TLSVerify.
	TLS string
	// From is the sender, such as «Example <login@example.com>».
	From string
	// Username and Password authenticate us to the server. They may be empty.
	Username, Password string
}

// Values of Server.TLS.
const (
	// TLSVerify requires TLS and a certificate that is valid for the server's name.
	TLSVerify = "verify"
	// TLSAuto uses STARTTLS if the server offers it, with any certificate. Certificates
	// of mail servers are rarely valid for localhost, and anyone who could intercept the
	// connection on the same machine could read the mail anyway.
	TLSAuto = "auto"
	// TLSOff never uses STARTTLS.
	TLSOff = "off"
)

// SMTP is a Sender that uses an SMTP server.
type SMTP struct {
	from    *netmail.Address
	host    string
	options []gomail.Option
}

// Open checks the configuration and returns a Sender. It does not connect.
func (s Server) Open() (*SMTP, error) {
	from, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("mail: from must be an address such as «Example <login@example.com>», got '%s'", s.From)
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("mail: the server must be a URL such as smtp://mail.example.com:587 or smtps://mail.example.com")
	}
	if u.User != nil {
		return nil, errors.New("mail: the user name and the password are separate options, not a part of the URL")
	}
	secured, port, err := s.transport(u)
	if err != nil {
		return nil, err
	}
	options := []gomail.Option{gomail.WithTimeout(timeout), gomail.WithPort(port), gomail.WithHELO(helo(from.Address)), gomail.WithoutNoop()}
	options = append(options, secured...)
	if s.Username != "" {
		options = append(options, gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
		if u.Scheme == "smtp" && isLoopback(u.Hostname()) {
			options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthPlainNoEnc))
		} else {
			options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover))
		}
	}
	client := &SMTP{from: from, host: u.Hostname(), options: options}
	_, err = gomail.NewClient(client.host, options...)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return client, nil
}

// transport returns the options that secure the connection, and the port.
func (s Server) transport(u *url.URL) (options []gomail.Option, port int, err error) {
	config := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	security, err := s.security(u)
	switch {
	case err != nil:
		return nil, 0, err
	case u.Scheme == "smtps":
		options, port = []gomail.Option{gomail.WithSSL()}, 465
	case security == TLSOff:
		options, port = []gomail.Option{gomail.WithTLSPolicy(gomail.NoTLS)}, 587
	case security == TLSAuto:
		config.InsecureSkipVerify = true
		options, port = []gomail.Option{gomail.WithTLSPolicy(gomail.TLSOpportunistic)}, 587
	default:
		options, port = []gomail.Option{gomail.WithTLSPolicy(gomail.TLSMandatory)}, 587
	}
	options = append(options, gomail.WithTLSConfig(config))
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return nil, 0, fmt.Errorf("mail: the server's port must be from 1 to 65535, got '%s'", u.Port())
		}
	}
	return options, port, nil
}

// security returns the value of TLS or its default. Mails contain links that give access
// to accounts, so they are never sent to another machine without TLS.
func (s Server) security(u *url.URL) (string, error) {
	local := u.Scheme == "smtp" && isLoopback(u.Hostname())
	switch {
	case u.Scheme != "smtp" && u.Scheme != "smtps":
		return "", fmt.Errorf("mail: the server's URL must begin with smtp:// or smtps://, got '%s'", u.Scheme)
	case s.TLS == "" && local:
		return TLSAuto, nil
	case s.TLS == "" || s.TLS == TLSVerify:
		return TLSVerify, nil
	case s.TLS != TLSAuto && s.TLS != TLSOff:
		return "", fmt.Errorf("mail: tls must be verify, auto or off, got '%s'", s.TLS)
	case !local:
		return "", fmt.Errorf("mail: tls %s is only for smtp:// and a server on this machine", s.TLS)
	}
	return s.TLS, nil
}

// isLoopback reports whether a host name or address is this machine's loopback.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

// helo returns the name for the SMTP greeting: the sender's domain, so as not to reveal
// the name of this machine.
func helo(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return "localhost"
}

// Send sends one mail over its own connection.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	message, err := s.message(m)
	if err != nil {
		return err
	}
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, message)
	var refused *gomail.SendError
	if errors.As(err, &refused) { // the error's text contains the address
		if !refused.IsTemp() && refused.ErrorCode() >= 500 {
			return fmt.Errorf("%w: the server says %d", ErrPermanent, refused.ErrorCode())
		}
		return fmt.Errorf("mail server: it says %d %s", refused.ErrorCode(), refused.EnhancedStatusCode())
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return fmt.Errorf("mail server: %w", network)
	}
	return err
}

// message returns the mail with its headers. Values from elsewhere are reduced to one
// line before they become headers.
func (s *SMTP) message(m Message) (*gomail.Msg, error) {
	if err := checkAddress(m.To); err != nil {
		return nil, err
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(s.from)
	message.ToMailAddress(&netmail.Address{Address: m.To})
	message.Subject(line(m.Subject, 200))
	message.SetDate()
	message.SetMessageIDWithValue(messageID(s.from.Address))
	// Automatic responders must not reply (RFC 3834, section 5).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetGenHeader("X-Auto-Response-Suppress", "All")
	message.SetBodyString(gomail.TypeTextPlain, body(m.Body))
	return message, nil
}
