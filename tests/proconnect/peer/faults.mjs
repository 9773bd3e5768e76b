// One thing wrong at a time, on purpose: what the library produced is decoded, altered and signed again.
//
// The orders come as JSON at /control, and `tests/proconnect/faulty_demo.py` obeys the same ones:
//   POST {"id_token": {...}, "userinfo": {...}, "jwks": {...}, "http": {"token": {...}}}   replaces every order
//   DELETE   forgets the orders and what was seen
//   GET      what was asked of the back-channel since then
// A token's orders: set, drop (claims), now (claims, as seconds from now), header (null drops), raw, absent,
// json (userinfo unsigned), sign: good | second | foreign | hs256-public | hs256-secret | none | damaged.
// Those of jwks: drop_kid, add (a second key beside the first), rotate (in its place, and signing). Of http, by endpoint: status, type,
// body, location, delay (seconds, then the usual answer), drip (the body a byte each so many seconds).
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { Readable } from 'node:stream';

async function* drops(body, seconds) {
  for (const drop of body) {
    yield drop;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const decode = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

export class Faults {
  constructor(key, secret, origin) {
    this.key = key;
    this.second = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.secret = secret;
    this.origin = origin;
    this.forget();
  }

  forget() {
    this.orders = {};
    this.seen = [];
  }

  /** Answer /control; anything below it is "elsewhere", where no secret may ever arrive. */
  async control(request, response) {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.url !== '/control') {
      this.seen.push({ endpoint: 'elsewhere', headers: request.headers, secret: body.includes(this.secret) });
    } else if (request.method === 'POST') {
      this.orders = JSON.parse(body);
    } else if (request.method === 'DELETE') {
      this.forget();
    }
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(this.seen));
  }

  /** Run around the library, as Koa does. */
  async around(ctx, next) {
    const endpoint = ctx.path.slice(1);
    if (!['token', 'userinfo', 'jwks'].includes(endpoint)) return next();
    this.seen.push({ endpoint, headers: ctx.headers });
    const order = this.orders.http?.[endpoint];
    if (order?.delay) await new Promise((resolve) => setTimeout(resolve, order.delay * 1000));
    if (order?.status) {
      ctx.status = order.status;
      if (order.location) ctx.set('Location', new URL(order.location, this.origin).href);
      ctx.type = order.type ?? 'text/plain';
      ctx.body = order.drip ? Readable.from(drops(order.body, order.drip)) : (order.body ?? '');
      return undefined;
    }
    await next();
    if (ctx.status !== 200) return undefined;
    if (endpoint === 'token') this.token(ctx);
    if (endpoint === 'userinfo') this.userinfo(ctx);
    if (endpoint === 'jwks') ctx.body = this.keys(ctx.body);
    return undefined;
  }

  token(ctx) {
    const order = this.orders.id_token ?? {};
    if (order.absent) {
      const { id_token: _, ...rest } = ctx.body;
      ctx.body = rest;
    } else if (ctx.body.id_token) {
      ctx.body = { ...ctx.body, id_token: this.rewrite(ctx.body.id_token, order) };
    }
  }

  userinfo(ctx) {
    const order = this.orders.userinfo ?? {};
    const token = this.rewrite(ctx.body.toString(), order);
    if (order.json) {
      ctx.type = 'application/json';
      ctx.body = JSON.stringify(decode(token.split('.')[1]));
    } else {
      ctx.type = 'application/jwt';
      ctx.body = token;
    }
  }

  keys(published) {
    const order = this.orders.jwks ?? {};
    let { keys } = published;
    const second = { ...this.second.publicKey.export({ format: 'jwk' }), kid: 'second', use: 'sig', alg: 'RS256' };
    if (order.rotate || order.add) keys = order.rotate ? [second] : [...keys, second];
    if (order.drop_kid) keys = keys.map(({ kid: _, ...key }) => key);
    return { keys };
  }

  /** Sign a token again with one thing altered. */
  rewrite(token, order) {
    if (order.raw !== undefined) return order.raw;
    const [head, payload] = token.split('.').slice(0, 2).map(decode);
    const now = Math.floor(Date.now() / 1000);
    const header = { ...head, ...order.header };
    const claims = { ...payload, ...order.set };
    for (const [name, seconds] of Object.entries(order.now ?? {})) claims[name] = now + seconds;
    for (const name of order.drop ?? []) delete claims[name];
    const how = order.sign ?? (this.orders.jwks?.rotate ? 'second' : 'good');
    if (how === 'second') header.kid = 'second';
    if (how.startsWith('hs256')) header.alg = 'HS256';
    if (how === 'none') header.alg = 'none';
    for (const name of Object.keys(header)) if (header[name] === null) delete header[name];
    const body = `${encode(header)}.${encode(claims)}`;
    return `${body}.${this.signature(how, body)}`;
  }

  signature(how, body) {
    const rsa = (pair) => sign('RSA-SHA256', Buffer.from(body), pair.privateKey).toString('base64url');
    const hmac = (secret) => createHmac('sha256', secret).update(body).digest('base64url');
    switch (how) {
      case 'none':
        return '';
      case 'second': // another key, and it says so
      case 'foreign': // another key, under the kid of the good one
        return rsa(this.second);
      case 'hs256-secret':
        return hmac(this.secret);
      case 'hs256-public':
        return hmac(this.key.publicKey.export({ type: 'spki', format: 'pem' }));
      case 'damaged':
        // Not the last character: some of its bits are padding.
        return rsa(this.key).replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
      default:
        return rsa(this.key);
    }
  }
}
