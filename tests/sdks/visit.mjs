// What a visitor does on a site whose own server uses the Cloud SDK or the Content SDK.

// The address of each page view; its utm parameters also reach the calls made there.
export const ADDRESS = '/shoes?utm_source=letter&utm_campaign=spring';
export const place = { channel: 'WEB', currency: 'EUR', language: 'EN', page: 'shoes' };
export const hero = { channel: 'WEB', currency: 'EUR', language: 'EN', friendlyId: 'hero_banner' };
export const letter = { ...hero, friendlyId: 'letter' };

// Languages as sites are set up in them, and as an SDK finds them in a page's lang (Filipino).
export const LANGUAGES = ['de', 'de-DE', 'FIL'];

export const failure = (promise) => promise.then(() => 'none', (error) => error.message);

// Makes every call that the SDK offers to a server; answers what each gave.
export async function visit(sdk, request, { born }) {
  const answers = {};
  request.url = ADDRESS;
  answers.pageView = await sdk.pageView({
    ...place,
    referrer: 'https://news.example/',
    pageVariantId: 'variant-1',
    extensionData: { size: { eu: 43 }, colours: ['red', 'blue'] },
    searchData: { keyword: 'boots' },
  });
  // As much as the SDK lets through: what it adds by itself is one more.
  const extensionData = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`key${n}`, n]));
  answers.fullView = await sdk.pageView({ ...place, pageVariantId: 'variant-2', extensionData });
  request.url = '/';
  answers.bareView = await sdk.pageView();
  request.url = ADDRESS;

  answers.before = await sdk.personalize(hero);
  const product = { name: 'Shoe', type: 'APPAREL', item_id: 's-1', quantity: 1, price: 80.5, currency: 'EUR' };
  answers.event = await sdk.event({ type: 'ADD', ...place, product, extensionData: { gift: true } });
  if (sdk.form) answers.form = await sdk.form('f-1', 'submitted', 'component-1');
  answers.identity = await sdk.identity({
    ...place,
    email: 'ada@example.com',
    firstName: 'Ada',
    lastName: 'Lovelace',
    dob: born,
    street: ['St James Square'],
    postalCode: 'SW1',
    extensionData: { tier: 'gold' },
    identifiers: [{ id: 'ada@example.com', provider: 'EMAIL', expiryDate: '2199-01-01T00:00' }],
  });

  const geo = { city: 'Cork', country: 'IE', region: 'Munster' };
  answers.personalize = await sdk.personalize({ ...hero, geo, params: { seat: { row: 3 } } }, { timeout: 5000 });
  answers.byEmail = await sdk.personalize({ ...letter, email: 'ada@example.com' });
  answers.byIdentifier = await sdk.personalize({ ...letter, identifier: { id: 'ada@example.com', provider: 'EMAIL' } });
  answers.offered = await sdk.personalize({ ...letter, pageVariantIds: ['ada_page', 'another_page'] });
  answers.notOffered = await sdk.personalize({ ...letter, pageVariantIds: ['another_page'] });
  return answers;
}
