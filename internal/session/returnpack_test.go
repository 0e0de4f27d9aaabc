package session

import (
	"strings"
	"testing"
)

// A long return address is compressed.
func TestALongReturnAddressIsPackedInATransaction(t *testing.T) {
	t.Parallel()
	kibana := "/app/dashboards?_g=(filters:!(),refreshInterval:(pause:!t,value:60000),time:(from:now-15m,to:now))&_a=(panels:!(" +
		strings.Repeat("(embeddableConfig:(enhancements:()),gridData:(h:15,i:'5dc2',w:24,x:0,y:0),id:'2f3a',panelIndex:'5dc2',type:lens),", 20) + "))"
	for _, location := range []string{"", "/x", "/" + strings.Repeat("x", plainReturn-1), "/" + strings.Repeat("x", plainReturn), kibana, "/?" + strings.Repeat("x", MaxReturn-2)} {
		begun := NewTransaction()
		begun.Provider, begun.Return = "corp", location
		encoded := begun.Encode()
		var read Transaction
		if err := read.Decode(encoded); err != nil || read.Return != location {
			t.Fatalf("%d bytes come back as %d: %v", len(location), len(read.Return), err)
		}
		if len(location) <= plainReturn && encoded[0] != transactionVersion {
			t.Errorf("%d bytes need version %d", len(location), encoded[0])
		}
		if len(location) > plainReturn && len(encoded) > 700 {
			t.Errorf("%d bytes take %d", len(location), len(encoded))
		}
	}
}

func TestAPackedReturnAddressIsBounded(t *testing.T) {
	t.Parallel()
	if _, ok := unpackReturn(packReturn(strings.Repeat("x", MaxReturn+1))); ok {
		t.Error("one byte too many is unpacked")
	}
	if _, ok := unpackReturn(packReturn(strings.Repeat("x", 10<<20))); ok {
		t.Error("a bomb is unpacked")
	}
	for _, broken := range []string{"", "x", "\xff\xff", packReturn("/page")[:3]} {
		if location, ok := unpackReturn(broken); ok {
			t.Errorf("%q is unpacked to %q", broken, location)
		}
	}
}

func FuzzUnpackReturn(f *testing.F) {
	f.Add(packReturn("/page"))
	f.Add(packReturn(strings.Repeat("/x", 9000)))
	f.Fuzz(func(t *testing.T, packed string) {
		location, ok := unpackReturn(packed)
		if !ok {
			return
		}
		if len(location) > MaxReturn {
			t.Fatalf("%d bytes", len(location))
		}
		again, ok := unpackReturn(packReturn(location))
		if !ok {
			t.Fatalf("expected %q to come back, seen an error", location)
		}
		if again != location {
			t.Fatalf("expected %q to come back, seen %q", location, again)
		}
	})
}
