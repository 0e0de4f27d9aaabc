package oidcrp_test

import (
	"strconv"
	"strings"
	"testing"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
)

// frame is a Caddyfile with the placeholder HERE.
type frame string

// with replaces HERE with the text, and returns the Caddyfile and the line where the
// text begins.
func (f frame) with(text string) (caddyfile string, line int) {
	before, after, _ := strings.Cut(string(f), "HERE")
	return before + text + after, strings.Count(before, "\n") + 1
}

// The frames of options.
const (
	inSite = frame(`a.example {
	oidc_rp {
		HERE
	}
}`)
	inProvider = frame(`a.example {
	oidc_rp {
		provider corp {
			HERE
		}
	}
}`)
	inSession = frame(`a.example {
	oidc_rp {
		session {
			HERE
		}
	}
}`)
	inGlobal = frame(`{
	oidc_rp {
		HERE
	}
}`)
	inGlobalProvider = frame(`{
	oidc_rp {
		provider corp {
			HERE
		}
	}
}`)
	inGlobalSession = frame(`{
	oidc_rp {
		session {
			HERE
		}
	}
}`)
	inGlobalCookie = frame(`{
	oidc_rp {
		session {
			cookie {
				HERE
			}
		}
	}
}`)
)

// The error about an unknown word suggests the word that was probably meant, and names
// the file and the line.
func TestUnknownWordsGetAHint(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		place      frame
		text, hint string
	}{
		{inSite, "isuer https://login.example.com", "did you mean 'issuer'?"},
		{inSite, "clientid rp", "did you mean 'client_id'?"},
		{inSite, "client-secret x", "did you mean 'client_secret'?"},
		{inSite, "scope openid", "did you mean 'scopes'?"},
		{inSite, "signedout /", "did you mean 'signed_out'?"},
		{inSite, "privat /x", "did you mean 'private'?"},
		{inSite, "Public /x", "did you mean 'public'?"},
		{inSite, "lifetime 1h", "it is an option of session"},
		{inSite, "same_site lax", "it is an option of session { cookie { … } }"},
		{inSite, "header X-User email", "it is an option of upstream"},
		{inSite, "frobnicate", ""},
		{inSite, "unauthenticated redirekt", "did you mean 'redirect'?"},
		{inSite, "userinfo alway", "did you mean 'always'?"},
		{inSite, "pkce of", "did you mean 'off'?"},
		{inSite, "client_auth private_key", "did you mean 'private_key_jwt'?"},
		{inSite, "id_token_algs RS265", "did you mean 'RS256'?"},
		{inGlobalProvider, "token_endpiont https://login.example.com", "did you mean 'token_endpoint'?"},
		{inGlobalProvider, "public /x", "it is an option of a site"},
		{inGlobal, "providers corp", "did you mean 'provider'?"},
		{inGlobal, "client_id rp", "it is an option of a provider"},
		{inSession, "life_time 1h", "did you mean 'lifetime'?"},
		{inSession, "domain a.example", "it is an option of session { cookie { … } }"},
		{inSession, "store memroy", "did you mean 'memory'?"},
		{`a.example {
			oidc_rp {
				session {
					store memory {
						HERE
					}
				}
			}
		}`, "max_record 1", "did you mean 'max_records'?"},
		{`a.example {
			oidc_rp {
				session {
					store redis {
						HERE
					}
				}
			}
		}`, "adress 127.0.0.1:6379", "did you mean 'address'?"},
		{inGlobalCookie, "samesite lax", "did you mean 'same_site'?"},
		{inGlobalCookie, "same_site nome", "did you mean 'none'?"},
		{`a.example {
			oidc_rp {
				upstream {
					HERE
				}
			}
		}`, "acces_token", "did you mean 'access_token'?"},
		{`a.example {
			oidc_rp {
				tls {
					HERE
				}
			}
		}`, "client_cert a b", ""},
		{`a.example {
			HERE {
				issuer https://login.example.com
				client_id rp
			}
		}`, "oidc_rp publick", "did you mean 'public'?"},
		{`{
			oidc_rp {
				provider corp {
					issuer https://login.example.com
					client_id rp
				}
			}
		}
		a.example {
			oidc_rp {
				HERE
			}
		}`, "provider copr", "did you mean 'corp'?"},
	} {
		text, line := tc.place.with(tc.text)
		_, err := adapt(text)
		if err == nil {
			t.Errorf("%s: expected an error, seen none", tc.text)
			continue
		}
		if hinted := strings.Contains(err.Error(), "did you mean") || strings.Contains(err.Error(), "it is an option of"); hinted != (tc.hint != "") {
			t.Errorf("%s: expected a hint %t, seen %v", tc.text, tc.hint != "", err)
		}
		if !strings.Contains(err.Error(), tc.hint) {
			t.Errorf("%s: expected the hint %q, seen %v", tc.text, tc.hint, err)
		}
		holdLine(t, err, line)
	}
}

