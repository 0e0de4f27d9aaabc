package cookie

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const name = "__Host-oidc_rp"

// joined returns the values that header lines contain.
func joined(headers []string, max int) (values []string) {
	found := Find(headers, name)
	return valuesOf(&found, max)
}

func TestFindAndTry(t *testing.T) {
	t.Parallel()
	const first, second, third = name, name + "_1", name + "_2"
	for _, tc := range []struct {
		name    string
		headers []string
		want    []string
	}{
		{"none", nil, nil},
		{"an empty line", []string{""}, nil},
		{"only others", []string{"a=1; b=2"}, nil},
		{"ours alone", []string{name + "=1abc"}, []string{"abc"}},
		{"ours among others", []string{"a=1; " + name + "=1abc; b=2"}, []string{"abc"}},
		{"ours in another line", []string{"a=1", name + "=1abc", "b=2"}, []string{"abc"}},
		{"without a space after the semicolon", []string{"a=1;" + name + "=1abc;b"}, []string{"abc"}},
		{"with odd space", []string{"\t ;; " + name + " =1abc\t ; ;"}, []string{"abc"}},
		{"a value with =", []string{name + "=1a=b="}, []string{"a=b="}},
		{"a name without a value", []string{name, name + ";"}, nil},
		{"an empty value", []string{name + "="}, nil},
		{"a count alone", []string{name + "=1"}, []string{""}},
		{"a quoted value", []string{name + `="1abc"`}, nil},
		{"a name in other case", []string{"__host-OIDC_RP=1abc"}, nil},
		{"a longer name", []string{name + "x=1abc; " + name + "_tx_1=1abc; " + name + "_12=1abc; " + name + "_=1"}, nil},
		{"a shorter name", []string{"oidc_rp=1abc; __Host-oidc_r=1abc"}, nil},
		{"a chunk beyond the most", []string{first + "=2a; " + name + "_4=b; " + name + "_0=c; " + name + "_9=d"}, nil},

		{"two chunks", []string{first + "=2ab; " + second + "=cd"}, []string{"abcd"}},
		{"two chunks the other way round", []string{second + "=cd; " + first + "=2ab"}, []string{"abcd"}},
		{"two chunks in two lines", []string{first + "=2ab", second + "=cd"}, []string{"abcd"}},
		{"a chunk that a larger session has left behind", []string{first + "=1ab; " + second + "=cd"}, []string{"ab"}},
		{"the second chunk alone", []string{second + "=cd"}, nil},
		{"the second chunk missing", []string{first + "=2ab"}, nil},
		{"a gap", []string{first + "=3ab; " + third + "=ef"}, nil},
		{"an empty chunk", []string{first + "=2ab; " + second + "="}, []string{"ab"}},

		{"a count of zero", []string{first + "=0ab"}, nil},
		{"a count over the configured", []string{first + "=4a; " + second + "=b; " + third + "=c; " + name + "_3=d"}, nil},
		{"a count over the most", []string{first + "=5ab; " + second + "=cd"}, nil},
		{"a count that is none", []string{first + "=xab; " + first + "=-1; " + first + "=\xff1; " + first + "= 1"}, nil},

		{"one planted before ours", []string{first + "=1planted; " + first + "=1ours"}, []string{"planted", "ours"}},
		{"one planted after ours", []string{first + "=1ours", first + "=1planted"}, []string{"ours", "planted"}},
		{"three planted before ours", []string{first + "=1a; " + first + "=; " + first + "=2c; " + first + "=1ours"}, []string{"a", "ours"}},
		{"a planted second chunk", []string{second + "=planted; " + first + "=2a; " + second + "=b"}, []string{"aplanted", "ab"}},
		{"chunks of two sessions", []string{first + "=2A; " + first + "=2a; " + second + "=B; " + second + "=b"},
			[]string{"AB", "Ab", "aB", "ab"}},
		{"a count planted above the configured beside ours", []string{first + "=4x; " + first + "=1ours"}, []string{"ours"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := joined(tc.headers, 3); !slices.Equal(got, tc.want) {
				t.Errorf("expected %q, seen %q", tc.want, got)
			}
		})
	}
}

func TestFoundTellsWhatIsToBeExpired(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line    string
		present bool
		chunks  uint8
	}{
		{"", false, 0},
		{"a=1", false, 0},
		{name, false, 0},
		{name + "=", true, 1},
		{name + "_3=x", true, 8},
		{name + "_1=x; " + name + "=junk", true, 3},
	} {
		found := Find([]string{tc.line}, name)
		if found.Present != tc.present || found.Chunks != tc.chunks {
			t.Errorf("Find(%q): present %v, chunks %b", tc.line, found.Present, found.Chunks)
		}
	}
}

