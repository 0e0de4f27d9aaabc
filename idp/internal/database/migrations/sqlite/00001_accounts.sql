-- +goose Up
CREATE TABLE users (
	id TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	email TEXT NOT NULL,
	email_verified INTEGER NOT NULL,
	display_name TEXT NOT NULL,
	given_name TEXT NOT NULL,
	family_name TEXT NOT NULL,
	language TEXT NOT NULL,
	authenticator TEXT NOT NULL,
	created INTEGER NOT NULL,
	last_sign_in INTEGER NOT NULL,
	locked INTEGER NOT NULL,
	removed INTEGER NOT NULL,
	password_hash TEXT NOT NULL,
	password_changed INTEGER NOT NULL,
	password_must_change INTEGER NOT NULL,
	password_history TEXT NOT NULL,
	must_enrol INTEGER NOT NULL,
	sort_key TEXT NOT NULL,
	search TEXT NOT NULL
) STRICT;
CREATE INDEX users_list ON users (sort_key, id, kind, removed, search);
CREATE INDEX users_kind ON users (kind, id) WHERE removed = 0;
CREATE INDEX users_removed ON users (removed, id) WHERE removed > 0;

CREATE TABLE names (
	key TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX names_user ON names (user_id);

CREATE TABLE groups (
	name TEXT NOT NULL PRIMARY KEY,
	operator INTEGER NOT NULL,
	created INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	group_name TEXT NOT NULL,
	PRIMARY KEY (user_id, group_name)
) STRICT;
CREATE INDEX memberships_group ON memberships (group_name, user_id);

CREATE TABLE identities (
	external TEXT NOT NULL,
	issuer TEXT NOT NULL,
	subject TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	name TEXT NOT NULL,
	created INTEGER NOT NULL,
	last_used INTEGER NOT NULL,
	PRIMARY KEY (external, issuer, subject)
) STRICT;
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE access_keys (
	id TEXT NOT NULL PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	hash BLOB NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX access_keys_user ON access_keys (user_id);

CREATE TABLE factors (
	id TEXT NOT NULL PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	kind TEXT NOT NULL,
	label TEXT NOT NULL,
	confirmed INTEGER NOT NULL,
	secret BLOB,
	credential_id BLOB UNIQUE,
	counter INTEGER NOT NULL,
	created INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX factors_user ON factors (user_id);
CREATE INDEX factors_kind ON factors (kind, confirmed, user_id);

CREATE TABLE recovery_codes (
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	hash BLOB NOT NULL,
	PRIMARY KEY (user_id, hash)
) STRICT;

CREATE TABLE counters (
	key TEXT NOT NULL PRIMARY KEY,
	failures INTEGER NOT NULL,
	total INTEGER NOT NULL,
	locks INTEGER NOT NULL,
	until INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT;
CREATE INDEX counters_expires ON counters (expires) WHERE expires > 0;

CREATE TABLE sessions (
	sid TEXT NOT NULL PRIMARY KEY,
	cookie BLOB NOT NULL UNIQUE,
	user_id TEXT NOT NULL,
	created INTEGER NOT NULL,
	auth_time INTEGER NOT NULL,
	amr TEXT NOT NULL,
	acr TEXT NOT NULL,
	external TEXT NOT NULL,
	last_seen INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	user_agent TEXT NOT NULL,
	address TEXT NOT NULL,
	proven TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE session_clients (
	sid TEXT NOT NULL,
	client_id TEXT NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (sid, client_id)
) STRICT;
CREATE INDEX session_clients_expires ON session_clients (expires);

CREATE TABLE requests (
	id TEXT NOT NULL PRIMARY KEY,
	browser BLOB,
	data BLOB,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_expires ON requests (expires);

CREATE TABLE tickets (
	kind TEXT NOT NULL,
	hash BLOB NOT NULL,
	user_id TEXT NOT NULL,
	data BLOB,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (kind, hash)
) STRICT;
CREATE INDEX tickets_user ON tickets (user_id, kind) WHERE user_id <> '';
CREATE INDEX tickets_expires ON tickets (expires);

CREATE TABLE grants (
	id TEXT NOT NULL PRIMARY KEY,
	client_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	sid TEXT NOT NULL,
	code BLOB UNIQUE,
	code_used INTEGER NOT NULL,
	code_ends INTEGER NOT NULL,
	refresh BLOB UNIQUE,
	data BLOB,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	revoked INTEGER NOT NULL
) STRICT;
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_sid ON grants (sid) WHERE sid <> '';
CREATE INDEX grants_expires ON grants (expires);

CREATE TABLE retired_refresh_tokens (
	hash BLOB NOT NULL PRIMARY KEY,
	grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	position INTEGER NOT NULL
) STRICT;
CREATE INDEX retired_refresh_tokens_grant ON retired_refresh_tokens (grant_id, position);

CREATE TABLE tokens (
	hash BLOB NOT NULL PRIMARY KEY,
	grant_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	data BLOB,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	revoked INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE signing_keys (
	id TEXT NOT NULL PRIMARY KEY,
	alg TEXT NOT NULL,
	sealed BLOB,
	created INTEGER NOT NULL,
	active INTEGER NOT NULL,
	retires INTEGER NOT NULL
) STRICT;

CREATE TABLE deliveries (
	id TEXT NOT NULL PRIMARY KEY,
	client_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	sid TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	next INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_next ON deliveries (next);
CREATE INDEX deliveries_expires ON deliveries (expires);

CREATE TABLE settings (
	key TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
