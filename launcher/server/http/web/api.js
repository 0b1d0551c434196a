// Talking to the server.
import {loadKey, saveKey} from './storage.js';

let key = loadKey();
let askForKey = async () => '';

/** `ask(wrong)` resolves to a key; it is called when the server wants one, `wrong` where it has refused one. */
export function onKeyWanted(ask) {
  askForKey = ask;
}

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function errorOf(response) {
  let message = `the server answered ${response.status}`;
  try {
    message = (await response.json()).error?.message ?? message;
  } catch (error) {
    // Not ours: the status has to do.
  }
  return new ServerError(message, response.status);
}

/** fetch() with the key, which is asked for when the server wants one. Throws ServerError for what is not 200. */
export async function call(path, options = {}) {
  for (;;) {
    const used = key;
    const headers = {...options.headers, ...(used === '' ? {} : {Authorization: `Bearer ${used}`})};
    // Not relative: the page's own address may hold a name and a password, with which nothing is fetched.
    const url = location.origin + path;
    const response = await fetch(url, {...options, headers, cache: 'no-store', credentials: 'same-origin'});
    if (response.ok) return response;
    if (response.status !== 401) throw await errorOf(response);
    if (key === used) {
      key = await askForKey(used !== '');
      saveKey(key);
    }
  }
}

export async function getJson(path, signal) {
  return (await call(path, {signal})).json();
}

/** The `data:` of each event of a stream, parsed, until [DONE]. Throws ServerError for an error among them. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new ServerError('the connection ended before the answer did', 0);
    buffer += value;
    const lines = buffer.split('\n');
    buffer = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice(5).trim();
      if (data === '[DONE]') return;
      const event = JSON.parse(data);
      if (event.error) throw new ServerError(event.error.message ?? 'the server failed', event.error.code ?? 0);
      yield event;
    }
  }
}

/** The chunks of a streamed answer to `body`. */
export async function* streamChat(body, signal) {
  const response = await call('/v1/chat/completions', {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({...body, stream: true, stream_options: {include_usage: true}}),
    signal,
  });
  yield* eventsOf(response);
}
