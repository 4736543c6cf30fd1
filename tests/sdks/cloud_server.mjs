// Visitors of a site whose own Node server uses the Cloud SDK. Prints what each call gave, as JSON.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ADDRESS, LANGUAGES, failure, hero, letter, place, visit } from './visit.mjs';

const [modules, given] = process.argv.slice(2);
const { scene, edgeUrl, contextId, browserId } = JSON.parse(given);
const require = createRequire(join(modules, 'x.js'));
const { CloudSDK } = require('@sitecore-cloudsdk/core/server');
const { event, identity, pageView } = require('@sitecore-cloudsdk/events/server');
const { personalize } = require('@sitecore-cloudsdk/personalize/server');

// What Node's own http module hands to a handler, as far as the SDK looks at it.
function visitor(cookie) {
  const cookies = [];
  const request = { headers: { 'user-agent': 'Mozilla/5.0', ...(cookie && { cookie }) }, url: ADDRESS };
  return { request, response: { setHeader: (name, value) => cookies.push(value) }, cookies };
}

// The same of Next.js's middleware: cookies are objects with methods, and so are headers.
function nextVisitor() {
  const kept = new Map();
  const set = (name, value) => kept.set(name, { name, value });
  const headers = new Map([['user-agent', 'Mozilla/5.0']]);
  const request = { cookies: { get: (name) => kept.get(name), set }, headers, url: `http://shop.example${ADDRESS}` };
  return { request, response: { cookies: { set } }, kept };
}

function start({ request, response }, more) {
  const place = { sitecoreEdgeUrl: edgeUrl, sitecoreEdgeContextId: contextId, siteName: 'site-de' };
  const sdk = CloudSDK(request, response, { ...place, enableServerCookie: true, timeout: 5000, ...more });
  return sdk.addEvents().addPersonalize({ enablePersonalizeCookie: true }).initialize();
}

function bound(request) {
  const calls = Object.entries({ event, identity, pageView, personalize });
  return Object.fromEntries(calls.map(([name, call]) => [name, (...data) => call(request, ...data)]));
}

const scenes = {
  async visit() {
    const { request, response, cookies } = visitor();
    await start({ request, response });
    return { cookies, ...(await visit(bound(request), request, { born: '1815-12-10T00:00' })) };
  },

  async returning() {
    const { request, response, cookies } = visitor(`sc_cid=${browserId}`);
    await start({ request, response });
    const sdk = bound(request);
    const answers = { cookies, pageView: await sdk.pageView(place), personalize: await sdk.personalize(letter) };
    answers.abroad = await Promise.all(LANGUAGES.map((language) => sdk.personalize({ ...letter, language })));
    return answers;
  },

  // The SDK keeps the guest of the visitor it asked for last, and sends it with the next one's calls.
  async mixedUp() {
    const identifiers = [{ id: 'ada@example.com', provider: 'EMAIL' }];
    const first = visitor();
    await start(first);
    await identity(first.request, { ...place, firstName: 'Ada', identifiers });
    const second = visitor(`sc_cid=${browserId}`);
    await start(second);
    const answers = { first: first.cookies, second: second.cookies };
    answers.before = await personalize(second.request, letter);
    await identity(second.request, { ...place, identifiers });
    answers.joined = await personalize(second.request, letter);
    return answers;
  },

  async elsewhere() {
    const { request, response } = visitor(`sc_cid=${browserId}`);
    await start({ request, response }, { siteName: 'site-nowhere' });
    const sdk = bound(request);
    return { pageView: await sdk.pageView(place), personalize: await sdk.personalize(letter) };
  },

  // Its proxies ask for the page and for each of its components at once.
  async next() {
    const { request, response, kept } = nextVisitor();
    await start({ request, response });
    const cookies = Object.fromEntries([...kept.values()].map(({ name, value }) => [name, value]));
    const sdk = bound(request);
    const views = [sdk.pageView(place), sdk.pageView(place)];
    const calls = [letter, { ...letter, friendlyId: 'let*' }, hero].map((call) => sdk.personalize(call, { timeout: 5000 }));
    return { cookies, views: await Promise.all(views), calls: await Promise.all(calls) };
  },

  async refused() {
    const answers = {};
    const lost = visitor(`sc_cid=${browserId}`);
    answers.lost = await failure(start(lost));
    const sdk = bound(lost.request);
    answers.lostView = await sdk.pageView(place);
    answers.lostIdentity = await sdk.identity({ ...place, identifiers: [{ id: 'x', provider: 'EMAIL' }] });
    answers.wrongLanguage = await sdk.personalize({ ...hero, language: 'English' });
    answers.withoutCookie = await pageView(visitor().request, place);

    answers.unknownKey = await failure(start(visitor(), { sitecoreEdgeContextId: 'nobodys-key' }));
    answers.unknownKeyView = await sdk.pageView(place);
    answers.unknownKeyPersonalize = await sdk.personalize(hero);
    return answers;
  },
};

console.log(JSON.stringify(await scenes[scene]()));
