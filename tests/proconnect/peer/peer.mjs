// A ProConnect for the tests, on a library that is not ours and not Python: one misunderstanding cannot sit on both
// sides. `node peer.mjs 7|9 <port> <product>` serves this machine until it is killed or its standard input ends; its
// state is its memory.
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import { ACR_VALUES, PEOPLE, SCOPES, claimsOf } from './people.mjs';
import { Faults } from './faults.mjs';

const [version, port, product] = process.argv.slice(2);
const Provider =
  version === '7' ? createRequire(import.meta.url)('oidc-provider-7').Provider : (await import('oidc-provider-9')).default;

const origin = `http://127.0.0.1:${port}`;
const issuer = `${origin}/api/v2`;
const client = { id: process.env.OIDC_RP_CLIENT_ID, secret: process.env.OIDC_RP_CLIENT_SECRET };
const key = generateKeyPairSync('rsa', { modulusLength: 2048 });
const faults = new Faults(key, client.secret, origin);
const accounts = new Map();
// What ProConnect knows of an authorization request; anything else is its error Y000400.
const KNOWN = new Set(
  `response_type client_id redirect_uri scope state nonce claims prompt login_hint idp_hint siret_hint response_mode
   code_challenge code_challenge_method acr_values`.split(/\s+/),
);

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      redirect_uris: [`${product}/connexion/retour/`],
      post_logout_redirect_uris: [`${product}/deconnexion/retour/`],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'RS256',
      userinfo_signed_response_alg: 'RS256',
    },
  ],
  jwks: { keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: 'peer', use: 'sig', alg: 'RS256' }] },
  scopes: SCOPES,
  // Each scope gives the claim of its name, at userinfo; acr and amr only to who asks for them.
  claims: { ...Object.fromEntries(SCOPES.filter((name) => name !== 'openid').map((name) => [name, [name]])), openid: ['sub'], acr: null, amr: null },
  acrValues: ACR_VALUES,
  conformIdTokenClaims: true,
  responseTypes: ['code'],
  issueRefreshToken: async (_, registered) => registered.grantTypeAllowed('refresh_token'),
  [version === '7' ? 'tokenEndpointAuthMethods' : 'clientAuthMethods']: ['client_secret_post'],
  pkce: { required: () => false, ...(version === '7' && { methods: ['S256'] }) },
  features: {
    claimsParameter: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    jwtUserinfo: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  routes: {
    authorization: '/authorize',
    token: '/token',
    userinfo: '/userinfo',
    jwks: '/jwks',
    end_session: '/session/end',
    introspection: '/token/introspection',
    revocation: '/token/revocation',
  },
  ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 7200, IdToken: 3600, Interaction: 600, RefreshToken: 7200, Session: 43200 },
  cookies: { keys: [randomUUID()] },
  interactions: { url: (_, interaction) => `/api/v2/interaction/${interaction.uid}` },
  findAccount: (_, sub) => accounts.has(sub) && { accountId: sub, claims: () => ({ sub, ...accounts.get(sub) }) },
  // ProConnect asks nobody's consent.
  loadExistingGrant: async (ctx) => {
    const grant = new provider.Grant({ clientId: client.id, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope(SCOPES.join(' '));
    grant.addOIDCClaims(['acr', 'amr']);
    await grant.save();
    return grant;
  },
});
provider.use((ctx, next) => faults.around(ctx, next));
provider.use(async (ctx, next) => {
  if (ctx.path !== '/authorize') return next();
  const unknown = Object.keys(ctx.query).filter((name) => !KNOWN.has(name));
  if (!unknown.length) return next();
  ctx.status = 400;
  ctx.body = `Y000400: ${unknown.length} unknown parameter(s)`;
});
const library = provider.callback();
process.stdin.resume().on('end', () => process.exit());

http
  .createServer(async (request, response) => {
    const { pathname } = new URL(request.url, origin);
    try {
      if (pathname.startsWith('/control')) return await faults.control(request, response);
      if (pathname.startsWith('/api/v2/interaction/')) return await interact(request, response);
      if (!pathname.startsWith('/api/v2/')) return send(response, 404, 'Y000404');
      // The library builds its links from the address before the prefix was taken off.
      request.originalUrl = request.url;
      request.url = request.url.slice('/api/v2'.length);
      return library(request, response);
    } catch (error) {
      console.error(error);
      return send(response, 400, `Y030110 ${error.name}`);
    }
  })
  .listen(Number(port), '127.0.0.1', () => console.log(`ready: ${issuer}`));

/** The page where one chooses who one is, and its answer. */
async function interact(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    const buttons = Object.entries(PEOPLE).map(([name, one]) => `<button name="persona" value="${name}">${one.given_name}</button>`);
    const levels = ACR_VALUES.map((value) => `<option>${value}</option>`);
    return send(
      response,
      200,
      `<!doctype html><title>Peer</title><form method="post" action="${request.url}">${buttons.join('')}
       <input name="siret"><select name="acr"><option value=""></option>${levels.join('')}</select>
       <button name="cancel" value="1">cancel</button></form>`,
    );
  }
  const answer = new URLSearchParams(await text(request));
  const finish = (result) => provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  if (answer.has('cancel')) return finish({ error: 'access_denied', error_description: 'User auth aborted' });
  const { acr, amr, ...person } = claimsOf(answer.get('persona'), answer);
  if (!reaches(params.claims, acr)) {
    return finish({ error: 'access_denied', error_description: 'requested ACRs could not be satisfied' });
  }
  const sub = createHash('sha256').update(person.email).digest('hex').slice(0, 36);
  accounts.set(sub, person);
  return finish({ login: { accountId: sub, acr, amr, remember: true } });
}

/** Whether this level meets the one that is demanded, if one is. */
function reaches(claims, acr) {
  const demand = JSON.parse(claims || '{}').id_token?.acr;
  const wanted = demand?.values ?? (demand?.value ? [demand.value] : []);
  return !demand?.essential || !wanted.length || wanted.includes(acr);
}

function send(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(body);
}

async function text(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}
