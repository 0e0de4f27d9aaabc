package mail

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// received is a mail that the fake server has received.
type received struct {
	from   string
	to     []string
	data   string
	secure bool
	user   string // authenticated by AUTH
}

// read returns the headers and the decoded text.
func (r received) read(t *testing.T) (header netmail.Header, text string) {
	t.Helper()
	message, err := netmail.ReadMessage(strings.NewReader(r.data))
	if err != nil {
		t.Fatal(err)
	}
	body := message.Body
	if message.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	decoded, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return message.Header, strings.ReplaceAll(string(decoded), "\r\n", "\n")
}

// fakeServer is a mail server on the loopback interface.
type fakeServer struct {
	listener net.Listener
	tls      *tls.Config // if set, the server offers STARTTLS
	// answer is the reply to RCPT. The default is 250.
	answer string

	mu    sync.Mutex
	mails []received
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{listener: listener, answer: "250 ok"}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go f.serve(connection)
		}
	}()
	return f
}

func (f *fakeServer) url() string { return "smtp://" + f.listener.Addr().String() }

func (f *fakeServer) all() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]received(nil), f.mails...)
}

func (f *fakeServer) serve(connection net.Conn) {
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(time.Minute))
	var mail received
	in := bufio.NewReader(connection)
	say := func(line string) { fmt.Fprintf(connection, "%s\r\n", line) }
	say("220 fake ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-fake")
			if f.tls != nil && !mail.secure {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN LOGIN")
		case "STARTTLS":
			say("220 go on")
			secured := tls.Server(connection, f.tls)
			if secured.Handshake() != nil {
				return
			}
			connection, in, mail.secure = secured, bufio.NewReader(secured), true
		case "AUTH":
			mail.user = rest
			say("235 ok")
		case "MAIL":
			mail.from = rest
			say("250 ok")
		case "RCPT":
			mail.to = append(mail.to, rest)
			say(f.answer)
		case "DATA":
			say("354 go on")
			mail.data = readData(in)
			f.mu.Lock()
			f.mails = append(f.mails, mail)
			f.mu.Unlock()
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func readData(in *bufio.Reader) string {
	var data strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return data.String()
		}
		data.WriteString(strings.TrimPrefix(line, "."))
	}
}

func open(t *testing.T, s Server) *SMTP {
	t.Helper()
	if s.From == "" {
		s.From = "Example <login@example.com>"
	}
	sender, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func TestAMailIsPlainText(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	sender := open(t, Server{URL: server.url(), Username: "login", Password: "secret"})
	text := "Grüße,\n\nhttps://login.example.com/reset#abc\n.\n-- \nÄÖ\n"
	if err := sender.Send(t.Context(), Message{To: "alice@example.net", Subject: "Ihr Paßwort", Body: text}); err != nil {
		t.Fatal(err)
	}
	mails := server.all()
	if len(mails) != 1 {
		t.Fatalf("expected one mail, seen %d", len(mails))
	}
	header, body := mails[0].read(t)
	if body != text {
		t.Errorf("expected the text %q, seen %q", text, body)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || subject != "Ihr Paßwort" {
		t.Errorf("expected the subject, seen %q, %v", subject, err)
	}
	for field, want := range map[string]string{
		"From": `"Example" <login@example.com>`, "To": "<alice@example.net>", "Auto-Submitted": "auto-generated", "Content-Type": "text/plain; charset=UTF-8", "User-Agent": "", "X-Mailer": "",
	} {
		if got := header.Get(field); got != want {
			t.Errorf("%s: expected %q, seen %q", field, want, got)
		}
	}
	if got := header.Get("Message-ID"); !strings.HasSuffix(got, "@example.com>") {
		t.Errorf("expected a Message-ID of the sender's domain, seen %q", got)
	}
	if got := fmt.Sprint(mails[0].to); got != "[TO:<alice@example.net>]" {
		t.Errorf("expected one recipient, seen %s", got)
	}
	if mails[0].user == "" {
		t.Error("expected a sign-in at the server, seen none")
	}
}

func TestNoHeaderIsInjected(t *testing.T) {
	t.Parallel()
	const bcc = "Bcc: mallory@evil.example"
	for name, hostile := range map[string]string{
		"CR LF": "a\r\n" + bcc, "LF": "a\n" + bcc, "CR": "a\r" + bcc, "line separator": "a\u2028" + bcc, "paragraph separator": "a\u2029" + bcc, "next line": "a\u0085" + bcc,
		"end of headers": "a\r\n\r\n" + bcc, "encoded word": "=?utf-8?q?a=0D=0ABcc:_mallory@evil.example?=", "encoded word, base64": "=?utf-8?b?YQ0KQmNjOiBtYWxsb3J5QGV2aWwuZXhhbXBsZQ==?=", "NUL": "a\x00" + bcc,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			if err := open(t, Server{URL: server.url()}).Send(t.Context(), Message{To: "alice@example.net", Subject: hostile, Body: "text\n"}); err != nil {
				t.Fatal(err)
			}
			mail := server.all()[0]
			header, body := mail.read(t)
			if header.Get("Bcc") != "" || body != "text\n" || len(mail.to) != 1 {
				t.Errorf("expected one recipient and no other header, seen %q", mail.data)
			}
			for _, line := range strings.Split(mail.data, "\r\n") {
				if strings.ContainsAny(line, "\r\n\u2028\u2029\u0085\x00") {
					t.Errorf("expected lines without other ends, seen %q", line)
				}
			}
		})
	}
}

