// An identity provider for the end-to-end tests: panva's oidc-provider with the tests' own configuration.
//
// Environment:
//   PORT; IDP_HOST: host name in the issuer, default localhost
//   RP_BASES: origins of the relying parties, separated by spaces
//   RP_IDS: provider IDs in their endpoint paths, default "default op a b"
//   RP_JWKS: file with the relying party's public keys; RP_CERT_CN: name in its certificate
//   RP_ENC_JWKS: the relying party's public keys, for the clients that get encrypted tokens
//   TLS_CERT, TLS_KEY, TLS_CA: files, to serve HTTPS and request client certificates
//   AT_TTL: lifetime of access tokens in seconds, default 3600
//   RESOURCES: origins of resource servers, separated by spaces. A client that names a resource there (RFC 8707) gets a
//     JWT for it, clients may register themselves (RFC 7591), and the client "batch" gets its own tokens.
//
// It accepts any password. The code of every user's second factor is 123456. With acr_values=mfa it asks for the code;
// a user who enters a different one is signed in without the factor, because acr_values is only a request. It listens
// only on 127.0.0.1 and keeps everything in memory, so a restart forgets all sessions and has new keys.
//
// In addition to the protocol: GET /_stats counts requests by path, GET /_events lists what happened, GET /_tokens
// lists all issued tokens and codes, so that a test can search logs for them, and GET /_groups?user=bob&groups=a+b sets
// the groups of a user.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import Provider, { errors, interactionPolicy } from 'oidc-provider';

const E = process.env;
const port = Number(E.PORT);
const tls = !!E.TLS_CERT;
const issuer = `${tls ? 'https' : 'http'}://${E.IDP_HOST || 'localhost'}:${port}`;
const list = (s) => (s || '').split(/\s+/).filter(Boolean);
const ids = list(E.RP_IDS || 'default op a b');
const urls = (endpoint) => list(E.RP_BASES).flatMap((base) => ids.map((id) => `${base}/@app/auth/${id}/${endpoint}`));

// --- clients: one line each; `base` has the default members ------------------------------------------------

