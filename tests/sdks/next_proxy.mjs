// A visitor of a Next.js site that uses the Content SDK's proxies. Prints what they made of each request, as JSON.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, given] = process.argv.slice(2);
const { edgeUrl, contextId, page, requests, language = 'en', scope } = JSON.parse(given);
const require = createRequire(join(modules, 'x.js'));
const { NextRequest, NextResponse } = require('next/server');
const { createGraphQLClientFactory } = require('@sitecore-content-sdk/nextjs/client');
const nextProxies = require('@sitecore-content-sdk/nextjs/proxy');
const { BotTrackingProxy, PersonalizeProxy, PersonalizeService, defineProxy } = nextProxies;

const SITE = 'http://shop.example';
const PERSON = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const PATIENCE = 20_000;

// The site's content stays where it is; this answers what the proxy asks of it: which variants has a page?
const asked = [];
const content = createServer(async (request, response) => {
  const { variables } = JSON.parse((await request.toArray()).join(''));
  asked.push({ path: request.url, ...variables });
  const item = { id: page.id, version: 1, personalization: { variantIds: page.variantIds } };
  const layout = { item: variables.itemPath === page.path ? item : null };
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ data: { layout } }));
});
await once(content.listen(0, '127.0.0.1'), 'listening');
const contentEdge = { contextId: 'content', edgeUrl: `http://127.0.0.1:${content.address().port}` };

const sites = [{ name: 'site-de', hostName: '*', language }];
const shared = { enabled: true, sites, defaultLanguage: language, contextId, edgeUrl };
const clientFactory = createGraphQLClientFactory({ api: { edge: contentEdge } });
const personalizeService = new PersonalizeService({ clientFactory, fetch, timeout: PATIENCE });
const personalizing = { personalizeService, scope, currency: 'EUR', cdpTimeout: PATIENCE };
const proxies = defineProxy(
  new BotTrackingProxy(shared),
  new PersonalizeProxy({ ...shared, ...personalizing }),
);

// What the SDK would tell the site's operator.
let logged = [];
console.log = (line) => logged.push(String(line));

// Cookies come back with the next request, as a browser's do.
const kept = new Map();

async function visit({ path, headers }) {
  logged = [];
  const cookie = [...kept].map((pair) => pair.join('=')).join('; ');
  const sent = { host: 'shop.example', 'user-agent': PERSON, ...(cookie && { cookie }), ...headers };
  const context = new Map();
  const request = new NextRequest(`${SITE}${path}`, { headers: sent });
  const response = await proxies.exec(request, NextResponse.next(), context);
  for (const { name, value } of response.cookies.getAll()) kept.set(name, value);
  const rewritten = response.headers.get('x-middleware-rewrite');
  return {
    rewrite: rewritten && rewritten.replace(SITE, ''),
    cacheControl: response.headers.get('cache-control'),
    cookies: Object.fromEntries(kept),
    setCookie: response.headers.getSetCookie(),
    identified: context.get('PersonalizeProxy')?.identifiedVariantIds,
    logged,
  };
}

const pages = [];
for (const request of requests) pages.push(await visit(request));
// The SDK keeps what it was told for ten seconds, and Node with it.
process.stdout.write(JSON.stringify({ pages, asked }), () => process.exit());