func TestOneAddressIsOneRecipient(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	sender := open(t, Server{URL: server.url()})
	for _, address := range []string{
		"alice@example.net, mallory@evil.example", "alice@example.net\r\nRCPT TO:<mallory@evil.example>", "Alice <alice@example.net>", "alice@example.net>\r\nDATA", "alice", "", "<alice@example.net>",
		"alice@example.net\u2028", "group: alice@example.net;", strings.Repeat("a", 250) + "@example.net", "\u202ealice@example.net",
	} {
		if err := sender.Send(t.Context(), Message{To: address, Subject: "s", Body: "b\n"}); !errors.Is(err, ErrPermanent) {
			t.Errorf("%q: expected that it is refused, seen %v", address, err)
		}
	}
	if mails := server.all(); len(mails) != 0 {
		t.Errorf("expected no mail, seen %d", len(mails))
	}
}

func TestRefusedRecipientsAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	for answer, permanent := range map[string]bool{"550 5.1.1 alice@example.net is not here": true, "451 4.3.0 later": false} {
		server := newFakeServer(t)
		server.answer = answer
		err := open(t, Server{URL: server.url()}).Send(t.Context(), Message{To: "alice@example.net", Subject: "s", Body: "b\n"})
		if err == nil || errors.Is(err, ErrPermanent) != permanent {
			t.Errorf("%s: expected a permanent error %v, seen %v", answer, permanent, err)
		}
		if err != nil && strings.Contains(err.Error(), "alice") {
			t.Errorf("%s: expected an error without the address, seen %v", answer, err)
		}
	}
}

// redirected makes a sender connect to the fake server instead of another host.
func redirected(s *SMTP, server *fakeServer, config *tls.Config) *SMTP {
	s.options = append(s.options, gomail.WithTLSConfig(config), gomail.WithDialContextFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.listener.Addr().String())
	}))
	return s
}

func TestOtherHostsNeedTLS(t *testing.T) {
	t.Parallel()
	certificate, roots := selfSigned(t, "mail.example.com")
	for name, row := range map[string]struct {
		offers  bool
		trusted *x509.CertPool
		sent    bool
	}{
		"a server without STARTTLS":           {false, roots, false},
		"a server with STARTTLS":              {true, roots, true},
		"a server with another's certificate": {true, x509.NewCertPool(), false},
	} {
		server := newFakeServer(t)
		if row.offers {
			server.tls = &tls.Config{Certificates: []tls.Certificate{certificate}}
		}
		sender := redirected(open(t, Server{URL: "smtp://mail.example.com"}), server, &tls.Config{ServerName: "mail.example.com", RootCAs: row.trusted})
		err := sender.Send(t.Context(), Message{To: "alice@example.net", Subject: "s", Body: "b\n"})
		if (err == nil) != row.sent {
			t.Errorf("%s: expected that it is sent %v, seen %v", name, row.sent, err)
		}
		if mails := server.all(); row.sent && (len(mails) != 1 || !mails[0].secure) {
			t.Errorf("%s: expected one mail by TLS, seen %v", name, mails)
		} else if !row.sent && len(mails) > 0 {
			t.Errorf("%s: expected no mail, seen %v", name, mails)
		}
	}
}

