package op

import (
	"net/netip"
	"testing"
)

// Each spelling of a local address is recognized.
func TestLocalityOfHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]locality{
		"localhost": thisMachine, "LOCALHOST": thisMachine, "localhost.": thisMachine, "localhost..": thisMachine,
		"a.localhost": thisMachine, "a.b.localhost.": thisMachine, "localhost.localdomain": thisMachine, "ip6-localhost": thisMachine,
		"local\u00adhost": thisMachine, "ⓛocalhost": thisMachine,
		"127.0.0.1": thisMachine, "127.0.0.1.": thisMachine, "127.255.1.2": thisMachine,
		"127.1": thisMachine, "127.0.1": thisMachine, "127.1.": thisMachine,
		"0x7f000001": thisMachine, "0X7F000001": thisMachine, "0x7f.1": thisMachine, "0x7f.0.0.0x1": thisMachine,
		"2130706433": thisMachine, "017700000001": thisMachine, "0177.0.0.1": thisMachine, "127.0x1": thisMachine,
		"１２７.0.0.1": thisMachine, "127。0。0。1": thisMachine,
		"0.0.0.0": thisMachine, "0": thisMachine, "0x0": thisMachine, "0.1": thisMachine, "0.0.0.7": thisMachine,
		"::": thisMachine, "::1": thisMachine, "0:0:0:0:0:0:0:1": thisMachine,
		"::ffff:127.0.0.1": thisMachine, "::ffff:7f00:1": thisMachine, "::ffff:0.0.0.0": thisMachine,
		"::127.0.0.1": thisMachine, "::ffff:0:127.0.0.1": thisMachine,
		"64:ff9b::7f00:1": thisMachine, "64:ff9b::127.0.0.1": thisMachine, "64:ff9b:1::7f00:1": thisMachine, "2002:7f00:1::": thisMachine,
		"169.254.169.254": thisLink, "169.254.0.1.": thisLink, "0xa9fea9fe": thisLink, "2852039166": thisLink, "169.16689662": thisLink,
		"fe80::1": thisLink, "fe80::1%eth0": thisLink, "FE80::1": thisLink, "febf::1": thisLink, "::ffff:169.254.169.254": thisLink,
		"64:ff9b::a9fe:a9fe": thisLink, "2002:a9fe:a9fe::1": thisLink,

		"idp.example": 0, "localhost.example": 0, "notlocalhost": 0, "127.0.0.1.example": 0, "a127.1": 0,
		"192.0.2.1": 0, "10.0.0.1": 0, "128.1": 0, "1.2.3.4.5": 0, "256.1.1.1": 0, "0x100000000": 0, "127.0.0.256": 0,
		"08.1.1.1": 0, "0b1": 0, "1_0": 0, "": 0, ".": 0,
		"2001:db8::7f00:1": 0, "::ffff:192.0.2.1": 0, "64:ff9b::c000:201": 0, "2002:c000:201::": 0, "fec0::1": 0, "fd00::1": 0,
	} {
		if got := localityOfHost(host); got != want {
			t.Errorf("%q is taken for %d, and is %d", host, got, want)
		}
	}
}

// Addresses that the standard library considers local are local here too, in any form.
func FuzzLocalityOfHost(f *testing.F) {
	for _, seed := range []string{"127.0.0.1", "::1", "fe80::1%x", "64:ff9b::1", "0x7f.1", "１.２", "xn--a", "127.1.", "%31"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got := localityOfHost(host)
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return
		}
		addr = addr.Unmap()
		if addr.IsLoopback() && got != thisMachine {
			t.Errorf("%q, a loopback address: expected this machine, seen %d", host, got)
		}
		if addr.IsUnspecified() && got != thisMachine {
			t.Errorf("%q, the unspecified address: expected this machine, seen %d", host, got)
		}
		if addr.IsLinkLocalUnicast() && got != thisLink {
			t.Errorf("%q: expected this link, seen %d", host, got)
		}
	})
}