const base = {
  client_secret: 'rp-secret-0123456789abcdef0123456789abcdef',
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: [...urls('code'), ...list(E.RP_BASES).map((base) => `${base}/old/callback`)],
  post_logout_redirect_uris: urls('signedout'),
};
const jwks = JSON.parse(E.RP_ENC_JWKS || '{"keys":[]}');
const noSecret = { client_secret: undefined };
const rpJwks = E.RP_JWKS && JSON.parse(readFileSync(E.RP_JWKS, 'utf8'));
const byKey = (alg) => rpJwks && { ...noSecret, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg, jwks: rpJwks };
const fapi = rpJwks && { ...byKey('PS256'), id_token_signed_response_alg: 'PS256', require_pushed_authorization_requests: true, dpop_bound_access_tokens: true };
const mtls = tls && { ...noSecret, token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: `CN=${E.RP_CERT_CN}`, tls_client_certificate_bound_access_tokens: true };
const clients = [
  ['rp', {}],
  ['rp-post', { token_endpoint_auth_method: 'client_secret_post' }],
  ['rp-public', { ...noSecret, token_endpoint_auth_method: 'none' }],
  ['rp-special', { client_secret: 'p@ss:w%rd +&=/?#~0123456789abcdef' }], // Basic must form-encode it (RFC 6749 2.3.1)
  ['rp-bcl', { backchannel_logout_uri: urls('backchannel-logout')[0], backchannel_logout_session_required: true }],
  ['rp-bcl-nosid', { backchannel_logout_uri: urls('backchannel-logout')[0], backchannel_logout_session_required: false }], // ends all sessions of the user
  ['rp-jwt', { token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'HS256' }],
  ['rp-pkjwt', byKey('RS256')],
  ['rp-pkjwt-ps256', byKey('PS256')],
  ['rp-pkjwt-es256', byKey('ES256')],
  ['rp-pkjwt-eddsa', byKey('EdDSA')],
  ['rp-jwks-uri', { ...noSecret, token_endpoint_auth_method: 'private_key_jwt', jwks_uri: urls('jwks')[0] }], // the site publishes its keys
  ['rp-par', { require_pushed_authorization_requests: true }],
  // tokens are bound to a key of the client (RFC 9449); the second client needs a nonce in each proof
  ['rp-dpop', { dpop_bound_access_tokens: true }],
  ['rp-dpop-nonce', { dpop_bound_access_tokens: true }],
  // requests are signed (RFC 9101), by value and pushed
  ['rp-jar', rpJwks && { jwks: rpJwks, require_signed_request_object: true }],
  ['rp-jar-par', rpJwks && { jwks: rpJwks, require_signed_request_object: true, require_pushed_authorization_requests: true }],
  // responses are signed (JARM); those of the last client are also encrypted
  ['rp-jarm', { authorization_signed_response_alg: 'RS256' }],
  ['rp-jarm-es256', { authorization_signed_response_alg: 'ES256' }],
  ['rp-jarm-enc', jwks.keys.length > 0 && { jwks, authorization_signed_response_alg: 'RS256', authorization_encrypted_response_alg: 'RSA-OAEP-256', authorization_encrypted_response_enc: 'A256GCM' }],
  // what FAPI 2.0 requires of a client, without and with signed messages
  ['rp-fapi', fapi],
  ['rp-fapi-signing', fapi && { ...fapi, require_signed_request_object: true, request_object_signing_alg: 'PS256', authorization_signed_response_alg: 'PS256' }],
  ['rp-mtls', mtls],
  ['rp-mtls-self', tls && { ...noSecret, token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks_uri: urls('jwks')[0] }],
  // ID tokens with other algorithms; Ed25519 is the name in RFC 9864
  ...['RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS256'].map((alg) => [`rp-${alg.toLowerCase()}`, { id_token_signed_response_alg: alg }]),
  // encrypted ID tokens, and userinfo as a JWT
  ...(jwks.keys.length ? [
    ['rp-enc', { jwks, id_token_encrypted_response_alg: 'RSA-OAEP-256', id_token_encrypted_response_enc: 'A256GCM' }],
    ['rp-enc-cbc', { jwks, id_token_encrypted_response_alg: 'RSA-OAEP-256', id_token_encrypted_response_enc: 'A128CBC-HS256' }],
    ['rp-enc-ecdh', { jwks, id_token_encrypted_response_alg: 'ECDH-ES+A256KW', id_token_encrypted_response_enc: 'A256GCM' }],
    ['rp-uijwt-enc', { jwks, userinfo_signed_response_alg: 'ES256', userinfo_encrypted_response_alg: 'RSA-OAEP-256', userinfo_encrypted_response_enc: 'A256GCM' }],
  ] : []),
  ['batch', E.RESOURCES && { grant_types: ['client_credentials'], response_types: [], redirect_uris: [], post_logout_redirect_uris: [] }],
  ['rp-uijwt', { userinfo_signed_response_alg: 'RS256' }],
].filter(([, over]) => over).map(([client_id, over]) => defined({ ...base, client_id, client_name: client_id, ...over }));

function defined(o) { return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)); }

// --- users: any name and any password are accepted; these users have more claims --------------------------

const users = {
  alice: { name: 'Alice Example', given_name: 'Alice', family_name: 'Example', preferred_username: 'alice', email: 'alice@example.test', email_verified: true, groups: ['admins', 'staff'] },
  bob: { name: 'Bob Exémple', given_name: 'Bob', family_name: 'Exémple', preferred_username: 'bob', email: 'bob@example.test', email_verified: false, groups: ['staff'] },
  wide: { preferred_username: 'wide', groups: Array.from({ length: 400 }, (_, i) => `department-${i}-${randomBytes(6).toString('hex')}`) }, // more than fits in one cookie
  huge: { preferred_username: 'huge', groups: Array.from({ length: 4000 }, (_, i) => `department-${i}-${randomBytes(6).toString('hex')}`) }, // more than fits in all cookies of a session
};

// --- keys: new at every start, with new key IDs, as after a rotation ----------------------------------------

