package redis

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// pretendSentinel is a Sentinel that names a master. If master is the text of an error,
// it answers with that.
func pretendSentinel(t *testing.T, master string, epoch int) (address string) {
	t.Helper()
	host, port, _ := strings.Cut(master, ":")
	answers := map[string]string{
		"HELLO":                   "*2\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n",
		"GET-MASTER-ADDR-BY-NAME": fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port),
		"MASTER":                  fmt.Sprintf("*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n:%d\r\n", epoch),
	}
	if strings.HasPrefix(master, "-") {
		answers["HELLO"] = master + "\r\n"
	}
	return listen(t, func(conn net.Conn) {
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			fmt.Fprint(conn, answers[lines.Text()])
		}
	})
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	type opinions []opinion
	const here, there = "10.0.0.1:6379", "10.0.0.2:6379"
	for name, row := range map[string]struct {
		sentinels opinions
		want      error
	}{
		"all agree":                     {opinions{{here, 3}, {here, 3}, {here, 3}}, nil},
		"one has not heard of it":       {opinions{{there, 3}, {here, 4}, {there, 3}}, nil},
		"one has heard of another":      {opinions{{here, 3}, {there, 4}, {here, 3}}, errDeposed},
		"the first to know came last":   {opinions{{here, 3}, {here, 3}, {there, 4}}, errDeposed},
		"the others refuse":             {opinions{{"-NOAUTH", 0}, {here, 3}, {"-NOAUTH", 0}}, nil},
		"all refuse":                    {opinions{{"-NOAUTH", 0}, {"-NOAUTH", 0}}, errUncertain},
		"another port of the same host": {opinions{{"10.0.0.1:6380", 3}}, errDeposed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := settings{Network: "tcp", Master: "m", Timeout: 10 * time.Second}
			for _, o := range row.sentinels {
				c.Addresses = append(c.Addresses, pretendSentinel(t, o.master, o.epoch))
			}
			if err := newLink(c).confirm(t.Context(), here); !errors.Is(err, row.want) {
				t.Errorf("expected %v, seen %v", row.want, err)
			}
		})
	}
	t.Run("no Sentinel answers", func(t *testing.T) {
		t.Parallel()
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		c := settings{Network: "tcp", Master: "m", Timeout: 200 * time.Millisecond, Addresses: []string{silent.Addr().String(), "127.0.0.1:1"}}
		if err := newLink(c).confirm(t.Context(), here); !errors.Is(err, errUncertain) {
			t.Errorf("got %v", err)
		}
	})
}
