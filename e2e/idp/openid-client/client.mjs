// A relying party that uses openid-client, for the journeys. It has one user and shows what it received. Its
// configuration is a JSON document in the environment.
import http from 'node:http'
import * as client from 'openid-client'

const { issuer, id, secret, port } = JSON.parse(process.env.CLIENT)
const base = `http://127.0.0.1:${port}`
const redirect_uri = `${base}/callback`

// The issuer of the journeys is on loopback and uses plain HTTP.
const config = await client.discovery(new URL(issuer), id, undefined, secret ? client.ClientSecretBasic(secret) : client.None(), {
	execute: [client.allowInsecureRequests],
})

let login // the pending one
let tokens // the latest ones
let first // the refresh token from the sign-in
let callback // the callback URL of the sign-in

const redeem = (address) => client.authorizationCodeGrant(config, address, {
	pkceCodeVerifier: login.verifier, expectedState: login.state, expectedNonce: login.nonce, idTokenExpected: true,
})

const refresh = async (token) => {
	tokens = await client.refreshTokenGrant(config, token)
	return { rotated: tokens.refresh_token !== token, claims: tokens.claims() }
}

const routes = {
	'/metadata': () => config.serverMetadata(),
	'/login': async (query) => {
		login = { verifier: client.randomPKCECodeVerifier(), state: client.randomState(), nonce: client.randomNonce() }
		return client.buildAuthorizationUrl(config, {
			redirect_uri, scope: 'openid profile email groups offline_access', state: login.state, nonce: login.nonce,
			code_challenge: await client.calculatePKCECodeChallenge(login.verifier), code_challenge_method: 'S256', ...Object.fromEntries(query),
		})
	},
	'/callback': async (query, address) => {
		callback = address
		tokens = await redeem(address)
		first = tokens.refresh_token
		return { claims: tokens.claims(), token_type: tokens.token_type, expires_in: tokens.expires_in, refresh: !!first, iss: query.get('iss') }
	},
	'/again': () => redeem(callback),
	'/userinfo': () => client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub),
	'/refresh': () => refresh(tokens.refresh_token),
	'/refresh-first': () => refresh(first),
	'/revoke': async () => { await client.tokenRevocation(config, tokens.refresh_token); return {} },
	'/introspect': () => client.tokenIntrospection(config, tokens.access_token),
	'/logout': () => client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: `${base}/bye`, state: 'logout-state' }),
	'/bye': (query) => Object.fromEntries(query),
	'/secrets': () => [tokens.access_token, tokens.refresh_token, tokens.id_token, login.verifier],
}

http.createServer(async (request, response) => {
	const address = new URL(request.url, base)
	try {
		if (!routes[address.pathname]) throw new Error('no such address')
		const result = await routes[address.pathname](address.searchParams, address)
		if (result instanceof URL) {
			response.writeHead(302, { location: result.href }).end()
			return
		}
		response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result))
	} catch (error) {
		response.writeHead(500, { 'content-type': 'application/json' })
		response.end(JSON.stringify({ error: error.error ?? error.cause?.error ?? error.code ?? error.message, message: error.message }))
	}
}).listen(port, '127.0.0.1', () => console.log('ready'))