// holdLine checks that an error names a line of the Caddyfile.
func holdLine(t *testing.T, err error, line int) {
	t.Helper()
	if m := filePlace.FindString(err.Error()); !strings.HasSuffix(m, ":"+strconv.Itoa(line)) {
		t.Errorf("got %q, want line %d", err, line)
	}
}

// An error about several lines together names the later line. An error about one line
// names that line.
func TestErrorsNameTheLineThatIsWrong(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{
		`{
			oidc_rp {
				provider corp {
					issuer https://login.example.com
					client_id rp
				}
			}
		}
		a.example {
			oidc_rp {
				home /x
				provider corp
				scopes openid
			}
		}`: 13,
		`{
			oidc_rp {
				provider corp {
					issuer https://login.example.com
					client_id rp
				}
			}
		}
		a.example {
			oidc_rp {
				home /x
				scopes openid
				provider corp
			}
		}`: 13,
		`{
			oidc_rp {
				provider corp {
					issuer https://login.example.com
					client_id rp
				}
			}
		}
		a.example {
			oidc_rp {
				scopes openid
				home /x
				default_provider corp
			}
		}`: 13,
		`a.example {
			oidc_rp {
				client_id rp
				issuer http://login.example.com
				home /x
			}
		}`: 4,
		`a.example {
			oidc_rp {
				issuer https://login.example.com
				client_id rp
				token_endpoint /token
				home /x
			}
		}`: 5,
		`a.example {
			oidc_rp {
				issuer https://login.example.com
				client_id rp
				redirect_path x
				home /x
			}
		}`: 5,
		`a.example {
			oidc_rp {
				issuer https://login.example.com
				client_id rp
				client_auth client_secret_post
				home /x
			}
		}`: 5,
		`a.example {
			oidc_rp {
				provider corp {
					issuer https://login.example.com
					client_id rp
					clock_skew 11m
				}
				home /x
			}
		}`: 6,
		`{
			oidc_rp {
				provider corp {
					issuer https://login.example.com
					client_id rp
					authorization_params {
						prompt login
						max_age x
						b c
					}
					scopes openid
				}
			}
		}`: 8,
		`a.example {
			oidc_rp {
				session {
					cookie {
						insecure
						same_site none
					}
					lifetime 1h
				}
			}
		}`: 6,
		`a.example {
			oidc_rp {
				session {
					lifetime 1s
					rotate 1d
				}
			}
		}`: 4,
		`a.example {
			oidc_rp endpoints {
				issuer https://login.example.com
				client_id rp
				home /x
				private /a
				home /b
			}
		}`: 6,
		`a.example {
			oidc_rp endpoints {
				issuer https://login.example.com
				client_id rp
				upstream {
					access_token
				}
			}
		}`: 5,
		`a.example {
			oidc_rp endpoints {
				issuer https://login.example.com
				unauthenticated deny
				client_id rp
			}
		}`: 4,
		`a.example {
			oidc_rp endpoints {
				issuer https://login.example.com
				preflight pass
				client_id rp
			}
		}`: 4,
		`a.example {
			oidc_rp {
				issuer https://login.example.com
				client_id rp
				upstream {
					header X-A a
					header Host b
					header X-C c
				}
			}
		}`: 7,
	} {
		_, err := adapt(text)
		if err == nil {
			t.Errorf("accepted:\n%s", text)
			continue
		}
		holdLine(t, err, line)
	}
}

// An unknown store is not a typing error if this project has it and the binary lacks
// it: the message says how to get it.
func TestWhatIsSaidOfAStoreThatIsNotThere(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"redis":   "build it with another --with github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis",
		"shoebox": "there is no module oidc_rp.session_stores.shoebox in this Caddy",
	} {
		if got := oidcrp.UnknownStore(kind); !strings.Contains(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
