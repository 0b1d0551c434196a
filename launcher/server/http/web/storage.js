// What this browser keeps: conversations and settings in localStorage, the key in sessionStorage (until the tab closes).
// Where storage is closed or full, the page goes on without.

function attempt(action, otherwise) {
  try {
    return action();
  } catch (error) {
    return otherwise;
  }
}

export function load(name, otherwise) {
  return attempt(() => JSON.parse(localStorage.getItem(`longship.${name}`)) ?? otherwise, otherwise);
}

/** False if there is no room. */
export function save(name, value) {
  return attempt(() => {
    localStorage.setItem(`longship.${name}`, JSON.stringify(value));
    return true;
  }, false);
}

export function forget(name) {
  attempt(() => localStorage.removeItem(`longship.${name}`));
}

export function loadKey() {
  return attempt(() => sessionStorage.getItem('longship.key'), null) ?? '';
}

export function saveKey(key) {
  attempt(() => sessionStorage.setItem('longship.key', key));
}
