package flow

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// readForm reads only the requested fields, with the same values as Go's parser, and
// only from a body that is labelled as a form and is not too large.
func FuzzReadForm(f *testing.F) {
	const kind = "application/x-www-form-urlencoded"
	for _, body := range []string{"state=s&code=c", "state=a&state=b", "%73tate=%2b+", "state", "=&state=%", "x=1;state=s", strings.Repeat("x=1&", 100) + "state=s", ""} {
		f.Add(kind, body)
		f.Add(kind+"; charset=x", body)
		f.Add("multipart/form-data; boundary=x", body)
	}
	f.Add("application/x-www-form-urlencoded; x", "state=s")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		const most = 300
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header["Content-Type"] = []string{contentType}
		form, err := readForm(r, most, "state", "code")
		if err != nil {
			if form != nil {
				t.Errorf("%q: expected nothing beside an error, seen %v", body, form)
			}
			return
		}
		if len(body) > most {
			t.Errorf("expected an error of a body with %d bytes, seen none", len(body))
		}
		again := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		again.Header["Content-Type"] = []string{contentType}
		if again.ParseForm() != nil {
			return // Go refuses some forms that browsers send
		}
		want := url.Values{}
		for _, name := range []string{"state", "code"} {
			if values := again.PostForm[name]; values != nil {
				want[name] = values
			}
		}
		if !reflect.DeepEqual(form, want) {
			t.Errorf("%q, %q: expected %v, seen %v", contentType, body, want, form)
		}
	})
}

// Whatever the cookie that counts logins contains, there are few logins, all of the
// last minute.
func FuzzReadRepeats(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	whole := binary.AppendVarint(nil, now.Unix()-1)
	f.Add(whole)
	f.Add(binary.AppendVarint(whole, now.Unix()-59))
	f.Add(binary.AppendVarint(whole, now.Unix()+3600))
	f.Add(append(whole, 0xff))
	f.Add(binary.AppendVarint(nil, -1<<63))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		begun := readRepeats(plain, now)
		if len(begun) > maxRepeats {
			t.Errorf("expected %d at most, seen %d", maxRepeats, len(begun))
		}
		var again []byte
		for _, at := range begun {
			if at <= now.Unix()-60 || at >= now.Unix()+60 {
				t.Errorf("expected a time of the last minute, seen %d", at)
			}
			again = binary.AppendVarint(again, at)
		}
		if same := readRepeats(again, now); !reflect.DeepEqual(same, begun) {
			t.Errorf("%v comes back as %v", begun, same)
		}
	})
}

// A path belongs to an endpoint only if it is the prefix or below it. Its parts
// together are the rest of the path.
func FuzzCutEndpoint(f *testing.F) {
	for _, path := range []string{"/@app/auth/corp/login", "/@app/auth", "/@app/auth/", "/@app/authx/corp", "/@app/auth//login", "/@app/auth/corp/a/b", "/", "", "/@APP/auth/corp"} {
		f.Add(path)
	}
	in := &Instance{Options: Options{Endpoints: "/@app/auth"}}
	f.Fuzz(func(t *testing.T, path string) {
		id, name, found := in.CutEndpoint(path)
		if is := path == in.Endpoints || strings.HasPrefix(path, in.Endpoints+"/"); is != found {
			t.Errorf("%q: expected an endpoint %v, seen %v", path, is, found)
		}
		if strings.Contains(id, "/") {
			t.Errorf("%q: expected an id without a slash, seen %q", path, id)
		}
		if !found {
			return
		}
		if rest := strings.TrimPrefix(path, in.Endpoints); strings.Trim(id+"/"+name, "/") != strings.Trim(rest, "/") {
			t.Errorf("%q: expected the parts to make it up, seen %q and %q", path, id, name)
		}
	})
}

// withoutError removes only the error parameter from an address.
func FuzzWithoutError(f *testing.F) {
	for _, location := range []string{
		"/a?auth_error=server_error&x=1", "/a?x=1&auth_error=server_error#f", "/a?auth_error=nothing", "/a?x=auth_error=server_error", "/a#?auth_error=server_error", "/a?auth_error=server_error", "?&auth_error=server_error&", "",
	} {
		f.Add(location)
	}
	f.Fuzz(func(t *testing.T, location string) {
		got := withoutError(location)
		if withoutError(got) != got {
			t.Errorf("%q: expected %q to stay, seen %q", location, got, withoutError(got))
		}
		before, _, _ := strings.Cut(location, "?")
		if !strings.HasPrefix(got, strings.TrimSuffix(before, "#")) {
			t.Errorf("%q: expected the same path, seen %q", location, got)
		}
		_, fragment, has := strings.Cut(location, "#")
		if _, kept, still := strings.Cut(got, "#"); has != still || fragment != kept {
			t.Errorf("%q: expected the same fragment, seen %q", location, got)
		}
	})
}