const generation = randomBytes(4).toString('hex');
const jwk = (alg, type, options) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: `${alg}-${generation}`, alg, use: 'sig' });
const anyAlg = ({ alg, ...key }) => key; // one key for all algorithms of its type
const forRequests = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: `enc-${generation}`, alg: 'RSA-OAEP-256', use: 'enc' };
const keys = [...(rpJwks ? [forRequests] : []), anyAlg(jwk('RS256', 'rsa', { modulusLength: 2048 })), jwk('ES256', 'ec', { namedCurve: 'P-256' }), jwk('ES384', 'ec', { namedCurve: 'P-384' }), jwk('ES512', 'ec', { namedCurve: 'P-521' }), anyAlg(jwk('EdDSA', 'ed25519', {}))];
const algs = ['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
const keyManagement = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'];

const scopes = ['openid', 'offline_access', 'profile', 'email', 'groups'];

// Resource servers get JWTs with the claims that rules need (RFC 9068).
const resources = list(E.RESOURCES);
const resourceScopes = 'tools read';
const forResources = resources.length > 0 && {
  clientCredentials: { enabled: true }, registration: { enabled: true },
  resourceIndicators: {
    enabled: true, defaultResource: () => undefined, useGrantedResource: () => false,
    getResourceServerInfo(ctx, resource) {
      if (!resources.some((origin) => resource === origin || resource.startsWith(`${origin}/`))) throw new errors.InvalidTarget();
      return { scope: resourceScopes, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600 };
    },
  },
};
const extraTokenClaims = (ctx, token) => { const { preferred_username, groups } = users[token.accountId] || {}; return token.accountId && defined({ preferred_username, groups }); };

// Skip the consent page: the journeys are about the login.
async function loadExistingGrant({ oidc: { client, session, result, params } }) {
  const id = result?.consent?.grantId || session.grantIdFor(client.clientId);
  const known = id && await provider.Grant.find(id);
  if (known) return known;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(scopes.join(' '));
  for (const resource of resources.length ? [].concat(params.resource || []) : []) grant.addResourceScope(resource, resourceScopes);
  await grant.save();
  return grant;
}

// --- sign-in: a password on the library's own page; a second factor or another account on the tests' pages ----------

const { Check, Prompt, base: policyOf } = interactionPolicy;
const acrValues = ['pwd', 'mfa'];
const promptValues = ['none', 'login', 'consent', 'select_account'];
const policy = policyOf();
policy.add(new Prompt({ name: 'select_account', requestable: true }), 0);
policy.get('login').checks.add(new Check('acr_values', 'a stronger sign-in was asked for', ({ oidc }) => {
  const asked = list(oidc.params.acr_values).filter((value) => acrValues.includes(value));
  return asked.length > 0 && !asked.includes(oidc.acr) && !oidc.result?.login; // only once
}));

const escaped = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const html = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><h1>${title}</h1>${body}`;

async function body(req) {
  let text = '';
  for await (const part of req) text += part;
  return new URLSearchParams(text);
}

// ourPage serves the page for a second factor or for another account. It returns false if the library's own page is to
// be served.
async function ourPage(ctx) {
  if (!/^\/interaction\/[^/]+$/.test(ctx.path)) return false;
  const { prompt, session } = await provider.interactionDetails(ctx.req, ctx.res);
  const user = session?.accountId, selects = prompt.name === 'select_account';
  if (!selects && !prompt.reasons.includes('acr_values')) return false;
  if (ctx.method === 'POST') {
    const form = await body(ctx.req);
    const proved = form.get('code') === '123456';
    const login = { accountId: form.get('login') || user, ...(!selects && { acr: proved ? 'mfa' : 'pwd', amr: proved ? ['pwd', 'otp'] : ['pwd'] }) };
    await provider.interactionFinished(ctx.req, ctx.res, { login, ...(selects && { select_account: {} }) }, { mergeWithLastSubmission: false });
    ctx.respond = false;
    return true;
  }
  const password = '<input name="login" required> <input name="password" type="password" required>';
  const code = '<input name="code" inputmode="numeric" required>';
  ctx.type = 'html';
  ctx.body = selects
    ? html('Choose an account', `<p>${escaped(user || 'no one')} is signed in.</p><form method="post">${password}<button type="submit">Sign in</button></form>`)
    : html('A second factor', `<form method="post">${user ? `<p>${escaped(user)}</p>` : password}${code}<button type="submit">Sign in</button></form>`);
  return true;
}

// Client certificates must be from a known authority (RFC 8705 section 2.1).
const mTLS = {
  enabled: true, certificateBoundAccessTokens: true, tlsClientAuth: true, selfSignedTlsClientAuth: true,
  getCertificate: (ctx) => { const p = ctx.req.socket.getPeerCertificate(); return p?.raw && `-----BEGIN CERTIFICATE-----\n${p.raw.toString('base64')}\n-----END CERTIFICATE-----`; },
  certificateAuthorized: (ctx) => ctx.req.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_subject_dn' && `CN=${ctx.req.socket.getPeerCertificate().subject.CN}` === expected,
};

const provider = new Provider(issuer, {
  clients,
  jwks: { keys },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...(users[id] || { preferred_username: id }) }) }),
  claims: { openid: ['sub', 'amr'], profile: ['name', 'given_name', 'family_name', 'nickname', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'], acr: null, auth_time: null, iss: null, sid: null },
  scopes,
  acrValues,
  interactions: { policy },
  discovery: { prompt_values_supported: promptValues },
  conformIdTokenClaims: true, // claims of a scope are only in userinfo
  pkce: { required: () => true },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none', ...(tls ? ['tls_client_auth', 'self_signed_tls_client_auth'] : [])],
  enabledJWA: { idTokenSigningAlgValues: [...algs, 'HS256'], userinfoSigningAlgValues: algs, idTokenEncryptionAlgValues: keyManagement, userinfoEncryptionAlgValues: keyManagement, clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'],
    requestObjectSigningAlgValues: ['HS256', ...algs], requestObjectEncryptionAlgValues: keyManagement, authorizationSigningAlgValues: algs, authorizationEncryptionAlgValues: keyManagement, dPoPSigningAlgValues: ['ES256', 'EdDSA'] },
  fetch: (url, { dispatcher, ...options } = {}) => globalThis.fetch(url, options), // the library's own fetch refuses loopback addresses
  ttl: { AccessToken: Number(E.AT_TTL || 3600), IdToken: 3600, RefreshToken: 86400, AuthorizationCode: 60, Session: 14400, Grant: 86400, Interaction: 3600 },
  rotateRefreshToken: true, // reuse of an old one ends the grant
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  loadExistingGrant,
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true }, userinfo: { enabled: true }, jwtUserinfo: { enabled: true }, encryption: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true }, pushedAuthorizationRequests: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: (ctx) => ctx.oidc.client?.clientId === 'rp-dpop-nonce' }, requestObjects: { enabled: true }, jwtResponseModes: { enabled: true }, ...forResources, ...(tls && { mTLS }) },
  ...(forResources && { extraTokenClaims }),
  renderError(ctx, out, error) {
    ctx.type = 'html';
    ctx.body = `<!doctype html><title>error</title><pre id="error">${JSON.stringify(out).replace(/[<&]/g, ' ')}</pre>`;
    note('error', { out, detail: error.error_detail || error.message });
  },
});

// --- what the tests may query -----------------------------------------------------------------------------------

const events = [], hits = {}, tokens = [];
function note(type, data) { events.push({ type, ...data }); }
for (const name of ['authorization.success', 'authorization.error', 'grant.success', 'grant.error', 'userinfo.error', 'end_session.success', 'end_session.error', 'backchannel.success', 'backchannel.error', 'pushed_authorization_request.error', 'server_error']) {
  provider.on(name, (...args) => {
    const error = args.find((a) => a instanceof Error), ctx = args.find((a) => a?.oidc);
    note(name, defined({ client: ctx?.oidc?.client?.clientId, account: ctx?.oidc?.account?.accountId, error: error && (error.error || error.message), detail: error && (error.error_detail || error.error_description) }));
  });
}
function setGroups({ user, groups }) { return (users[user] = { preferred_username: user, nickname: groups, ...users[user], groups: list(groups) }).groups; }
const control = { '/_stats': () => hits, '/_events': () => events, '/_tokens': () => tokens, '/_groups': setGroups };
provider.use(async (ctx, next) => {
  if (control[ctx.path]) { ctx.body = control[ctx.path](ctx.query); return; }
  const key = ctx.path.replace(/^(\/interaction|\/auth)\/.*/, '$1/*');
  hits[key] = (hits[key] || 0) + 1;
  if (await ourPage(ctx)) return;
  await next();
  if (ctx.path === '/token' && ctx.body && typeof ctx.body === 'object') {
    if (ctx.body.access_token) note('tokens', { client: ctx.oidc.client.clientId, grant: ctx.oidc.params.grant_type, token_type: ctx.body.token_type });
    for (const name of ['access_token', 'refresh_token', 'id_token']) if (ctx.body[name]) tokens.push({ name, value: ctx.body[name] });
  }
});

const server = tls
  ? https.createServer({ cert: readFileSync(E.TLS_CERT), key: readFileSync(E.TLS_KEY), ca: readFileSync(E.TLS_CA), requestCert: true, rejectUnauthorized: false }, provider.callback())
  : http.createServer(provider.callback());
server.listen(port, '127.0.0.1');
