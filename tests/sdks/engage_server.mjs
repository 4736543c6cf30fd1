// One visitor of a site whose own Node server uses the SDK. Prints what each call gave, as JSON.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, given] = process.argv.slice(2);
const { targetURL, clientKey, friendlyId } = JSON.parse(given);
const { initServer } = createRequire(join(modules, 'x.js'))('@sitecore/engage');

const engage = initServer({ clientKey, targetURL, pointOfSale: 'myretailsite/ireland', forceServerCookieMode: true });

// What Node's own http module hands to a handler, as far as the SDK looks at it.
const sent = {};
const request = {
  headers: { 'user-agent': 'Mozilla/5.0', host: 'shop.example' },
  url: '/shoes?utm_source=letter&size=43',
};
const response = { setHeader: (name, value) => (sent[name] = value) };
const answers = {};

await engage.handleCookie(request, response);
answers.cookie = sent['Set-Cookie'];
await engage.handleCookie(request, response, 5000);
answers.cookieAgain = sent['Set-Cookie'];

const place = { channel: 'WEB', currency: 'EUR', language: 'EN', page: 'shoes' };
answers.pageView = await engage.pageView(place, request, { size: { eu: 43 } });
answers.before = await engage.personalize({ channel: 'WEB', friendlyId }, request);
answers.event = await engage.event('ADD', { ...place, product: { name: 'Shoe', price: 80 } }, request);
answers.form = await engage.event('FORM', place, request, { formId: 'f-1', interactionType: 'SUBMITTED' });
answers.identity = await engage.identity(
  {
    ...place,
    email: 'ada@example.com',
    firstName: 'Ada',
    lastName: 'Lovelace',
    dob: '1815-12-10T00:00',
    identifiers: [{ id: 'ada@example.com', provider: 'EMAIL', expiryDate: '2199-01-01T00:00' }],
  },
  request,
);
const asked = { channel: 'WEB', currency: 'EUR', language: 'EN', friendlyId, params: { seat: { row: 3 } } };
answers.personalize = await engage.personalize(asked, request, 5000);
answers.byEmail = await engage.personalize({ ...asked, email: 'ada@example.com' }, request);
answers.byIdentifier = await engage.personalize(
  { ...asked, identifier: { id: 'ada@example.com', provider: 'EMAIL' } },
  request,
);
answers.wrongLanguage = await engage.personalize({ ...asked, language: 'English' }, request);

const stranger = { ...request, headers: { cookie: `bid_${clientKey}=56860bff-94ba-4d84-aa37-2b5a83d5411b` } };
answers.unknownBrowser = await engage.pageView(place, stranger);

const nobody = initServer({ clientKey: 'nobodys-key', targetURL, pointOfSale: 'x', forceServerCookieMode: true });
answers.unknownKey = await nobody.pageView(place, request);
answers.unknownKeyCookie = await nobody
  .handleCookie({ headers: {}, url: '/' }, response)
  .then(() => 'a cookie', (error) => error.message);

console.log(JSON.stringify(answers));
