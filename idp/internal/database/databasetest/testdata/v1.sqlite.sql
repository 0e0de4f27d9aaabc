CREATE TABLE schema_versions (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
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
CREATE TABLE names (
	key TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
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
CREATE TABLE access_keys (
	id TEXT NOT NULL PRIMARY KEY,
	user_id TEXT NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
	hash BLOB NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) STRICT;
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
CREATE TABLE session_clients (
	sid TEXT NOT NULL,
	client_id TEXT NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (sid, client_id)
) STRICT;
CREATE TABLE requests (
	id TEXT NOT NULL PRIMARY KEY,
	browser BLOB,
	data BLOB,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT;
CREATE TABLE tickets (
	kind TEXT NOT NULL,
	hash BLOB NOT NULL,
	user_id TEXT NOT NULL,
	data BLOB,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (kind, hash)
) STRICT;
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
CREATE TABLE retired_refresh_tokens (
	hash BLOB NOT NULL PRIMARY KEY,
	grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	position INTEGER NOT NULL
) STRICT;
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
CREATE TABLE settings (
	key TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
CREATE INDEX users_list ON users (sort_key, id, kind, removed, search);
CREATE INDEX users_kind ON users (kind, id) WHERE removed = 0;
CREATE INDEX users_removed ON users (removed, id) WHERE removed > 0;
CREATE INDEX names_user ON names (user_id);
CREATE INDEX memberships_group ON memberships (group_name, user_id);
CREATE INDEX identities_user ON identities (user_id);
CREATE INDEX access_keys_user ON access_keys (user_id);
CREATE INDEX factors_user ON factors (user_id);
CREATE INDEX factors_kind ON factors (kind, confirmed, user_id);
CREATE INDEX counters_expires ON counters (expires) WHERE expires > 0;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires);
CREATE INDEX session_clients_expires ON session_clients (expires);
CREATE INDEX requests_expires ON requests (expires);
CREATE INDEX tickets_user ON tickets (user_id, kind) WHERE user_id <> '';
CREATE INDEX tickets_expires ON tickets (expires);
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_sid ON grants (sid) WHERE sid <> '';
CREATE INDEX grants_expires ON grants (expires);
CREATE INDEX retired_refresh_tokens_grant ON retired_refresh_tokens (grant_id, position);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_expires ON tokens (expires);
CREATE INDEX deliveries_next ON deliveries (next);
CREATE INDEX deliveries_expires ON deliveries (expires);
INSERT INTO schema_versions (id, version_id, is_applied, tstamp) VALUES (1, 0, 1, '2026-11-27 01:19:26');
INSERT INTO schema_versions (id, version_id, is_applied, tstamp) VALUES (2, 1, 1, '2026-11-27 01:19:26');
INSERT INTO users (id, kind, name, email, email_verified, display_name, given_name, family_name, language, authenticator, created, last_sign_in, locked, removed, password_hash, password_changed, password_must_change, password_history, must_enrol, sort_key, search) VALUES ('u1', 'person', 'Ada', 'ada@example.com', 1, 'Ada Lovelace', 'Ada', 'Lovelace', 'en-GB', 'admins', 1772366400123456, 1772370000123456, 1, 1772373600123456, '$argon2id$1', 1772366460123456, 1, '["$2","$3"]', 1, 'ada', 'ada
ada lovelace
ada@example.com');
INSERT INTO users (id, kind, name, email, email_verified, display_name, given_name, family_name, language, authenticator, created, last_sign_in, locked, removed, password_hash, password_changed, password_must_change, password_history, must_enrol, sort_key, search) VALUES ('u2', 'person', 'Zoë <&>  "''', '', 0, '', '', '', '', '', 0, 0, 0, 0, '', 0, 0, 'null', 0, 'zoë <&>  "''', 'zoë <&>  "''

');
INSERT INTO names (key, kind, user_id) VALUES ('ada', 'username', 'u1');
INSERT INTO groups (name, operator, created) VALUES ('staff', 1, 1772366400123456);
INSERT INTO memberships (user_id, group_name) VALUES ('u1', 'admins');
INSERT INTO memberships (user_id, group_name) VALUES ('u1', 'staff');
INSERT INTO identities (external, issuer, subject, user_id, name, created, last_used) VALUES ('partners', 'https://idp.example', '42', 'u1', 'ada', 1772366400123456, 0);
INSERT INTO access_keys (id, user_id, hash, created, expires, last_used) VALUES ('k1', 'u1', X'2C70E12B7A0646F92279F427C7B38E7334D8E5389CFF167A1DC30E73F826B683', 1772366400123456, 0, 0);
INSERT INTO factors (id, user_id, kind, label, confirmed, secret, credential_id, counter, created, last_used) VALUES ('f1', 'u1', 'hotp', 'Token', 1, X'0001FE', NULL, 4611686018427387905, 1772366400123456, 0);
INSERT INTO factors (id, user_id, kind, label, confirmed, secret, credential_id, counter, created, last_used) VALUES ('f2', 'u2', 'passkey', '', 1, X'7B7D', X'00FF', 0, 0, 0);
INSERT INTO recovery_codes (user_id, hash) VALUES ('u1', X'5694D08A2E53FFCAE0C3103E5AD6F6076ABD960EB1F8A56577040BC1028F702B');
INSERT INTO counters (key, failures, total, locks, until, updated, expires) VALUES ('password/u1', 3, 0, 0, 1772370000123456, 0, 0);
INSERT INTO sessions (sid, cookie, user_id, created, auth_time, amr, acr, external, last_seen, expires, user_agent, address, proven) VALUES ('s1', X'D7E83E28A04B537E64424546B14CAF9B67BAD2F28DABCE68116E0D372319FA00', 'u1', 1772366400123456, 1772366401123456, '["pwd","otp"]', 'urn:oidc-idp:mfa', 'partners', 1772366460123456, 1772370000123456, 'Firefox', '192.0.2.1', '{"otp":"2026-03-01T12:00:01.123456Z","pwd":"2026-03-01T12:00:00.123456Z"}');
INSERT INTO session_clients (sid, client_id, expires) VALUES ('s1', 'wiki', 1772370000123456);
INSERT INTO requests (id, browser, data, created, expires) VALUES ('r1', NULL, X'7B7D', 0, 0);
INSERT INTO tickets (kind, hash, user_id, data, created, expires) VALUES ('reset', X'14069429150ABCBF244C4C2FB2C4C46A49C93CA9457263ECD9EBB176DE3A58BB', 'u1', X'7B7D', 1772366400123456, 1772370000123456);
INSERT INTO grants (id, client_id, user_id, sid, code, code_used, code_ends, refresh, data, created, expires, revoked) VALUES ('g1', 'wiki', 'u1', 's1', X'5694D08A2E53FFCAE0C3103E5AD6F6076ABD960EB1F8A56577040BC1028F702B', 1772366401123456, 1772366460123456, X'108B9C5DF1362736317750197E69B60B4A45687588A9525F79841A054328C8DE', X'7B7D', 1772366400123456, 1772370000123456, 1772366520123456);
INSERT INTO retired_refresh_tokens (hash, grant_id, position) VALUES (X'B5BAC0CB1025064A069B66A8A42597D244C328ECAD8EFBC30A81D117E0E9F0C5', 'g1', 1);
INSERT INTO retired_refresh_tokens (hash, grant_id, position) VALUES (X'CCDBD43396ECA4124F9A7BCF165E6ADEEAF98B7B96B55D061CC7D7779E276F22', 'g1', 0);
INSERT INTO tokens (hash, grant_id, user_id, client_id, data, created, expires, revoked) VALUES (X'E3B98A4DA31A127D4BDE6E43033F66BA274CAB0EB7EB1C70EC41402BF6273DD8', 'g1', '', '', NULL, 0, 0, 0);
INSERT INTO signing_keys (id, alg, sealed, created, active, retires) VALUES ('kid', 'ES256', X'7365616C6564', 1772366400123456, 0, 0);
INSERT INTO deliveries (id, client_id, user_id, sid, attempts, next, expires) VALUES ('d1', '', '', '', 0, 0, 0);
INSERT INTO settings (key, value) VALUES ('had_account', 'yes');
