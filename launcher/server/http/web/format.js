// Numbers and times as people read them.

export function number(value, digits = 0) {
  return value.toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits});
}

/** Three significant digits, for values that span orders. */
export function short(value) {
  if (value === 0) return '0';
  return number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : short(value)} ${units[unit]}`;
}

export function percent(share) {
  return `${number(100 * share)}%`;
}

export function duration(seconds) {
  if (seconds < 1) return `${number(1000 * seconds)} ms`;
  if (seconds < 60) return `${number(seconds, 1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function count(value, noun) {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}
