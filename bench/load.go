package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load sends the same request repeatedly over keep-alive connections.
type load struct {
	request []byte
	want    want
	conns   []*conn
}

// want describes the expected response.
type want struct {
	status   string // prefix of the status line
	location string // prefix of the Location header
	body     string
}

func wantOf(status int, issuer string) want {
	w := want{status: fmt.Sprintf("HTTP/1.1 %d ", status)}
	if status == http.StatusOK {
		w.body = "ok"
	} else {
		w.location = issuer
	}
	return w
}

type conn struct {
	net.Conn
	r *bufio.Reader
}

// newLoad opens connections to a server. cookies may be empty.
func newLoad(address, path, cookies string, w want, connections int) (*load, error) {
	l := &load{want: w}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n%s", path, address, navigation)
	if cookies != "" {
		b.WriteString("Cookie: " + cookies + "\r\n")
	}
	l.request = []byte(b.String() + "\r\n")
	for range connections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, &conn{c, bufio.NewReader(c)})
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// run sends the given number of requests, as fast as the server answers. It
// stops a connection at its first unexpected response, and returns these
// errors.
func (l *load) run(requests int) error {
	var left atomic.Int64
	left.Store(int64(requests))
	errs := make([]error, len(l.conns))
	var all sync.WaitGroup
	for i, c := range l.conns {
		all.Go(func() {
			for errs[i] == nil && left.Add(-1) >= 0 {
				errs[i] = c.ask(l.request, &l.want)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// times sends requests one after the other over one connection, and returns
// their durations, sorted.
func (l *load) times(requests int) ([]time.Duration, error) {
	all := make([]time.Duration, requests)
	for i := range all {
		began := time.Now()
		if err := l.conns[0].ask(l.request, &l.want); err != nil {
			return nil, err
		}
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return all, nil
}

// ask sends a request and reads and checks the response.
func (c *conn) ask(request []byte, w *want) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	length, located := -1, w.location == ""
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte(w.status)) {
			return fmt.Errorf("the answer is %q, and not %q", line, w.status)
		}
		if len(line) == 2 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
		if value, found := bytes.CutPrefix(line, []byte("Location: ")); found {
			located = located || bytes.HasPrefix(value, []byte(w.location))
		}
	}
	if length < 0 || !located {
		return errors.New("the answer has no length, or leads elsewhere")
	}
	body, err := c.r.Peek(length)
	if err != nil {
		return err
	}
	if w.body != "" && string(body) != w.body {
		return fmt.Errorf("the body is %q", body)
	}
	_, err = c.r.Discard(length)
	return err
}
