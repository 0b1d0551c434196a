// Asks for the key of the API.
import {byId, setText} from './dom.js';

let asked = null;

/** Resolves to a key. Asked again while it is open, it is the same question. */
export function askForKey(wrong) {
  asked ??= ask(wrong).finally(() => {
    asked = null;
  });
  return asked;
}

function ask(wrong) {
  const dialog = byId('key-dialog');
  const input = byId('key');
  setText(byId('key-error'), wrong ? 'The server refused that key.' : '');
  input.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const cancelled = (event) => event.preventDefault();  // without a key there is nothing to see
    dialog.addEventListener('cancel', cancelled);
    byId('key-form').addEventListener('submit', () => {
      dialog.removeEventListener('cancel', cancelled);
      resolve(input.value.trim());
    }, {once: true});
  });
}
