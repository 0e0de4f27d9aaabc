package integration_test

import (
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestTry(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	op := oidctest.New(t, oidctest.Lenient())
	op.SignOut()
	for name, text := range map[string]string{
		"host": `app.example.com {
	oidc_rp {
		issuer https://login..example.com
		client_id a
	}
}`,
		"cookie": `app.example.com {
	oidc_rp {
		` + options(op) + `
		session {
			cookie {
				domain example.org
			}
		}
	}
}`,
		"matcher": `app.example.com {
	oidc_rp {
		` + options(op) + `
		public @assets
	}
}`,
		"matcher2": `app.example.com {
	oidc_rp @inside {
		` + options(op) + `
	}
}`,
		"missing": `app.example.com {
	oidc_rp {
		issuer ` + op.Issuer() + `
		client_id a
		client_secret {file.secret.txt}
	}
}`,
		"missing key": `app.example.com {
	oidc_rp {
		issuer ` + op.Issuer() + `
		client_id a
		client_auth private_key_jwt key.pem
	}
}`,
		"plain": `http://app.example.com {
	oidc_rp {
		` + options(op) + `
	}
}`,
		"plain issuer": `http://app.example.com {
	oidc_rp {
		issuer http://login.example.com
		client_id a
	}
}`,
		"placeholder": `http://app.example.com {
	oidc_rp {
		issuer https://login.example.com
		client_id {env.NO_SUCH}
	}
}`,
		"none": `app.example.com {
	oidc_rp
}`,
		"scope": `app.example.com {
	oidc_rp {
		` + options(op) + `
		scopes openid profile groups
		require group admins
	}
}`,
		"anyhost": `:443 {
	oidc_rp {
		` + options(op) + `
		private /x/*
	}
}`,
	} {
		t.Run(name, func(t *testing.T) {
			inFolder(t)
			d := diagnose(t, text)
			t.Errorf("%s", d.text)
		})
	}
}
