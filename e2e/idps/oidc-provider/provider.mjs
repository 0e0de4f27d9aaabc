// An identity provider for the end-to-end tests: panva's oidc-provider with a configuration of our own.
//
// Environment: PORT; IDP_HOST (host name in the issuer, default localhost); RP_BASES (origins of the relying
// parties, separated by spaces); RP_IDS (provider ids in their endpoint paths, default "default op a b"); AT_TTL (life of access tokens in seconds, default 3600).
// It listens on 127.0.0.1 only and keeps everything in memory, so a restart forgets sessions and has new keys.
//
// Besides the protocol: GET /_stats counts requests by path, GET /_events tells what happened,
// GET /_tokens lists every token and code handed out, so that a test can look for them in logs.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import Provider from 'oidc-provider';

const E = process.env;
const port = Number(E.PORT);
const issuer = `http://${E.IDP_HOST || 'localhost'}:${port}`;
const list = (s) => (s || '').split(/\s+/).filter(Boolean);
const ids = list(E.RP_IDS || 'default op a b');
const urls = (endpoint) => list(E.RP_BASES).flatMap((base) => ids.map((id) => `${base}/@app/auth/${id}/${endpoint}`));

// --- clients: one line each; what `base` says holds unless the line says otherwise -------------------------

const base = {
  client_secret: 'rp-secret-0123456789abcdef0123456789abcdef',
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: [...urls('code'), ...list(E.RP_BASES).map((base) => `${base}/old/callback`)],
  post_logout_redirect_uris: urls('signedout'),
};
const noSecret = { client_secret: undefined };
const clients = [
  ['rp', {}],
  ['rp-post', { token_endpoint_auth_method: 'client_secret_post' }],
  ['rp-public', { ...noSecret, token_endpoint_auth_method: 'none' }],
  ['rp-special', { client_secret: 'p@ss:w%rd +&=/?#~0123456789abcdef' }], // Basic must form-encode it (RFC 6749 2.3.1)
  ['rp-es256', { id_token_signed_response_alg: 'ES256' }],
].map(([client_id, over]) => defined({ ...base, client_id, client_name: client_id, ...over }));

function defined(o) { return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)); }

// --- users: any name and any password are taken; these have more claims ----------------------------------

const users = {
  alice: { name: 'Alice Example', given_name: 'Alice', family_name: 'Example', preferred_username: 'alice', email: 'alice@example.test', email_verified: true, groups: ['admins', 'staff'] },
  bob: { name: 'Bob Exémple', given_name: 'Bob', family_name: 'Exémple', preferred_username: 'bob', email: 'bob@example.test', email_verified: false, groups: ['staff'] },
  wide: { preferred_username: 'wide', groups: Array.from({ length: 150 }, (_, i) => `department-${i}-${randomBytes(6).toString('hex')}`) }, // more than one cookie holds
  huge: { preferred_username: 'huge', groups: Array.from({ length: 4000 }, (_, i) => `department-${i}-${randomBytes(6).toString('hex')}`) }, // more than any do
};

// --- keys: new ones at every start, under new names, as after a rotation ------------------------------------

const generation = randomBytes(4).toString('hex');
const jwk = (alg, type, options) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: `${alg}-${generation}`, alg, use: 'sig' });
const keys = [jwk('RS256', 'rsa', { modulusLength: 2048 }), jwk('ES256', 'ec', { namedCurve: 'P-256' })];

const scopes = ['openid', 'offline_access', 'profile', 'email', 'groups'];

// Nobody is asked for consent: what the journeys are about is the login.
async function loadExistingGrant({ oidc: { client, session, result } }) {
  const id = result?.consent?.grantId || session.grantIdFor(client.clientId);
  const known = id && await provider.Grant.find(id);
  if (known) return known;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(scopes.join(' '));
  await grant.save();
  return grant;
}

const provider = new Provider(issuer, {
  clients,
  jwks: { keys },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...(users[id] || { preferred_username: id }) }) }),
  claims: { openid: ['sub'], profile: ['name', 'given_name', 'family_name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'], acr: null, auth_time: null, iss: null, sid: null },
  scopes,
  conformIdTokenClaims: true, // the claims of a scope are in userinfo only
  pkce: { required: () => true },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
  ttl: { AccessToken: Number(E.AT_TTL || 3600), IdToken: 3600, RefreshToken: 86400, AuthorizationCode: 60, Session: 14400, Grant: 86400, Interaction: 3600 },
  rotateRefreshToken: true, // an old one that comes back ends the grant
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  loadExistingGrant,
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true }, userinfo: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
  renderError(ctx, out, error) {
    ctx.type = 'html';
    ctx.body = `<!doctype html><title>error</title><pre id="error">${JSON.stringify(out).replace(/[<&]/g, ' ')}</pre>`;
    note('error', { out, detail: error.error_detail || error.message });
  },
});

// --- what the tests may ask -----------------------------------------------------------------------------------

const events = [], hits = {}, tokens = [];
function note(type, data) { events.push({ type, ...data }); }
for (const name of ['authorization.success', 'authorization.error', 'grant.success', 'grant.error', 'userinfo.error', 'end_session.success', 'end_session.error', 'server_error']) {
  provider.on(name, (...args) => {
    const error = args.find((a) => a instanceof Error), ctx = args.find((a) => a?.oidc);
    note(name, defined({ client: ctx?.oidc?.client?.clientId, account: ctx?.oidc?.account?.accountId, error: error && (error.error || error.message), detail: error && (error.error_detail || error.error_description) }));
  });
}
const control = { '/_stats': () => hits, '/_events': () => events, '/_tokens': () => tokens };
provider.use(async (ctx, next) => {
  if (control[ctx.path]) { ctx.body = control[ctx.path](); return; }
  const key = ctx.path.replace(/^(\/interaction|\/auth)\/.*/, '$1/*');
  hits[key] = (hits[key] || 0) + 1;
  await next();
  if (ctx.path === '/token' && ctx.body && typeof ctx.body === 'object') {
    for (const name of ['access_token', 'refresh_token', 'id_token']) if (ctx.body[name]) tokens.push({ name, value: ctx.body[name] });
  }
});

http.createServer(provider.callback()).listen(port, '127.0.0.1');