// By default, a server on this machine gets mail with STARTTLS if it offers that, whatever
// its certificate: the certificates of relays are often self-signed or for another name.
func TestAServerOnThisMachine(t *testing.T) {
	t.Parallel()
	certificate, _ := selfSigned(t, "relay.example.com")
	for name, row := range map[string]struct {
		tls           string
		offers        bool
		sent, secured bool
	}{
		"without STARTTLS":                          {"", false, true, false},
		"with STARTTLS":                             {"", true, true, true},
		"with STARTTLS, where tls is auto":          {TLSAuto, true, true, true},
		"with STARTTLS, where tls is off":           {TLSOff, true, true, false},
		"with a wrong name, where it is verified":   {TLSVerify, true, false, false},
		"without STARTTLS, where TLS is to be used": {TLSVerify, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			if row.offers {
				server.tls = &tls.Config{Certificates: []tls.Certificate{certificate}}
			}
			sender := open(t, Server{URL: server.url(), TLS: row.tls, Username: "login", Password: "secret"})
			err := sender.Send(t.Context(), Message{To: "alice@example.net", Subject: "s", Body: "b\n"})
			if (err == nil) != row.sent {
				t.Errorf("expected that it is sent %v, seen %v", row.sent, err)
			}
			if mails := server.all(); len(mails) > 0 && mails[0].secure != row.secured {
				t.Errorf("expected TLS %v, seen %v", row.secured, mails[0].secure)
			}
		})
	}
}

func selfSigned(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func TestOptionsOfTheServer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		server Server
		want   string
	}{
		"no sender":        {Server{URL: "smtp://mail.example.com", From: "login"}, "mail: from must be an address"},
		"no URL":           {Server{URL: "mail.example.com", From: "a@example.com"}, "mail: the server must be a URL"},
		"another scheme":   {Server{URL: "http://mail.example.com", From: "a@example.com"}, "mail: the server's URL must begin with smtp://"},
		"tls unknown":      {Server{URL: "smtp://localhost", From: "a@example.com", TLS: "on"}, "mail: tls must be verify, auto or off"},
		"tls off afar":     {Server{URL: "smtp://mail.example.com", From: "a@example.com", TLS: TLSOff}, "mail: tls off is only for smtp:// and a server on this machine"},
		"tls auto afar":    {Server{URL: "smtps://localhost", From: "a@example.com", TLS: TLSAuto}, "mail: tls auto is only for smtp:// and a server on this machine"},
		"a path":           {Server{URL: "smtp://mail.example.com/x", From: "a@example.com"}, "mail: the server must be a URL"},
		"a user":           {Server{URL: "smtp://a:b@mail.example.com", From: "a@example.com"}, "mail: the user name and the password are separate options"},
		"a port too large": {Server{URL: "smtp://mail.example.com:99999", From: "a@example.com"}, "mail: the server's port"},
		"a sender's trick": {Server{URL: "smtp://mail.example.com", From: "a@example.com\r\nBcc: b@example.com"}, "mail: from must be an address"},
		"STARTTLS":         {Server{URL: "smtp://mail.example.com:587", From: "Example <a@example.com>"}, ""},
		"TLS":              {Server{URL: "smtps://mail.example.com", From: "Example <a@example.com>", Username: "u", Password: "p"}, ""},
	} {
		_, err := row.server.Open()
		if row.want == "" {
			if err != nil {
				t.Errorf("%s: expected no error, seen %v", name, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: expected %q…, seen %v", name, row.want, err)
		}
	}
}