func TestTryEndsWithTheFirstThatOpens(t *testing.T) {
	t.Parallel()
	found := Find([]string{name + "=1a; " + name + "=1b; " + name + "=1c"}, name)
	var tried []string
	if !found.Try(1, func(value string) bool {
		tried = append(tried, value)
		return value == "b"
	}) || !slices.Equal(tried, []string{"a", "b"}) {
		t.Errorf("tried %q", tried)
	}
}

func TestThousandsOfCookiesAreTriedAFewTimes(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 4000 {
		lines = append(lines, "a=1; "+ChunkName(name, i%MaxChunks)+"=4"+strings.Repeat("x", i%7))
	}
	if tries := len(joined(lines, MaxChunks)); tries > maxTries {
		t.Errorf("%d tries", tries)
	}
	one := []string{strings.Repeat("x=y; ;;= ;", 20_000) + name + "=1ours"}
	if got := joined(one, 1); !slices.Equal(got, []string{"ours"}) {
		t.Errorf("behind many others: %q", got)
	}
}

func TestSplitAndTryAreInverse(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, ChunkSize - 2, ChunkSize - 1, ChunkSize, 2*ChunkSize - 1, 2 * ChunkSize, 3*ChunkSize - 1, 4*ChunkSize - 1} {
		value := strings.Repeat("v", size)
		chunks, ok := Split(value, MaxChunks)
		if want := size/ChunkSize + 1; !ok || len(chunks) != want {
			t.Errorf("%d bytes: %d chunks, %v; want %d", size, len(chunks), ok, want)
			continue
		}
		var header []string
		for i, chunk := range chunks {
			if len(chunk) > ChunkSize {
				t.Errorf("%d bytes: chunk %d has %d", size, i, len(chunk))
			}
			header = append(header, ChunkName(name, i)+"="+chunk)
		}
		if got := joined([]string{strings.Join(header, "; ")}, MaxChunks); !slices.Equal(got, []string{value}) {
			t.Errorf("%d bytes do not come back", size)
		}
		if _, ok := Split(value, len(chunks)-1); ok {
			t.Errorf("%d bytes fit fewer chunks than they need", size)
		}
	}
	chunks, ok := Split(strings.Repeat("v", 4*ChunkSize), 9)
	if ok {
		t.Error("more than the most chunks: expected a failure, seen none")
	}
	if chunks != nil {
		t.Errorf("more than the most chunks: expected none, seen %d", len(chunks))
	}
}

func TestWithPrefix(t *testing.T) {
	t.Parallel()
	lines := []string{"tx_a=1; b=2; tx_b=; tx_c", "tx_d=4; tx_e=5=6"}
	want := []Named{{"tx_a", "1"}, {"tx_b", ""}, {"tx_d", "4"}, {"tx_e", "5=6"}}
	if got := WithPrefix(lines, "tx_", 10); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for max := range want {
		if got := WithPrefix(lines, "tx_", max); !slices.Equal(got, want[:max]) {
			t.Errorf("at most %d: got %q", max, got)
		}
	}
}

func TestSetLeavesOneCookieOfAName(t *testing.T) {
	t.Parallel()
	header := http.Header{}
	Set(header, &http.Cookie{Name: "a", Value: "1"})
	Set(header, &http.Cookie{Name: "ab", Value: "2"})
	Set(header, &http.Cookie{Name: "a", Value: "3", Path: "/"})
	if got, want := header["Set-Cookie"], []string{"a=3; Path=/", "ab=2"}; !slices.Equal(got, want) {
		t.Errorf("expected %q, seen %q", want, got)
	}
}

// TestFindAllocatesNothing checks the cost of each request. It is not parallel:
// allocations of others would count.
func TestFindAllocatesNothing(t *testing.T) {
	lines := []string{"theme=dark; _ga=GA1.2.3; " + name + "=1" + strings.Repeat("v", 900) + "; lang=de", "x=y"}
	if n := testing.AllocsPerRun(100, func() {
		found := Find(lines, name)
		found.Try(2, func(value string) bool { return len(value) == 900 })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	header := http.Header{"Cookie": {"a=1; b=2"}}
	if n := testing.AllocsPerRun(100, func() { Strip(header, nil, nil, isOurs) }); n != 0 {
		t.Errorf("%v allocations to strip nothing", n)
	}
}
