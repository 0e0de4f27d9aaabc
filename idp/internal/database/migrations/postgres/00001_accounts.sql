-- +goose Up
-- Always empty: transactions that write lock it.
CREATE TABLE writers (nothing BOOLEAN);

CREATE TABLE users (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind TEXT COLLATE "C" NOT NULL,
	name TEXT COLLATE "C" NOT NULL,
	email TEXT COLLATE "C" NOT NULL,
	email_verified BOOLEAN NOT NULL,
	display_name TEXT COLLATE "C" NOT NULL,
	given_name TEXT COLLATE "C" NOT NULL,
	family_name TEXT COLLATE "C" NOT NULL,
	language TEXT COLLATE "C" NOT NULL,
	authenticator TEXT COLLATE "C" NOT NULL,
	created BIGINT NOT NULL,
	last_sign_in BIGINT NOT NULL,
	locked BOOLEAN NOT NULL,
	removed BIGINT NOT NULL,
	password_hash TEXT COLLATE "C" NOT NULL,
	password_changed BIGINT NOT NULL,
	password_must_change BOOLEAN NOT NULL,
	password_history TEXT COLLATE "C" NOT NULL,
	must_enrol BOOLEAN NOT NULL,
	sort_key TEXT COLLATE "C" NOT NULL,
	search TEXT COLLATE "C" NOT NULL
);
CREATE INDEX users_list ON users (sort_key, id, kind, removed, search);
CREATE INDEX users_kind ON users (kind, id) WHERE removed = 0;
CREATE INDEX users_removed ON users (removed, id) WHERE removed > 0;

CREATE TABLE names (
	key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX names_user ON names (user_id);

CREATE TABLE groups (
	name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	operator BOOLEAN NOT NULL,
	created BIGINT NOT NULL
);

CREATE TABLE memberships (
	user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	group_name TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, group_name)
);
CREATE INDEX memberships_group ON memberships (group_name, user_id);

CREATE TABLE identities (
	external TEXT COLLATE "C" NOT NULL,
	issuer TEXT COLLATE "C" NOT NULL,
	subject TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	name TEXT COLLATE "C" NOT NULL,
	created BIGINT NOT NULL,
	last_used BIGINT NOT NULL,
	PRIMARY KEY (external, issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE access_keys (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	hash BYTEA NOT NULL UNIQUE,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	last_used BIGINT NOT NULL
);
CREATE INDEX access_keys_user ON access_keys (user_id);

CREATE TABLE factors (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	kind TEXT COLLATE "C" NOT NULL,
	label TEXT COLLATE "C" NOT NULL,
	confirmed BOOLEAN NOT NULL,
	secret BYTEA,
	credential_id BYTEA UNIQUE,
	counter BIGINT NOT NULL,
	created BIGINT NOT NULL,
	last_used BIGINT NOT NULL
);
CREATE INDEX factors_user ON factors (user_id);
CREATE INDEX factors_kind ON factors (kind, confirmed, user_id);

CREATE TABLE recovery_codes (
	user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	hash BYTEA NOT NULL,
	PRIMARY KEY (user_id, hash)
);

CREATE TABLE counters (
	key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	failures BIGINT NOT NULL,
	total BIGINT NOT NULL,
	locks BIGINT NOT NULL,
	until BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX counters_expires ON counters (expires) WHERE expires > 0;

CREATE TABLE sessions (
	sid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	cookie BYTEA NOT NULL UNIQUE,
	user_id TEXT COLLATE "C" NOT NULL,
	created BIGINT NOT NULL,
	auth_time BIGINT NOT NULL,
	amr TEXT COLLATE "C" NOT NULL,
	acr TEXT COLLATE "C" NOT NULL,
	external TEXT COLLATE "C" NOT NULL,
	last_seen BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	user_agent TEXT COLLATE "C" NOT NULL,
	address TEXT COLLATE "C" NOT NULL,
	proven TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE session_clients (
	sid TEXT COLLATE "C" NOT NULL,
	client_id TEXT COLLATE "C" NOT NULL,
	expires BIGINT NOT NULL,
	PRIMARY KEY (sid, client_id)
);
CREATE INDEX session_clients_expires ON session_clients (expires);

CREATE TABLE requests (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	browser BYTEA,
	data BYTEA,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX requests_expires ON requests (expires);

CREATE TABLE tickets (
	kind TEXT COLLATE "C" NOT NULL,
	hash BYTEA NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	data BYTEA,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	PRIMARY KEY (kind, hash)
);
CREATE INDEX tickets_user ON tickets (user_id, kind) WHERE user_id <> '';
CREATE INDEX tickets_expires ON tickets (expires);

CREATE TABLE grants (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	client_id TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	sid TEXT COLLATE "C" NOT NULL,
	code BYTEA UNIQUE,
	code_used BIGINT NOT NULL,
	code_ends BIGINT NOT NULL,
	refresh BYTEA UNIQUE,
	data BYTEA,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	revoked BIGINT NOT NULL
);
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_sid ON grants (sid) WHERE sid <> '';
CREATE INDEX grants_expires ON grants (expires);

CREATE TABLE retired_refresh_tokens (
	hash BYTEA NOT NULL PRIMARY KEY,
	grant_id TEXT COLLATE "C" NOT NULL REFERENCES grants (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	position BIGINT NOT NULL
);
CREATE INDEX retired_refresh_tokens_grant ON retired_refresh_tokens (grant_id, position);

CREATE TABLE tokens (
	hash BYTEA NOT NULL PRIMARY KEY,
	grant_id TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	client_id TEXT COLLATE "C" NOT NULL,
	data BYTEA,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	revoked BIGINT NOT NULL
);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE signing_keys (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	alg TEXT COLLATE "C" NOT NULL,
	sealed BYTEA,
	created BIGINT NOT NULL,
	active BIGINT NOT NULL,
	retires BIGINT NOT NULL
);

CREATE TABLE deliveries (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	client_id TEXT COLLATE "C" NOT NULL,
	user_id TEXT COLLATE "C" NOT NULL,
	sid TEXT COLLATE "C" NOT NULL,
	attempts BIGINT NOT NULL,
	next BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX deliveries_next ON deliveries (next);
CREATE INDEX deliveries_expires ON deliveries (expires);

CREATE TABLE settings (
	key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	value TEXT COLLATE "C" NOT NULL
);
