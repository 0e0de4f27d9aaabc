package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sockets are the open connections of a link, so that they can be closed
// whatever the library is doing with them.
type sockets struct {
	mu   sync.Mutex
	open map[*socket]struct{}
	shut bool
}

type socket struct {
	net.Conn
	owner *sockets
}

func (s *sockets) add(conn net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		conn.Close()
		return nil, errClosed
	}
	if s.open == nil {
		s.open = make(map[*socket]struct{})
	}
	added := &socket{conn, s}
	s.open[added] = struct{}{}
	return added, nil
}

// Close closes the connection and forgets it.
func (s *socket) Close() error {
	s.owner.mu.Lock()
	delete(s.owner.open, s)
	s.owner.mu.Unlock()
	return s.Conn.Close()
}

// drop closes all connections. With forever set there are no others.
func (s *sockets) drop(forever bool) {
	s.mu.Lock()
	open := s.open
	s.open, s.shut = nil, s.shut || forever
	s.mu.Unlock()
	for conn := range open {
		conn.Conn.Close()
	}
}

// dial connects to a server, or a Sentinel.
func (l *link) dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	conn, err := l.open(ctx, address, dialer, config)
	if err != nil {
		return nil, err
	}
	// In a cluster replicas pass every question on to their master.
	if !l.settings.Cluster && dialer.KeepAlive != sentinelPingEvery {
		err = l.greet(conn)
		if err == nil && l.settings.Master != "" {
			err = l.confirm(ctx, address)
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
	}
	conn.SetDeadline(time.Time{})
	return l.sockets.add(conn)
}

// open opens a connection, which has a deadline.
func (l *link) open(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, l.settings.Network, address)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(l.settings.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	if config == nil {
		return conn, nil
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

var (
	errReplica = errors.New("the server is a replica, which takes no records")
	errNoRESP3 = errors.New("the server does not speak the protocol RESP3: Redis 6 or Valkey is needed")
)

// greet makes sure that a server is a master. The library connects again by
// itself, and a server may have changed its role since: what a replica knows
// may be old.
func (l *link) greet(conn net.Conn) error {
	fields, err := askOn(conn, bufio.NewReader(conn), hello(l.settings.Username, l.settings.Password)...)
	if err != nil {
		return err
	}
	if role, given := field(fields, "role"); given && role != "master" {
		return errReplica
	}
	return nil
}

func hello(user, password string) []string {
	if password == "" {
		return []string{"HELLO", "2"}
	}
	if user == "" {
		user = "default"
	}
	return []string{"HELLO", "2", "AUTH", user, password}
}

// askOn sends a command and reads the answer.
func askOn(conn net.Conn, r *bufio.Reader, words ...string) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	// A server that refuses the connection says why before it is asked, and
	// hangs up: what it said is worth more than that writing failed.
	_, writing := io.WriteString(conn, b.String())
	fields, err := readReply(r, 0)
	if refusal := refused(""); err != nil && writing != nil && !errors.As(err, &refusal) {
		err = writing
	}
	return fields, err
}

// field returns a value of an answer that is pairs of names and values.
func field(fields []string, name string) (value string, given bool) {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == name {
			return fields[i+1], true
		}
	}
	return "", false
}

// refused is what a server answered instead.
type refused string

func (r refused) Error() string { return string(r) }

// readReply reads the answer to HELLO: pairs of names and values. Of a list
// within only its place is kept.
func readReply(r *bufio.Reader, depth int) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" || depth > 4 {
		return nil, errors.New("the answer is not Redis'")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '-':
		if strings.HasPrefix(strings.ToLower(rest), "err unknown command") {
			return nil, errNoRESP3
		}
		return nil, refused(rest)
	case '+', ':':
		return []string{rest}, nil
	}
	count, err := strconv.Atoi(rest)
	if err != nil || count < -1 || count > 1<<16 {
		return nil, errors.New("the answer is not Redis'")
	}
	switch {
	case kind == '$' && count >= 0:
		text := make([]byte, count+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		return []string{string(text[:count])}, nil
	case kind == '*' && count >= 0:
		var fields []string
		for range count {
			field, err := readReply(r, depth+1)
			if err != nil {
				return nil, err
			}
			if len(field) != 1 {
				field = []string{""}
			}
			fields = append(fields, field...)
		}
		return fields, nil
	}
	return []string{""}, nil
}
