// Visitors of a site whose own Node server uses the Content SDK. Prints what each call gave, as JSON.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ADDRESS, LANGUAGES, failure, hero, letter, place, visit } from './visit.mjs';

const [modules, given] = process.argv.slice(2);
const { scene, edgeUrl, contextId, browserId } = JSON.parse(given);
const require = createRequire(join(modules, 'x.js'));
const { initContentSdk } = require('@sitecore-content-sdk/core');
const { analyticsPlugin, analyticsServerAdapter, getClientId } = require('@sitecore-content-sdk/analytics-core');
const { botPageView, event, eventsPlugin, form, identity, pageView } = require('@sitecore-content-sdk/events');
const { personalize, personalizeServerAdapter, personalizeServerPlugin } = require('@sitecore-content-sdk/personalize');

const PERSON = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const BOT = 'Mozilla/5.0 (compatible; Examplebot/2.1; +http://example.com/bot.html)';

// What Node's own http module hands to a handler, as far as the SDK looks at it.
function visitor(cookie, userAgent = PERSON) {
  const sent = {};
  const request = { headers: { 'user-agent': userAgent, ...(cookie && { cookie }) }, url: ADDRESS };
  const response = { getHeader: (name) => sent[name], setHeader: (name, value) => (sent[name] = value) };
  return { request, response, sent };
}

function start({ request, response }, more) {
  const analytics = analyticsServerAdapter(request, response);
  const personalization = personalizeServerAdapter(request, response);
  return initContentSdk({
    config: { contextId, edgeUrl, siteName: 'site-de', ...more },
    plugins: [
      analyticsPlugin({ adapter: analytics, options: { enableCookie: true, timeout: 5000 } }),
      eventsPlugin(),
      personalizeServerPlugin({ adapter: personalization, options: { enablePersonalizeCookie: true } }),
    ],
  });
}

const scenes = {
  async visit() {
    const { request, response, sent } = visitor();
    await start({ request, response });
    const sdk = { event, form, identity, pageView, personalize };
    const answers = await visit(sdk, request, { born: '1815-12-10' });
    return { cookies: [sent['Set-Cookie']], clientId: getClientId(), ...answers };
  },

  async returning() {
    const { request, response, sent } = visitor(`sc_cid=${browserId}`);
    await start({ request, response });
    const answers = { pageView: await pageView(place), personalize: await personalize(letter) };
    answers.abroad = await Promise.all(LANGUAGES.map((language) => personalize({ ...letter, language })));
    return { cookies: [sent['Set-Cookie']], ...answers };
  },

  async elsewhere() {
    await start(visitor(`sc_cid=${browserId}`), { siteName: 'site-nowhere' });
    return { pageView: await pageView(place), personalize: await personalize(letter) };
  },

  async bot() {
    const { request, response, sent } = visitor('', BOT);
    await start({ request, response });
    const answers = { sent, pageView: await pageView(place) };
    answers.botPageView = await botPageView({ userAgent: BOT, page: 'shoes', language: 'EN' });
    answers.botPageViewAgain = await botPageView({ userAgent: BOT, page: 'boots' });
    return answers;
  },

  async refused() {
    const answers = {};
    answers.lost = await failure(start(visitor(`sc_cid=${browserId}`)));
    // Where the guest's cookie is there too, nothing is asked at the start.
    const lost = () => visitor(`sc_cid=${browserId}; sc_cid_personalize=${browserId}`);
    await start(lost());
    answers.lostView = await pageView(place);
    answers.lostIdentity = await identity({ ...place, identifiers: [{ id: 'x', provider: 'EMAIL' }] });
    answers.wrongLanguage = await personalize({ ...hero, language: 'English' });

    answers.unknownKey = await failure(start(visitor(), { contextId: 'nobodys-key' }));
    await start(lost(), { contextId: 'nobodys-key' });
    answers.unknownKeyView = await pageView(place);
    answers.unknownKeyPersonalize = await personalize(hero);
    return answers;
  },
};

console.log(JSON.stringify(await scenes[scene]()));
