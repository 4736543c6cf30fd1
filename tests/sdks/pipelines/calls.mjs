// Makes calls with one of the Node SDKs. Prints what became of each, and what the SDK reported beside.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, given] = process.argv.slice(2);
const { sdk, url, writeKey, settings = {}, calls } = JSON.parse(given);
const require = createRequire(join(modules, 'x.js'));

// A client that queues: each call hears by its callback, the site by events.
async function queueing({ Analytics }) {
  const client = new Analytics({ host: url, writeKey, ...settings });
  const report = { outcomes: [], errors: [], requests: 0, delivered: 0 };
  client.on('http_request', () => (report.requests += 1));
  client.on('error', ({ code, reason }) => report.errors.push({ code, message: String(reason?.message) }));
  for (const type of ['identify', 'track', 'page', 'screen', 'group', 'alias']) {
    client.on(type, () => (report.delivered += 1));
  }
  const outcomes = calls.map(
    ([method, payload]) =>
      new Promise((resolve) =>
        client[method](payload, (error, context) =>
          resolve({ messageId: context?.event.messageId, ...(error ? { error: error.message } : {}) }),
        ),
      ),
  );
  await client.closeAndFlush({ timeout: 45_000 });
  report.outcomes = await Promise.all(outcomes);
  return report;
}

// A client that waits: each call is a request, and answers or rejects.
async function waiting({ PipelinesClient }) {
  const client = new PipelinesClient(writeKey, { url: `${url}/v1`, ...settings });
  const outcomes = [];
  for (const [method, payload] of calls) {
    outcomes.push(
      await client[method](payload).then(
        (answer) => ({ answer }),
        (error) => ({ error: error.message, name: error.constructor.name, status: error.statusCode }),
      ),
    );
  }
  return { outcomes };
}

const run = sdk === 'customerio-node' ? waiting : queueing;
console.log(JSON.stringify(await run(require(sdk))));
